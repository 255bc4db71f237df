"""autoscaler/triggers/hpa_writer.py, hpa_view.py: the HorizontalPodAutoscalers that a world of ScaledObjects shows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autoscaler.triggers.hpa_writer import SLOW_S
from core.errors import ApiError
from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER as HPA
from core.resources.hpa_columns import hpa_targets
from core.resources.keda import SCALED_OBJECT
from core.resources.meta import Json
from core.resources.workloads import DEPLOYMENT
from core.store.base import DeleteOptions
from tests.autoscaler.triggers.world import KedaWorld, story

NAME = "keda-hpa-orders"
RENAMED = {"horizontalPodAutoscalerConfig": {"name": "mine"}}


async def shown(world: KedaWorld, name: str = NAME) -> Json:
    await asyncio.sleep(0.5)
    return await world.store.get(HPA, name, "default")


def conditions(obj: Json) -> dict[str, str]:
    return {each["type"]: each["reason"] for each in obj["status"]["conditions"]}


def count_writes(world: KedaWorld, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    modify, at = world.store.modify, []

    async def counted(kind: Any, *args: Any, **more: Any) -> Json:
        if kind is HPA:
            at.append(world.now)
        return await modify(kind, *args, **more)

    monkeypatch.setattr(world.store, "modify", counted)
    return at


async def begin(world: KedaWorld, replicas: int = 0, **spec: Any) -> None:
    await world.deployment(replicas)
    await world.scaled_object(**spec)
    await asyncio.sleep(1.0)


def test_a_life() -> None:
    async def play(world: KedaWorld) -> None:
        world.ponds["a"].value = 0.0
        await begin(world, maxReplicaCount=4)
        obj = await shown(world)
        assert obj["metadata"]["ownerReferences"][0]["name"] == "orders"
        assert (obj["spec"]["minReplicas"], obj["spec"]["maxReplicas"]) == (1, 4)
        assert hpa_targets(obj) == "0/10 (avg)"
        assert conditions(obj)["ScalingActive"] == "ScalingDisabled"
        assert (await world.status())["hpaName"] == NAME
        world.ponds["a"].value = 30.0
        await asyncio.sleep(10.0)
        obj = await shown(world)
        assert (obj["status"]["currentReplicas"], obj["status"]["desiredReplicas"]) == (3, 3)
        assert hpa_targets(obj) == "10/10 (avg)"
        assert obj["status"]["lastScaleTime"]
        assert conditions(obj) == {
            "AbleToScale": "ReadyForNewScale",
            "ScalingActive": "ValidMetricFound",
            "ScalingLimited": "DesiredWithinRange",
        }
        world.ponds["a"].error = "no route to host"
        await asyncio.sleep(10.0)
        obj = await shown(world)
        assert hpa_targets(obj) == "<unknown>/10 (avg)"
        assert conditions(obj)["ScalingActive"] == "FailedGetExternalMetric"
        await world.store.delete(SCALED_OBJECT, "orders", "default")
        await asyncio.sleep(1.0)
        assert await world.gone(HPA, NAME)

    story(play)


def test_it_goes_with_a_pause_and_comes_back() -> None:
    async def play(world: KedaWorld) -> None:
        await begin(world)
        await world.annotate(paused="true")
        await asyncio.sleep(1.0)
        assert await world.gone(HPA, NAME)
        assert "hpaName" not in await world.status()
        await world.annotate(paused=None)
        assert (await shown(world))["status"]["desiredReplicas"] == 0

    story(play)


def test_it_is_renamed() -> None:
    async def play(world: KedaWorld) -> None:
        await begin(world)
        await world.edit(SCALED_OBJECT, "orders", lambda obj: obj["spec"].update(advanced=RENAMED))
        assert (await shown(world, "mine"))["metadata"]["labels"]["app.kubernetes.io/name"] == "mine"
        assert await world.gone(HPA, NAME)
        assert (await world.status())["hpaName"] == "mine"

    story(play)


def test_there_is_none_without_a_target() -> None:
    async def play(world: KedaWorld) -> None:
        await begin(world)
        await world.store.delete(DEPLOYMENT, "orders", "default")
        await asyncio.sleep(1.0)
        assert await world.gone(HPA, NAME)
        await world.deployment(0)
        assert (await shown(world))["spec"]["scaleTargetRef"]["name"] == "orders"

    story(play)


def test_labels_of_the_document_are_followed() -> None:
    async def play(world: KedaWorld) -> None:
        await begin(world)
        await world.edit(SCALED_OBJECT, "orders", lambda obj: obj["metadata"]["labels"].update(team="x"))
        assert (await shown(world))["metadata"]["labels"]["team"] == "x"

    story(play)


def test_what_somebody_takes_away_or_changes_comes_back() -> None:
    async def play(world: KedaWorld) -> None:
        await begin(world)
        before = (await shown(world))["metadata"]["uid"]
        await world.store.delete(HPA, NAME, "default", DeleteOptions())
        assert (await shown(world))["metadata"]["uid"] != before
        await world.edit(HPA, NAME, lambda obj: obj["spec"].update(maxReplicas=1))
        await world.edit(SCALED_OBJECT, "orders", lambda obj: obj["spec"].update(minReplicaCount=1))
        spec = (await shown(world))["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 100)

    story(play)


@pytest.mark.parametrize("taken", [False, True])
def test_one_of_a_user_is_left_alone_unless_it_is_taken_over(taken: bool) -> None:
    async def play(world: KedaWorld) -> None:
        spec = {"scaleTargetRef": {"kind": "Deployment", "name": "another"}, "maxReplicas": 2}
        await world.create(HPA, NAME, {"spec": spec})
        await world.deployment(0)
        said = {"scaledobject.keda.sh/transfer-hpa-ownership": "true"} if taken else {}
        await world.scaled_object(annotations=said)
        obj = await shown(world)
        assert (obj["spec"]["maxReplicas"], "status" in obj) == ((100, True) if taken else (2, False))
        await world.store.delete(SCALED_OBJECT, "orders", "default")
        await asyncio.sleep(1.0)
        assert await world.gone(HPA, NAME) is taken

    story(play)


def test_a_formula_and_processors_time() -> None:
    async def play(world: KedaWorld) -> None:
        world.ponds["a"].value = world.ponds["b"].value = 20.0
        modifiers = {"formula": "a + b", "target": "5"}
        triggers = [{"type": "pond", "name": each, "metadata": {"pond": each}} for each in ("a", "b")]
        await begin(world, 2, triggers=triggers, advanced={"scalingModifiers": modifiers})
        await asyncio.sleep(10.0)
        obj = await shown(world)
        (metric,) = obj["spec"]["metrics"]
        assert metric["external"]["metric"]["name"] == "composite-metric"
        assert hpa_targets(obj) == "5/5 (avg)"

    story(play)


def test_values_that_drift_are_written_four_times_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: KedaWorld) -> None:
        world.ponds["a"].value = 5.0
        await begin(world, pollingInterval=1)
        await asyncio.sleep(30.0)
        written = count_writes(world, monkeypatch)
        for number in range(150):
            world.ponds["a"].value = 5.0 + number % 4
            await asyncio.sleep(1.0)
        assert 5 <= len(written) <= 150.0 / SLOW_S + 1
        await asyncio.sleep(SLOW_S)
        written.clear()
        await asyncio.sleep(300.0)
        assert written == []

    story(play)


def test_a_write_that_fails_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: KedaWorld) -> None:
        create = world.store.create

        async def refused(kind: Any, obj: Json) -> Json:
            if kind is HPA:
                raise ApiError("not now")
            return await create(kind, obj)

        monkeypatch.setattr(world.store, "create", refused)
        await begin(world)
        assert await world.gone(HPA, NAME)
        monkeypatch.setattr(world.store, "create", create)
        await asyncio.sleep(60.0)
        assert not await world.gone(HPA, NAME)

    story(play)
