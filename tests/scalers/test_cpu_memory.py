"""What Pods use, made into readings: percent of requests, whole amounts, and what is not known."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from core.errors import PermanentError, TemporaryError
from core.stats import ContainerUsage, InstanceKey
from core.store.memory import MemoryStore
from scalers.readings import MetricType, Quality, Reading, Target
from tests.support.clock import FakeClock
from tests.support.inside_scalers import a_trigger, make_world, put_deployment, put_pod, scaler_of

MI = 1 << 20


class Measured:
    """`core.stats.Usage`: by name of the Pod; processors' time grows at `cores` of each container."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.cores: dict[str, dict[str, float]] = {}
        self.memory: dict[str, dict[str, int]] = {}
        self.base: dict[str, float] = {}

    async def usage_of(self, instances: Sequence[InstanceKey]) -> Mapping[InstanceKey, Sequence[ContainerUsage]]:
        found = {}
        for instance in instances:
            names = {**self.cores.get(instance.name, {}), **self.memory.get(instance.name, {})}
            if names:
                found[instance] = [self._of(instance.name, name) for name in names]
        return found

    def _of(self, pod: str, container: str) -> ContainerUsage:
        cores = self.cores.get(pod, {}).get(container, 0.0)
        cpu_s = cores * (self.clock.monotonic() - self.base.get(pod, 0.0))
        return ContainerUsage(container, cpu_s, self.memory.get(pod, {}).get(container, 0))


def container(name: str = "main", **requests: str) -> dict[str, Any]:
    return {"name": name, "image": "x", "resources": {"requests": requests}}


class Scene:
    """A Deployment with these Pods, and a scaler that looks at them."""

    def __init__(self, type_: str, metadata: dict[str, str], metric_type: MetricType | None) -> None:
        self.clock = FakeClock()
        self.usage = Measured(self.clock)
        self.world = make_world(self.clock, self.usage)
        self.scaler = scaler_of(a_trigger(type_, metadata, metric_type=metric_type), self.world)

    async def put(self, name: str, *containers: dict[str, Any], **more: Any) -> None:
        assert isinstance(self.world.store, MemoryStore)
        await put_pod(self.world.store, name, self.deployment, containers=list(containers) or [container()], **more)

    async def __aenter__(self) -> Scene:
        assert isinstance(self.world.store, MemoryStore)
        await self.world.store.open()
        self.deployment = await put_deployment(self.world.store)
        return self

    async def __aexit__(self, *failure: object) -> None:
        assert isinstance(self.world.store, MemoryStore)
        await self.world.store.close()

    async def read(self) -> Reading:
        """The first reading takes two looks, a second apart."""
        task = asyncio.ensure_future(self.scaler.read())
        await self.clock.advance(1.0)
        (reading,) = await task
        return reading  # type: ignore[no-any-return]


def test_utilization_is_percent_of_what_all_of_them_request() -> None:
    async def main() -> None:
        async with Scene("cpu", {"value": "50"}, MetricType.UTILIZATION) as scene:
            await scene.put("a", container(cpu="500m"))
            await scene.put("b", container(cpu="250m"), container("side", cpu="250m"))
            scene.usage.cores = {"a": {"main": 0.6}, "b": {"main": 0.1, "side": 0.05}}
            assert await scene.scaler.targets() == (
                Target("cpu", 50.0, metric_type=MetricType.UTILIZATION, wakes=False),
            )
            reading = await scene.read()
            assert reading.value == pytest.approx(75.0)
            assert reading.quality is Quality.WHOLE
            assert reading.note == "0.75 of 1 requested, 2 of 2 ready Pods measured"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("type_", "value", "target", "expected"),
    [("cpu", "500m", 0.5, 0.9), ("memory", "64Mi", 64.0 * MI, 150.0 * MI)],
)
def test_an_average_value_is_told_as_the_whole(type_: str, value: str, target: float, expected: float) -> None:
    async def main() -> None:
        async with Scene(type_, {"value": value, "type": "AverageValue"}, None) as scene:
            for name in ("a", "b"):
                await scene.put(name)
            scene.usage.cores = {"a": {"main": 0.6}, "b": {"main": 0.3}}
            scene.usage.memory = {"a": {"main": 100 * MI}, "b": {"main": 50 * MI}}
            (found,) = await scene.scaler.targets()
            assert (found.value, found.metric_type) == (target, MetricType.AVERAGE_VALUE)
            assert (await scene.read()).value == pytest.approx(expected)

    asyncio.run(main())


def test_one_container_alone() -> None:
    async def main() -> None:
        told = {"value": "50", "containerName": "main"}
        async with Scene("memory", told, MetricType.UTILIZATION) as scene:
            await scene.put("a", container(memory="100Mi"), {"name": "side", "image": "x"})
            scene.usage.memory = {"a": {"main": 25 * MI, "side": 500 * MI}}
            assert (await scene.read()).value == pytest.approx(25.0)

    asyncio.run(main())


def test_limits_stand_in_for_requests() -> None:
    async def main() -> None:
        async with Scene("memory", {"value": "50"}, MetricType.UTILIZATION) as scene:
            await scene.put("a", {"name": "main", "image": "x", "resources": {"limits": {"memory": "100Mi"}}})
            scene.usage.memory = {"a": {"main": 25 * MI}}
            assert (await scene.read()).value == pytest.approx(25.0)

    asyncio.run(main())


def test_processors_time_is_averaged_over_the_window() -> None:
    async def main() -> None:
        async with Scene("cpu", {"value": "1", "type": "AverageValue"}, None) as scene:
            await scene.put("a")
            scene.usage.cores = {"a": {"main": 0.0}}
            assert (await scene.read()).value == 0.0
            began = scene.clock.monotonic()
            scene.usage.base["a"] = began
            scene.usage.cores["a"]["main"] = 1.0
            await scene.clock.advance(4.0)
            assert (await scene.read()).value == pytest.approx(4.0 / 5.0), "a second of nothing, four of one core"
            for _ in range(10):
                await scene.clock.advance(5.0)
                latest = await scene.read()
            assert latest.value == pytest.approx(1.0), "what is older than the window is over"

    asyncio.run(main())


def test_a_restart_of_a_container_is_no_negative_rate() -> None:
    async def main() -> None:
        async with Scene("cpu", {"value": "1", "type": "AverageValue"}, None) as scene:
            await scene.put("a")
            scene.usage.cores = {"a": {"main": 1.0}}
            assert (await scene.read()).value == pytest.approx(1.0)
            await scene.clock.advance(5.0)
            scene.usage.base["a"] = scene.clock.monotonic()
            assert (await scene.read()).value == pytest.approx(1.0), "two looks again, a second apart"

    asyncio.run(main())


def test_what_is_not_known_makes_a_lower_bound_or_nothing() -> None:
    async def main() -> None:
        async with Scene("memory", {"value": "50"}, MetricType.UTILIZATION) as scene:
            assert (await scene.read()) == Reading(0.0, note="no ready Pods")
            await scene.put("starting", container(memory="100Mi"), ready=False)
            assert (await scene.read()).quality is Quality.PARTIAL
            for name in ("a", "b"):
                await scene.put(name, container(memory="100Mi"))
            with pytest.raises(TemporaryError, match="2 ready Pods use could not be measured"):
                await scene.read()
            scene.usage.memory = {"a": {"main": 100 * MI}}
            reading = await scene.read()
            assert (reading.value, reading.quality) == (pytest.approx(50.0), Quality.PARTIAL)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("metadata", "made", "words"),
    [
        pytest.param(
            {"value": "50"}, {"name": "main", "image": "x"}, "container main .* requests no cpu", id="no requests"
        ),
        pytest.param(
            {"value": "50", "containerName": "web"}, container(cpu="1"), "no such container", id="no container"
        ),
    ],
)
def test_what_cannot_be_measured_is_named(metadata: dict[str, str], made: dict[str, Any], words: str) -> None:
    async def main() -> None:
        async with Scene("cpu", metadata, MetricType.UTILIZATION) as scene:
            await scene.put("a", made)
            scene.usage.cores = {"a": {"main": 1.0}}
            with pytest.raises(PermanentError, match=words):
                await scene.read()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("metadata", "more", "words"),
    [
        pytest.param({"value": "50"}, {}, r"metricType: must be Utilization or AverageValue", id="no type"),
        pytest.param({"value": "50"}, {"metric_type": MetricType.VALUE}, "metricType: must be", id="Value"),
        pytest.param(
            {"value": "5.5", "type": "Utilization"}, {}, r"value: is '5\.5', must be a whole", id="a fraction"
        ),
        pytest.param({"value": "0", "type": "Utilization"}, {}, "whole number of percent", id="zero percent"),
        pytest.param({"value": "much", "type": "AverageValue"}, {}, "no quantity", id="no quantity"),
        pytest.param({"value": "0", "type": "AverageValue"}, {}, "greater than 0", id="nothing"),
        pytest.param(
            {"value": "50", "type": "AverageValue"},
            {"metric_type": MetricType.UTILIZATION},
            "type: is AverageValue and metricType is Utilization",
            id="both, and not the same",
        ),
        pytest.param(
            {"value": "50", "type": "Utilization"}, {"owner_kind": "ScaledJob"}, "for ScaledObjects", id="Jobs"
        ),
    ],
)
def test_parameters(metadata: dict[str, str], more: dict[str, Any], words: str) -> None:
    with pytest.raises(PermanentError, match=words):
        scaler_of(a_trigger("cpu", metadata, **more), make_world())
