"""autoscaler/triggers/targets.py: counts of a Deployment's Pods, and whom a change of a target concerns."""

from __future__ import annotations

import asyncio

from autoscaler.triggers.documents import TargetKey
from autoscaler.triggers.loop import Seen
from autoscaler.triggers.targets import Targets, latest_revision
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.serving import CONFIGURATION, REVISION, SERVICE
from core.resources.workloads import DEPLOYMENT
from core.store.base import DeleteOptions
from core.tasks import start_service
from tests.autoscaler.triggers.world import KedaWorld, story


def test_what_is_told() -> None:
    async def play(world: KedaWorld) -> None:
        counts: dict[tuple[str, str], Seen | None] = {}
        changed: list[TargetKey] = []
        targets = Targets(world.store, counts.__setitem__, changed.append)
        async with asyncio.TaskGroup() as group:
            task = await start_service(group, targets.run, "targets")
            await world.deployment(2)
            await world.follow()
            await asyncio.sleep(1.0)
            assert not counts, "nobody has asked"
            targets.begin()
            await asyncio.sleep(1.0)
            name = ("default", "orders")
            assert targets.look(name) == Seen(2, ready=2, in_flight=None)
            await world.report(pod=1, in_hand="4")
            await world.report(pod=2, in_hand="unknown")
            await asyncio.sleep(1.0)
            assert counts[name] == Seen(2, ready=2, in_flight=5)
            await world.store.delete(POD, "orders-1", "default", DeleteOptions(grace_period_s=0))
            await asyncio.sleep(1.0)
            assert counts[name] == Seen(2, ready=1, in_flight=1)
            changed.clear()

            def scale(obj: Json) -> None:
                obj["spec"]["replicas"] = 7

            def other(obj: Json) -> None:
                obj["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "b"}]

            await world.edit(DEPLOYMENT, "orders", scale)
            await asyncio.sleep(1.0)
            assert (counts[name], changed) == (Seen(7, ready=1, in_flight=1), [])
            await world.edit(DEPLOYMENT, "orders", other)
            await asyncio.sleep(1.0)
            assert changed == [TargetKey("apps/v1", "Deployment", *name)]
            await world.store.delete(DEPLOYMENT, "orders", "default")
            await asyncio.sleep(1.0)
            assert counts[name] is None
            assert len(changed) == 2
            task.cancel()

    story(play, run_objects=False)


def test_the_latest_revision() -> None:
    service = {"metadata": {"name": "hello"}, "status": {"latestReadyRevisionName": "hello-00002"}}
    assert latest_revision(SERVICE, service) == "hello-00002"
    assert latest_revision(CONFIGURATION, {"metadata": {"name": "hello"}}) == ""
    assert latest_revision(REVISION, {"metadata": {"name": "hello-00001"}}) == "hello-00001"
