from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.resources.pods import POD
from core.store.memory import MemoryStore
from scalers.kubernetes_workload import WorkloadParameters
from scalers.params import parse
from scalers.readings import Target
from tests.support.inside_scalers import a_trigger, make_world, put_pod, scaler_of, set_status

PODS: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("a", {"app": "backend"}, {"nodeName": "one"}),
    ("b", {"app": "backend", "deploy": "critical"}, {"nodeName": "one"}),
    ("c", {"app": "backend"}, {"phase": "Succeeded"}),
    ("d", {"app": "backend"}, {"phase": "Failed"}),
    ("e", {"app": "backend"}, {"phase": "Pending", "ready": False}),
    ("f", {"app": "frontend"}, {"nodeName": "two"}),
]


@pytest.mark.parametrize(
    ("metadata", "count"),
    [
        pytest.param({"podSelector": "app=backend"}, 3, id="those that have ended do not count"),
        pytest.param({"podSelector": "app in (backend, frontend)"}, 4, id="a set"),
        pytest.param({"podSelector": "app=backend, deploy notin (critical, monolith)"}, 2, id="KEDA's example"),
        pytest.param({"podSelector": "app=nothing"}, 0, id="none"),
        pytest.param({"podSelector": "app", "groupByNode": "true"}, 2, id="by node"),
        pytest.param({"podSelector": "app=backend", "namespace": "other"}, 0, id="elsewhere"),
    ],
)
def test_count(metadata: dict[str, str], count: int) -> None:
    async def main() -> None:
        world = make_world()
        assert isinstance(world.store, MemoryStore)
        await world.store.open()
        for name, labels, more in PODS:
            await put_pod(world.store, name, labels=labels, **more)
        trigger = a_trigger("kubernetes-workload", {"value": "0.5", "activationValue": "3.1", **metadata})
        scaler = scaler_of(trigger, world)
        assert await scaler.targets() == (Target(f"workload-{metadata.get('namespace', 'shop')}", 0.5, 3.1),)
        (reading,) = await scaler.read()
        assert reading.value == count
        await world.store.close()

    asyncio.run(main())


def test_it_hears_when_their_number_changes_until_the_store_is_closed() -> None:
    async def main() -> None:
        world, heard = make_world(), list[bool]()
        assert isinstance(world.store, MemoryStore)
        await world.store.open()
        scaler = scaler_of(a_trigger("kubernetes-workload", {"podSelector": "app=orders", "value": "1"}), world)

        async def until(expected: list[bool]) -> None:
            async with asyncio.timeout(5):
                while heard != expected:
                    await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            run = group.create_task(scaler.run(heard.append))
            await until([False])
            await put_pod(world.store, "a")
            await until([False, True])
            await put_pod(world.store, "other", labels={"app": "other"})
            await put_pod(world.store, "b")
            await until([False, True, True])
            await set_status(world.store, "b", phase="Succeeded")
            await until([False, True, True, True])
            await world.store.delete(POD, "a", "shop")
            await set_status(world.store, "a", phase="Succeeded")
            await until([False, True, True, True, False])
            await world.store.close()
            async with asyncio.timeout(5):
                await run

    asyncio.run(main())


@pytest.mark.parametrize(
    ("metadata", "path", "words"),
    [
        pytest.param({"podSelector": "a==", "value": "1"}, None, "", id="an empty value of a label"),
        pytest.param({"podSelector": "a in b", "value": "1"}, "podSelector", "label selector", id="no selector"),
        pytest.param({"value": "1"}, "podSelector", "is required", id="without selector"),
        pytest.param({"podSelector": "a=b", "value": "0"}, "value", "greater than 0", id="no value"),
    ],
)
def test_parameters(metadata: dict[str, str], path: str | None, words: str) -> None:
    wrong = parse(WorkloadParameters, a_trigger("kubernetes-workload", metadata))
    if path is None:
        assert isinstance(wrong, WorkloadParameters)
        return
    assert isinstance(wrong, list)
    assert [each.path for each in wrong] == [f"spec.triggers[0].metadata.{path}"]
    assert words in wrong[0].message
