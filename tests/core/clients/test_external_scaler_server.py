"""The server, asked by a KEDA that has nothing of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import grpc
import grpc.aio
import pytest

from core.clients.external_scaler_messages import MetricSpec, MetricValue, ScaledObjectRef
from core.clients.external_scaler_server import ServerTls, serve
from core.errors import PermanentError, TemporaryError
from tests.support.external_scaler import asking, certified, generated

OWN = certified("scalers.keda.svc")


class Answers:
    """`core.clients.external_scaler_server.Service`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.refs: list[ScaledObjectRef] = []

    def note(self, ref: ScaledObjectRef) -> None:
        self.refs.append(ref)
        if self.error is not None:
            raise self.error

    async def is_active(self, ref: ScaledObjectRef) -> bool:
        self.note(ref)
        return True

    async def activity(self, ref: ScaledObjectRef) -> AsyncGenerator[bool]:
        for active in (False, True):
            yield active
        self.note(ref)
        await asyncio.Event().wait()

    async def metric_specs(self, ref: ScaledObjectRef) -> Sequence[MetricSpec]:
        self.note(ref)
        return [MetricSpec("lag", 5, 5.0)]

    async def metrics(self, ref: ScaledObjectRef, metric: str) -> Sequence[MetricValue]:
        self.note(ref)
        return [MetricValue(metric, 12, 12.5)]


def served(service: Answers, use: Callable[[str], Awaitable[None]], tls: ServerTls | None = None) -> None:
    async def main() -> None:
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(serve(service, "127.0.0.1:0", tls, port.set_result))
            await use(f"127.0.0.1:{await port}")
            serving.cancel()

    asyncio.run(main())


def test_a_keda_gets_its_answers() -> None:
    service, messages = Answers(), generated()[0]
    ref = messages.ScaledObjectRef(name="orders", namespace="shop", scalerMetadata={"topic": "orders"})

    async def use(target: str) -> None:
        async with asking(target) as keda:
            assert (await keda.IsActive(ref)).result is True
            (spec,) = (await keda.GetMetricSpec(ref)).metricSpecs
            assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("lag", 5, 5.0)
            request = messages.GetMetricsRequest(scaledObjectRef=ref, metricName="lag")
            (value,) = (await keda.GetMetrics(request)).metricValues
            assert (value.metricName, value.metricValue, value.metricValueFloat) == ("lag", 12, 12.5)

    served(service, use)
    assert service.refs == [ScaledObjectRef("orders", "shop", {"topic": "orders"})] * 3


def test_changes_are_pushed_in_their_order() -> None:
    async def use(target: str) -> None:
        async with asking(target) as keda:
            stream = keda.StreamIsActive(generated()[0].ScaledObjectRef(name="orders"))
            assert [(await stream.read()).result for _ in range(2)] == [False, True]
            stream.cancel()

    served(Answers(), use)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(PermanentError("topic: is required"), grpc.StatusCode.INVALID_ARGUMENT, id="the request is wrong"),
        pytest.param(TemporaryError("the broker is away"), grpc.StatusCode.UNAVAILABLE, id="nothing is known"),
    ],
)
def test_not_knowing_is_no_answer(error: Exception, code: grpc.StatusCode) -> None:
    messages = generated()[0]

    async def use(target: str) -> None:
        async with asking(target) as keda:
            for call in (
                keda.IsActive(messages.ScaledObjectRef()),
                keda.GetMetricSpec(messages.ScaledObjectRef()),
                keda.GetMetrics(messages.GetMetricsRequest(metricName="lag")),
            ):
                with pytest.raises(grpc.aio.AioRpcError, match=str(error)) as caught:
                    await call
                assert caught.value.code() is code
            stream = keda.StreamIsActive(messages.ScaledObjectRef())
            with pytest.raises(grpc.aio.AioRpcError, match=str(error)):
                async for _ in stream:
                    pass

    served(Answers(error), use)


def test_metric_specs_are_not_streamed() -> None:
    """KEDA asks for them then."""

    async def use(target: str) -> None:
        async with asking(target) as keda:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await keda.StreamMetricSpec(generated()[0].ScaledObjectRef()).read()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    served(Answers(), use)


@pytest.mark.parametrize(
    ("client_ca", "client", "let_in"),
    [
        pytest.param(None, None, True, id="anybody"),
        pytest.param(OWN.authority, OWN, True, id="who has a certificate"),
        pytest.param(OWN.authority, None, False, id="who has none"),
    ],
)
def test_tls(client_ca: str | None, client: Any, let_in: bool) -> None:
    async def use(target: str) -> None:
        pair = () if client is None else (client.key.encode(), client.certificate.encode())
        credentials = grpc.ssl_channel_credentials(OWN.authority.encode(), *pair)
        async with asking(target, credentials, "scalers.keda.svc") as keda:
            call = keda.IsActive(generated()[0].ScaledObjectRef())
            if let_in:
                assert (await call).result is True
            else:
                with pytest.raises(grpc.aio.AioRpcError):
                    await call

    served(Answers(), use, ServerTls(OWN.certificate, OWN.key, client_ca))


def test_probes_of_kubernetes_find_it_serving() -> None:
    async def use(target: str) -> None:
        async with grpc.aio.insecure_channel(target) as channel:
            assert await channel.unary_unary("/grpc.health.v1.Health/Check")(b"") == b"\x08\x01"

    served(Answers(), use)


def test_an_address_that_is_taken_is_said() -> None:
    async def use(target: str) -> None:
        with pytest.raises(OSError, match=r"cannot listen on 256\.0\.0\.1:1"):
            await serve(Answers(), "256.0.0.1:1")

    served(Answers(), use)
