"""External scalers, and a KEDA that asks one, made by protoc from the interface: nothing of ours is in them."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_tools import protoc

PROTO = Path(__file__).parent / "externalscaler.proto"


@cache
def generated() -> tuple[ModuleType, ModuleType]:
    """(messages, stubs)."""
    folder = tempfile.mkdtemp(prefix="externalscaler")
    arguments = ["protoc", f"-I{PROTO.parent}", f"--python_out={folder}", f"--grpc_python_out={folder}", str(PROTO)]
    assert protoc.main(arguments) == 0
    sys.path.insert(0, folder)
    try:
        return import_module("externalscaler_pb2"), import_module("externalscaler_pb2_grpc")
    finally:
        sys.path.remove(folder)


@dataclass(slots=True)
class Scripted:
    """What an external scaler says: (name, whole target, target, whole value, value) of each metric."""

    metrics: list[tuple[str, int, float, int, float]] = field(default_factory=lambda: [("lag", 0, 5.0, 0, 12.5)])
    active: bool = True
    fails: dict[str, tuple[grpc.StatusCode, str]] = field(default_factory=dict)
    streams_specs: bool = False
    asked: list[tuple[str, Any]] = field(default_factory=list)
    pushes: asyncio.Queue[bool | None] = field(default_factory=asyncio.Queue)  # None: the stream ends
    specs: asyncio.Queue[list[tuple[str, float]]] = field(default_factory=asyncio.Queue)
    listening: asyncio.Event = field(default_factory=asyncio.Event)


def servicer(script: Scripted) -> Any:
    messages, stubs = generated()

    class Servicer(stubs.ExternalScalerServicer):  # type: ignore[name-defined,misc]
        async def IsActive(self, request: Any, context: Any) -> Any:  # noqa: N802
            await note("IsActive", request, context)
            return messages.IsActiveResponse(result=script.active)

        async def GetMetricSpec(self, request: Any, context: Any) -> Any:  # noqa: N802
            await note("GetMetricSpec", request, context)
            specs = [
                messages.MetricSpec(metricName=name, targetSize=whole, targetSizeFloat=target)
                for name, whole, target, _, _ in script.metrics
            ]
            return messages.GetMetricSpecResponse(metricSpecs=specs)

        async def GetMetrics(self, request: Any, context: Any) -> Any:  # noqa: N802
            await note("GetMetrics", request, context)
            values = [
                messages.MetricValue(metricName=name, metricValue=whole, metricValueFloat=value)
                for name, _, _, whole, value in script.metrics
                if name == request.metricName
            ]
            return messages.GetMetricsResponse(metricValues=values)

        async def StreamIsActive(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
            await note("StreamIsActive", request, context)
            script.listening.set()
            while (active := await script.pushes.get()) is not None:
                yield messages.IsActiveResponse(result=active)

        async def StreamMetricSpec(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
            if not script.streams_specs:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")
            while True:
                specs = [
                    messages.MetricSpec(metricName=name, targetSizeFloat=target)
                    for name, target in await script.specs.get()
                ]
                yield messages.GetMetricSpecResponse(metricSpecs=specs)

    async def note(method: str, request: Any, context: Any) -> None:
        script.asked.append((method, request))
        if method in script.fails:
            await context.abort(*script.fails[method])

    return Servicer()


@asynccontextmanager
async def serving(script: Scripted, port: int = 0, credentials: Any = None) -> AsyncIterator[int]:
    """An external scaler on a port of the loopback."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    generated()[1].add_ExternalScalerServicer_to_server(servicer(script), server)
    address = f"127.0.0.1:{port}"
    port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


@asynccontextmanager
async def asking(target: str, credentials: Any = None, name: str | None = None) -> AsyncIterator[Any]:
    """A stub, as KEDA has one."""
    options = [("grpc.ssl_target_name_override", name)] if name else None
    opened = (
        grpc.aio.insecure_channel(target)
        if credentials is None
        else grpc.aio.secure_channel(target, credentials, options)
    )
    async with opened as channel:
        yield generated()[1].ExternalScalerStub(channel)


@dataclass(frozen=True, slots=True)
class Certified:
    """PEM texts: an authority, and a certificate of its with its key."""

    authority: str
    certificate: str
    key: str


def certified(*names: str, days: int = 1) -> Certified:
    """For these names and the loopback; `days` below 0: it has expired."""
    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
    own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])

    def signed(subject: x509.Name, key: Any, extension: Any, critical: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=3))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(extension, critical)
            .sign(keys[0], hashes.SHA256())
        )

    alternatives = [*(x509.DNSName(name) for name in names), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    root = signed(authority, keys[0], x509.BasicConstraints(ca=True, path_length=None), True)
    leaf = signed(own, keys[1], x509.SubjectAlternativeName(alternatives), False)
    return Certified(_pem(root), _pem(leaf), _key_pem(keys[1]))


def server_credentials(own: Certified, *, mutual: bool = False) -> Any:
    pairs = [(own.key.encode(), own.certificate.encode())]
    return grpc.ssl_server_credentials(pairs, own.authority.encode() if mutual else None, mutual)


async def until(holds: Callable[[], Any], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.005)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Any) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return str(key.private_bytes(encoding, form, serialization.NoEncryption()).decode())
