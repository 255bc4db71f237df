from __future__ import annotations

import asyncio

import pytest

from core.errors import TemporaryError
from core.resources.serving import SERVICE
from core.store.memory import MemoryStore
from scalers.readings import TargetRef
from scalers.target_pods import is_ready, pods_of
from tests.support.inside_scalers import a_trigger, make_world, put_deployment, put_pod


async def found(target: TargetRef) -> list[str]:
    world = make_world()
    store = world.store
    assert isinstance(store, MemoryStore)
    await store.open()
    try:
        mine, other = await put_deployment(store), await put_deployment(store, "hello-00002-deployment")
        for name in ("a", "b"):
            await put_pod(store, name, mine)
        await put_pod(store, "c", other)
        await put_pod(store, "stray")
        for name, status in (
            ("hello", {"latestReadyRevisionName": "hello-00002", "latestCreatedRevisionName": "hello-00003"}),
            ("new", {}),
        ):
            await store.create(SERVICE, {"metadata": {"namespace": "shop", "name": name}, "spec": {}})
            await store.modify(SERVICE, name, "shop", lambda obj, status=status: {**obj, "status": status}, "status")
        pods = await pods_of(store, a_trigger("cpu", {}, target=target))
        return sorted(pod["metadata"]["name"] for pod in pods)
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("target", "pods"),
    [
        pytest.param(TargetRef("Deployment", "orders"), ["a", "b"], id="of a Deployment, by ownership"),
        pytest.param(TargetRef("Service", "hello"), ["c"], id="of a Service's latest revision"),
        pytest.param(TargetRef("Service", "new"), [], id="of a Service without one"),
        pytest.param(TargetRef("Revision", "hello-00002"), ["c"], id="of a revision"),
    ],
)
def test_pods(target: TargetRef, pods: list[str]) -> None:
    assert asyncio.run(found(target)) == pods


def test_a_target_that_is_not_there_is_unknown() -> None:
    with pytest.raises(TemporaryError, match="Deployment shop/gone is not there"):
        asyncio.run(found(TargetRef("Deployment", "gone")))


def test_ready() -> None:
    pod = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert is_ready(pod)
    assert not is_ready({**pod, "metadata": {"deletionTimestamp": "x"}})
    assert not is_ready({"metadata": {}})
