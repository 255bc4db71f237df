"""http: what the data path reports, as a trigger reads it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import PermanentError, TemporaryError
from core.resources.serving import REVISION
from core.resources.serving_labels import SERVICE_LABEL
from core.stats import RequestStatistic, RevisionKey
from core.store.memory import MemoryStore
from scalers.readings import Quality, Target, TargetRef
from tests.support.clock import FakeClock
from tests.support.inside_scalers import a_trigger, make_world, scaler_of

HELLO = TargetRef("Service", "hello")


class Scene:
    def __init__(self, metadata: dict[str, str]) -> None:
        self.clock = FakeClock()
        self.world = make_world(self.clock)
        self.scaler = scaler_of(a_trigger("http", metadata, target=HELLO), self.world)

    async def __aenter__(self) -> Scene:
        store = self.world.store
        assert isinstance(store, MemoryStore)
        await store.open()
        for service, name in (("hello", "hello-00001"), ("hello", "hello-00002"), ("hello-world", "hello-world-00001")):
            metadata = {"namespace": "shop", "name": name, "labels": {SERVICE_LABEL: service}}
            spec = {"containers": [{"image": "x"}]}
            await store.create(REVISION, {"metadata": metadata, "spec": spec})
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.scaler.close()
        assert len(self.world.pools) == 0
        assert isinstance(self.world.store, MemoryStore)
        await self.world.store.close()

    def publish(self, revision: str = "hello-00001", *, concurrency: float = 0.0, count: float = 0.0, now: int = 0,
                poke: bool = False) -> None:  # fmt: skip
        at = self.clock.monotonic()
        self.world.statistics.publish(
            RequestStatistic(RevisionKey("shop", revision), at, 1.0, concurrency, count, now, poke)
        )

    async def read(self) -> Any:
        (reading,) = await self.scaler.read()
        return reading


def test_concurrency_is_the_integral_and_never_less_than_what_is_in_flight() -> None:
    async def main() -> None:
        async with Scene({"targetValue": "20"}) as scene:
            assert await scene.scaler.targets() == (Target("http-hello", 20.0),)
            assert (await scene.read()).quality is Quality.PARTIAL, "it has not listened for long enough"
            for _ in range(10):
                await scene.clock.advance(1.0)
                scene.publish(concurrency=4.0, count=9.0)
                scene.publish("hello-00002", concurrency=2.0, count=1.0)
                scene.publish("hello-world-00001", concurrency=99.0, count=99.0)
            reading = await scene.read()
            assert (reading.value, reading.quality) == (pytest.approx(6.0), Quality.WHOLE)
            scene.publish(now=50, poke=True)
            reading = await scene.read()
            assert (reading.value, reading.in_flight) == (50.0, 50.0)

    asyncio.run(main())


def test_short_requests_between_two_looks_are_seen() -> None:
    """http-add-on#1352: light traffic is no silence."""

    async def main() -> None:
        async with Scene({}) as scene:
            await scene.read()
            await scene.clock.advance(5.0)
            scene.publish(concurrency=0.001, count=1.0, now=0)
            await scene.clock.advance(4.0)
            assert (await scene.read()).activity > 0
            await scene.clock.advance(10.0)
            assert (await scene.read()).activity == 0.0

    asyncio.run(main())


def test_a_rate_counts_the_very_first_request() -> None:
    """http-add-on#1692: the first after long silence is one."""

    async def main() -> None:
        async with Scene({"scalingMetric": "requestRate", "window": "10s"}) as scene:
            await scene.read()
            await scene.clock.advance(60.0)
            scene.publish(count=1.0, now=1, poke=True)
            assert (await scene.read()).value == pytest.approx(0.1)
            for _ in range(10):
                await scene.clock.advance(1.0)
                scene.publish(count=30.0, now=1)
            assert (await scene.read()).value == pytest.approx(30.0)

    asyncio.run(main())


def test_silence_after_work_is_unknown_and_no_zero() -> None:
    async def main() -> None:
        async with Scene({}) as scene:
            await scene.read()
            scene.publish(concurrency=1.0, now=3)
            await scene.clock.advance(10.0)
            with pytest.raises(TemporaryError, match=r"nothing was heard of the requests of shop/hello-00001 for 10 s"):
                await scene.read()

    asyncio.run(main())


def test_a_waiting_request_is_told_at_once() -> None:
    async def main() -> None:
        async with Scene({}) as scene:
            heard = list[bool]()
            async with asyncio.TaskGroup() as group:
                run = group.create_task(scene.scaler.run(heard.append))
                await asyncio.sleep(0)
                scene.publish("other-00001", now=1, poke=True)
                assert heard == []
                scene.publish("hello-00003", now=1, poke=True)
                assert heard == [True]
                run.cancel()

    asyncio.run(main())


def test_all_triggers_hear_through_one_meter() -> None:
    async def main() -> None:
        async with Scene({}) as scene:
            others = [scaler_of(a_trigger("http", {"service": f"s{n}"}), scene.world) for n in range(5)]
            for each in (scene.scaler, *others):
                await each.read()
            assert len(scene.world.pools) == 1
            for each in others:
                await each.close()

    asyncio.run(main())


def test_the_service_is_named_where_the_target_is_none() -> None:
    with pytest.raises(PermanentError, match=r"metadata\.service: is required"):
        scaler_of(a_trigger("http", {}), make_world())
