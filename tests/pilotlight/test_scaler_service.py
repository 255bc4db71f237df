"""A KEDA that has nothing of ours asks our scalers, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from core.clients.external_scaler_server import serve
from core.errors import PermanentError, TemporaryError
from core.resources.kinds import KINDS
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from pilotlight import scaler_service
from pilotlight.scaler_service import ScalerService
from scalers.base import World
from scalers.pools import Pools
from scalers.readings import Quality, Reading
from scalers.registry import SCALERS
from tests.support.clock import FakeClock
from tests.support.external_scaler import asking, generated, until
from tests.support.scripted_scaler import MODULE, SCRIPT, TYPE, Script, script

QUEUE = {"scalerType": TYPE, "queue": "orders", "scalerAddress": "pilotlight:9090", "size": "10"}
SECRET = "sesame-open"


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setitem(SCALERS, TYPE, MODULE)  # type: ignore[arg-type]
    return script()


class Keda:
    """What a test does: asks for one ScaledObject."""

    def __init__(self, stub: Any, clock: FakeClock, metadata: dict[str, str]) -> None:
        self.stub, self.clock = stub, clock
        self.ref = generated()[0].ScaledObjectRef(name="orders", namespace="shop", scalerMetadata=metadata)

    async def active(self) -> bool:
        return bool((await self.stub.IsActive(self.ref)).result)

    async def specs(self) -> list[tuple[str, int, float]]:
        specs = (await self.stub.GetMetricSpec(self.ref)).metricSpecs
        return [(each.metricName, each.targetSize, each.targetSizeFloat) for each in specs]

    async def value(self, metric: str = "q-orders") -> float:
        request = generated()[0].GetMetricsRequest(scaledObjectRef=self.ref, metricName=metric)
        (value,) = (await self.stub.GetMetrics(request)).metricValues
        assert value.metricName == metric
        return float(value.metricValueFloat)


def asked(
    use: Callable[[Keda], Awaitable[None]], metadata: dict[str, str] | None = None, secrets: Path | None = None
) -> None:
    async def main() -> None:
        clock = FakeClock()
        world = World(clock, MemoryStore(KINDS, clock), StatisticBus(), Pools())
        service = ScalerService(world, secrets, interval_s=0.02)
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(service.run(lambda: None)),
                group.create_task(serve(service, "127.0.0.1:0", started=port.set_result)),
            ]
            async with asking(f"127.0.0.1:{await port}") as stub:
                await use(Keda(stub, clock, QUEUE if metadata is None else metadata))
            for task in reversed(running):
                task.cancel()
                await asyncio.wait((task,))
        assert len(world.pools) == 0

    asyncio.run(main())


async def refused(answer: Awaitable[Any], code: grpc.StatusCode, words: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer
    assert caught.value.code() is code
    assert words in (caught.value.details() or "")


def test_one_reading_answers_both_questions(scripted: Script) -> None:
    async def use(keda: Keda) -> None:
        assert await keda.specs() == [("q-orders", 10, 10.0)]
        assert (await keda.active(), await keda.value()) == (True, 35.0)
        assert scripted.reads == 1
        scripted.readings = [Reading(0.0)]
        await keda.clock.advance(1.5)
        assert (await keda.value(), await keda.active()) == (0.0, False)
        assert scripted.reads == 2
        assert len(scripted.made) == 1, "one scaler for all that is asked of one trigger"

    asked(use)
    assert scripted.closed == 1


def test_a_real_scaler_is_chosen_by_its_type() -> None:
    told = {"scalerType": "cron", "timezone": "UTC", "start": "0 0 * * *", "end": "0 23 * * *", "desiredReplicas": "7"}

    async def use(keda: Keda) -> None:
        ((metric, _, target),) = await keda.specs()
        assert target == 1.0
        assert await keda.value(metric) == 7.0
        assert await keda.active()

    asked(use, told)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        pytest.param({"queue": "orders"}, "metadata.scalerType is required", id="no type"),
        pytest.param({"scalerType": "kafkaa"}, "type 'kafkaa' is not known", id="an unknown type"),
        pytest.param({"scalerType": TYPE}, "queue: is required", id="a parameter is missing"),
        pytest.param({**QUEUE, "size": "0"}, "size: is '0'", id="a parameter is wrong"),
        pytest.param({"scalerType": "cpu", "value": "5"}, "inside a platform", id="it measures a platform"),
        pytest.param({**QUEUE, "scalerAuthentication": "x"}, "without --secrets", id="there are no secrets"),
    ],
)
def test_what_is_wrong_in_a_document_is_said(metadata: dict[str, str], words: str) -> None:
    async def use(keda: Keda) -> None:
        await refused(keda.active(), grpc.StatusCode.INVALID_ARGUMENT, words)
        await refused(keda.specs(), grpc.StatusCode.INVALID_ARGUMENT, words)

    asked(use, metadata)


def test_credentials_come_from_variables_or_from_folders(scripted: Script, tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "password").write_text(f"{SECRET}\n")

    async def use(keda: Keda) -> None:
        await keda.active()

    asked(use, {**QUEUE, "passwordFromEnv": SECRET})
    asked(use, {**QUEUE, "scalerAuthentication": "orders"}, tmp_path)
    by_variable, by_folder = scripted.made
    assert by_variable.env == {"passwordFromEnv": SECRET}
    assert by_folder.auth == {"password": SECRET}


@pytest.mark.parametrize("name", ["../orders", ".", "missing"])
def test_folders_outside_are_none(name: str, tmp_path: Path) -> None:
    async def use(keda: Keda) -> None:
        await refused(keda.active(), grpc.StatusCode.INVALID_ARGUMENT, "scalerAuthentication")

    asked(use, {**QUEUE, "scalerAuthentication": name}, tmp_path)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(TemporaryError(f"the broker refuses {SECRET}"), grpc.StatusCode.UNAVAILABLE, id="for now"),
        pytest.param(PermanentError(f"no queue for {SECRET}"), grpc.StatusCode.INVALID_ARGUMENT, id="for good"),
        pytest.param(RuntimeError(SECRET), grpc.StatusCode.UNAVAILABLE, id="a defect"),
    ],
)
def test_not_knowing_is_an_error_without_a_secret(scripted: Script, error: Exception, code: grpc.StatusCode) -> None:
    async def use(keda: Keda) -> None:
        scripted.error = error
        for answer in (keda.active(), keda.value()):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await answer
            assert caught.value.code() is code
            assert SECRET not in (caught.value.details() or "")

    asked(use, {**QUEUE, "passwordFromEnv": SECRET})


def test_a_part_may_raise_and_never_lowers(scripted: Script) -> None:
    async def use(keda: Keda) -> None:
        assert await keda.value() == 35.0
        scripted.readings = [Reading(30.0, quality=Quality.PARTIAL)]
        await keda.clock.advance(1.5)
        await refused(keda.value(), grpc.StatusCode.UNAVAILABLE, "only a part")
        assert await keda.active()
        scripted.readings = [Reading(50.0, quality=Quality.PARTIAL)]
        await keda.clock.advance(1.5)
        assert await keda.value() == 50.0
        scripted.readings = [Reading(0.0, quality=Quality.PARTIAL)]
        await keda.clock.advance(1.5)
        await refused(keda.active(), grpc.StatusCode.UNAVAILABLE, "only a part")

    asked(use)


@pytest.mark.parametrize(
    ("reading", "value"),
    [
        pytest.param(Reading(59.0), 59.0, id="as it is"),
        pytest.param(Reading(59.0, replicas_max=5), 50.0, id="no more replicas than partitions"),
        pytest.param(Reading(59.0, replicas_max=50), 59.0, id="few enough"),
        pytest.param(Reading(59.0, shares=13), 50.0, id="6 with at most 3 of 13 partitions are 5 with 3"),
        pytest.param(Reading(0.0, shares=13), 0.0, id="nothing"),
    ],
)
def test_a_hpa_comes_to_our_number(scripted: Script, reading: Reading, value: float) -> None:
    scripted.readings = [reading]

    async def use(keda: Keda) -> None:
        assert await keda.value() == value

    asked(use)


def test_activity_is_streamed_at_once_and_when_it_changes(scripted: Script) -> None:
    async def use(keda: Keda) -> None:
        scripted.readings = [Reading(0.0)]
        stream, heard = keda.stub.StreamIsActive(keda.ref), []

        async def listen() -> None:
            try:
                async for response in stream:
                    heard.append(response.result)  # noqa: PERF401
            except (asyncio.CancelledError, grpc.aio.AioRpcError):
                pass

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            await until(lambda: heard == [False])
            scripted.readings = [Reading(1.0)]
            await keda.clock.advance(0.1)
            await until(lambda: heard == [False, True])
            scripted.error = TemporaryError("away")
            scripted.readings = [Reading(0.0)]
            await keda.clock.advance(0.1)
            before = scripted.reads
            await until(lambda: scripted.reads > before + 2)
            assert heard == [False, True], "an error says nothing"
            scripted.error = None
            await until(lambda: heard == [False, True, False])
            stream.cancel()

    asked(use)


def test_a_push_is_read_without_waiting_for_the_next_look(scripted: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(keda: Keda) -> None:
        scripted.readings = [Reading(0.0)]
        stream = keda.stub.StreamIsActive(keda.ref)
        assert (await stream.read()).result is False
        reads = scripted.reads
        scripted.readings = [Reading(1.0)]
        scripted.pushes.put_nowait(True)
        await keda.clock.advance(0.1)
        assert (await stream.read()).result is True
        assert scripted.reads >= reads + 1
        stream.cancel()

    asked(use)


def test_what_nobody_asks_for_any_more_is_let_go(scripted: Script) -> None:
    async def use(keda: Keda) -> None:
        await keda.active()
        await keda.clock.advance(scaler_service.UNUSED_S / 2)
        await keda.active()
        await keda.clock.advance(scaler_service.UNUSED_S * 0.9)
        assert scripted.closed == 0
        await keda.clock.advance(scaler_service.UNUSED_S * 0.3)
        assert scripted.closed == 1
        assert await keda.active(), "it is made anew"
        assert len(SCRIPT[0].made) == 2

    asked(use)
