"""A KEDA external scaler as its server: what answers over gRPC is a `Service`, and knows nothing of that.

Answers gRPC's health checks, too, as Kubernetes' probes ask for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NoReturn, Protocol

import grpc
import grpc.aio

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

GRACE_S: Final = 2.0
"""For answers under way when it ends; streams are cut."""
_HEALTH: Final = "grpc.health.v1.Health"
_SERVING: Final = b"\x08\x01"


class Service(Protocol):
    """What is served. PermanentError: the request is wrong; TemporaryError: nothing is known now."""

    async def is_active(self, ref: ScaledObjectRef) -> bool: ...

    def activity(self, ref: ScaledObjectRef) -> AsyncGenerator[bool]:
        """At once, and whenever it has changed."""

    async def metric_specs(self, ref: ScaledObjectRef) -> Sequence[MetricSpec]: ...

    async def metrics(self, ref: ScaledObjectRef, metric: str) -> Sequence[MetricValue]: ...


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM texts. With `client_ca` only clients with a certificate of its are let in."""

    certificate: str
    key: str = field(repr=False)
    client_ca: str | None = None


async def serve(
    service: Service, address: str, tls: ServerTls | None = None, started: Callable[[int], None] = lambda port: None
) -> NoReturn:
    """Until canceled; `started` hears the port. OSError where the address cannot be had."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_handlers(service), _health()))
    try:
        if tls is None:
            port = server.add_insecure_port(address)
        else:
            pairs, client_ca = [(tls.key.encode(), tls.certificate.encode())], tls.client_ca
            credentials = grpc.ssl_server_credentials(
                pairs, None if client_ca is None else client_ca.encode(), client_ca is not None
            )
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: {error}") from None
    await server.start()
    try:
        started(port)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")
    finally:
        await server.stop(GRACE_S)


def _handlers(service: Service) -> Any:
    async def is_active(ref: ScaledObjectRef, context: Any) -> IsActiveResponse:
        return IsActiveResponse(await _answered(context, service.is_active(ref)))

    async def metric_specs(ref: ScaledObjectRef, context: Any) -> GetMetricSpecResponse:
        return GetMetricSpecResponse(await _answered(context, service.metric_specs(ref)))

    async def metrics(request: GetMetricsRequest, context: Any) -> GetMetricsResponse:
        answer = service.metrics(request.scaled_object_ref, request.metric_name)
        return GetMetricsResponse(await _answered(context, answer))

    async def activity(ref: ScaledObjectRef, context: Any) -> AsyncIterator[IsActiveResponse]:
        async with aclosing(service.activity(ref)) as changes:
            while True:
                yield IsActiveResponse(await _answered(context, anext(changes)))

    def unary(method: Any, request: type[Any] = ScaledObjectRef) -> Any:
        return grpc.unary_unary_rpc_method_handler(method, partial(decode, request), encode)

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "IsActive": unary(is_active),
            "StreamIsActive": grpc.unary_stream_rpc_method_handler(activity, partial(decode, ScaledObjectRef), encode),
            "GetMetricSpec": unary(metric_specs),
            "GetMetrics": unary(metrics, GetMetricsRequest),
        },
    )


async def _answered(context: Any, answer: Awaitable[Any]) -> Any:
    """What was asked for; or the call ends with the status that says whether to ask again."""
    try:
        return await answer
    except PermanentError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except TemporaryError as error:
        await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


def _health() -> Any:
    async def check(request: bytes, context: Any) -> bytes:
        return _SERVING

    return grpc.method_handlers_generic_handler(_HEALTH, {"Check": grpc.unary_unary_rpc_method_handler(check)})
