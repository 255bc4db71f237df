"""A KEDA external scaler as its client sees it, over gRPC. Besides `external_scaler_server` the one file that knows it.

One channel per address and credential, shared by all who ask there; a channel that has lost its server comes back by
itself. gRPC's errors end here: TemporaryError where the scaler could not be asked or could not answer, PermanentError
where it will answer the same next time.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from cryptography import x509

from core.clients.external_scaler_access import UNIMPLEMENTED, ExternalScalerAccess
from core.clients.external_scaler_messages import (
    SERVICE,
    GetMetricSpecResponse,
    GetMetricsRequest,
    GetMetricsResponse,
    IsActiveResponse,
    MetricSpec,
    MetricValue,
    ScaledObjectRef,
    decode,
    encode,
)
from core.errors import PermanentError, TemporaryError

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it writes to stderr, it also answers

TIMEOUT_S: Final = 5.0
"""For one answer; a stream has none."""
_OPTIONS: Final[tuple[tuple[str, str | int], ...]] = (
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    # A peer that is gone without a word is noticed by this; Go's servers take pings that come more often for abuse.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
_PERMANENT: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: "InvalidArgument",
    grpc.StatusCode.PERMISSION_DENIED: "PermissionDenied",
    grpc.StatusCode.UNAUTHENTICATED: "Unauthenticated",
    grpc.StatusCode.UNIMPLEMENTED: UNIMPLEMENTED,
}
M = TypeVar("M")


class ExternalScalerClient:
    """Opened when it is first asked."""

    def __init__(self, access: ExternalScalerAccess) -> None:
        self._access = access
        self._channel: grpc.aio.Channel | None = None
        self._opening = asyncio.Lock()

    async def metric_specs(self, ref: ScaledObjectRef) -> Sequence[MetricSpec]:
        return (await self._ask("GetMetricSpec", ref, GetMetricSpecResponse)).metric_specs

    async def metrics(self, ref: ScaledObjectRef, metric: str) -> Sequence[MetricValue]:
        return (await self._ask("GetMetrics", GetMetricsRequest(ref, metric), GetMetricsResponse)).metric_values

    async def is_active(self, ref: ScaledObjectRef) -> bool:
        return (await self._ask("IsActive", ref, IsActiveResponse)).result

    async def activity(self, ref: ScaledObjectRef) -> AsyncIterator[bool]:
        """What StreamIsActive pushes, until it ends its stream."""
        async for response in self._listen("StreamIsActive", ref, IsActiveResponse):
            yield response.result

    async def specs(self, ref: ScaledObjectRef) -> AsyncIterator[Sequence[MetricSpec]]:
        """What StreamMetricSpec pushes. PermanentError of reason UNIMPLEMENTED: most do not have it."""
        async for response in self._listen("StreamMetricSpec", ref, GetMetricSpecResponse):
            yield response.metric_specs

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def _ask(self, method: str, request: Any, response: type[M]) -> M:
        call = (await self._open()).unary_unary(
            f"/{SERVICE}/{method}", request_serializer=encode, response_deserializer=bytes
        )
        try:
            # A channel that is between two attempts to connect fails at once, and says why.
            return decode(response, await call(request, timeout=TIMEOUT_S))
        except grpc.aio.AioRpcError as error:
            raise await self._translated(method, error) from None
        except ValueError as error:
            raise TemporaryError(f"{self._access.target} answered {method} with something else: {error}") from None

    async def _listen(self, method: str, request: Any, response: type[M]) -> AsyncIterator[M]:
        opened = (await self._open()).unary_stream(
            f"/{SERVICE}/{method}", request_serializer=encode, response_deserializer=bytes
        )
        try:
            async for data in opened(request):
                yield decode(response, data)
        except grpc.aio.AioRpcError as error:
            raise await self._translated(method, error) from None
        except ValueError as error:
            raise TemporaryError(f"{self._access.target} pushed by {method} something else: {error}") from None

    async def _open(self) -> grpc.aio.Channel:
        async with self._opening:
            if self._channel is None:
                access, options = self._access, _OPTIONS
                if not access.tls:
                    self._channel = grpc.aio.insecure_channel(access.target, options)
                else:
                    ca, name = access.ca, access.server_name
                    if access.unverified:
                        ca, name = await asyncio.to_thread(_certificate_of, access)
                    if name is not None:
                        options = (*options, ("grpc.ssl_target_name_override", name))
                    self._channel = grpc.aio.secure_channel(access.target, _credentials(access, ca), options)
            return self._channel

    async def _translated(self, method: str, error: grpc.aio.AioRpcError) -> TemporaryError | PermanentError:
        code, words = error.code(), " ".join((error.details() or "").split())
        said = f"{self._access.target} did not answer {method}: {code.name}" + (f" ({words})" if words else "")
        if self._access.unverified and code is grpc.StatusCode.UNAVAILABLE:
            await self.close()  # it may have another certificate by now
        reason = _PERMANENT.get(code)
        return TemporaryError(said) if reason is None else PermanentError(said, reason)


def _credentials(access: ExternalScalerAccess, ca: str | None) -> grpc.ChannelCredentials:
    parts = (ca, access.key, access.certificate)
    return grpc.ssl_channel_credentials(*(None if part is None else part.encode() for part in parts))


def _certificate_of(access: ExternalScalerAccess) -> tuple[str, str]:
    """The certificate shown at the address, and a name in it: gRPC cannot be told to take any. TemporaryError."""
    host, _, port = access.addresses[0].rpartition("/")[2].rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        if access.certificate is not None:
            with tempfile.NamedTemporaryFile("w") as chain:  # only files are taken
                chain.write(f"{access.certificate}\n{access.key or ''}\n")
                chain.flush()
                context.load_cert_chain(chain.name)
        with (
            socket.create_connection((host.strip("[]"), int(port or 443)), TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host.strip("[]")) as secure,
        ):
            shown = secure.getpeercert(binary_form=True) or b""
        return ssl.DER_cert_to_PEM_cert(shown), _name_in(x509.load_der_x509_certificate(shown), host)
    except (OSError, ValueError) as error:
        raise TemporaryError(f"{access.target} did not show a certificate: {error}") from None


def _name_in(certificate: x509.Certificate, host: str) -> str:
    """One that the certificate is made out to; the host's where it names none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return host
    found = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return found[0].replace("*", "any") if found else host
