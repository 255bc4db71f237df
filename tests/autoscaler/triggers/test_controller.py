"""autoscaler/triggers/controller.py and targets.py: documents, targets, pauses, the end of a ScaledObject."""

from __future__ import annotations

import asyncio

import pytest

from core.resources.keda import SCALED_OBJECT
from core.resources.meta import Json
from core.resources.serving import REVISION, SERVICE
from core.resources.workloads import DEPLOYMENT
from core.stats import RevisionKey
from tests.autoscaler.triggers.world import KedaWorld, story

TARGET_ERROR = "ScaledObject doesn't have correct scaleTargetRef specification"


def test_it_is_marked_and_told_as_upstream_does() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(2)
        await world.scaled_object(
            triggers=[
                {"type": "pond", "metadata": {"pond": "a"}, "authenticationRef": {"name": "pond-auth"}},
                {"type": "cron", "metadata": {}},
            ]
        )
        await world.secret("hunter22")
        await world.authentication()
        await asyncio.sleep(1.0)
        obj = await world.store.get(SCALED_OBJECT, "orders", "default")
        assert obj["metadata"]["finalizers"] == ["finalizer.keda.sh"]
        assert obj["metadata"]["labels"] == {"scaledobject.keda.sh/name": "orders"}
        status = await world.status()
        assert status["scaleTargetKind"] == "apps/v1.Deployment"
        assert status["scaleTargetGVKR"] == {
            "group": "apps",
            "version": "v1",
            "kind": "Deployment",
            "resource": "deployments",
        }
        assert status["originalReplicaCount"] == 2
        assert (status["triggersTypes"], status["authenticationsTypes"]) == ("pond,cron", "pond-auth")
        assert status["externalMetricNames"] == ["s0-pond-a", "s1-cron"]
        assert status["health"]["s0-pond-a"] == {"numberOfFailures": 0, "status": "Happy"}
        assert status["health"]["s1-cron"]["status"] == "Failing"
        assert status["triggersActivity"]["s0-pond-a"] == {"isActive": False}
        assert SCALED_OBJECT.parse(await world.store.get(SCALED_OBJECT, "orders", "default")).status is not None

    story(play)


def test_events_of_a_life() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        await world.scaled_object(cooldownPeriod=10)
        await asyncio.sleep(1.0)
        world.ponds["a"].value = 30.0
        await asyncio.sleep(10.0)
        world.ponds["a"].value = 0.0
        await asyncio.sleep(1000.0)
        world.ponds["a"].error = "no route to host"
        await asyncio.sleep(30.0)
        await world.store.delete(SCALED_OBJECT, "orders", "default")
        await asyncio.sleep(1.0)
        reasons = dict(await world.events())
        assert reasons["KEDAScalersStarted"] == "Started scalers watch"
        assert reasons["ScaledObjectReady"] == "ScaledObject is ready for scaling"
        activated = "Scaled apps/v1.Deployment default/orders from 0 to 3, triggered by s0-pond-a"
        assert reasons["KEDAScaleTargetActivated"] == activated
        assert reasons["KEDAScaleTargetDeactivated"].startswith("Deactivated apps/v1.Deployment default/orders from ")
        assert reasons["KEDAScaleTargetDeactivated"].endswith(" to 0")
        assert reasons["KEDAScalerFailed"] == "s0-pond-a: no route to host"
        assert reasons["ScaledObjectDeleted"] == "ScaledObject was deleted"
        assert await world.gone(SCALED_OBJECT)

    story(play)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        pytest.param({"name": "gone"}, "Target resource doesn't exist: there is no apps/v1.Deployment", id="missing"),
        pytest.param(
            {"name": "orders", "apiVersion": "apps/v1", "kind": "StatefulSet"},
            "Target resource doesn't expose /scale subresource: spec.scaleTargetRef is a apps/v1.StatefulSet",
            id="kind",
        ),
    ],
)
def test_a_target_that_is_wrong(target: Json, said: str) -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(3)
        await world.scaled_object(scaleTargetRef=target)
        await asyncio.sleep(1.0)
        status, reason, message = await world.condition("Ready")
        assert (status, reason) == ("False", "ScaledObjectCheckFailed")
        assert message.startswith(f"{TARGET_ERROR}: {said}")
        assert await world.condition("Active") == ("Unknown", "UnknownState", "ScaledObject check failed")
        told = [said.partition(":")[0], TARGET_ERROR]
        assert await world.events("ScaledObjectCheckFailed") == [("ScaledObjectCheckFailed", each) for each in told]
        assert not world.ponds["a"].asked

    story(play)


def test_a_target_that_comes_later_goes_and_comes_back() -> None:
    async def play(world: KedaWorld) -> None:
        world.ponds["a"].value = 20.0
        await world.scaled_object()
        await asyncio.sleep(1.0)
        await world.deployment(0)
        await asyncio.sleep(1.0)
        assert await world.replicas() == 2
        assert (await world.condition("Ready"))[0] == "True"
        await world.store.delete(DEPLOYMENT, "orders", "default")
        await asyncio.sleep(1.0)
        assert (await world.condition("Ready"))[1] == "ScaledObjectCheckFailed"
        await world.deployment(0)
        await asyncio.sleep(1.0)
        assert await world.replicas() == 2

    story(play)


def test_of_two_for_one_target_the_elder_has_it() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        world.ponds["a"].value, world.ponds["b"].value = 20.0, 70.0
        await world.scaled_object()
        await asyncio.sleep(2.0)
        await world.scaled_object(
            "later", scaleTargetRef={"name": "orders"}, triggers=[{"type": "pond", "metadata": {"pond": "b"}}]
        )
        await asyncio.sleep(20.0)
        assert await world.replicas() == 2
        assert (await world.condition("Ready", "later"))[2] == (
            f"{TARGET_ERROR}: the workload 'orders' of type 'apps/v1.Deployment' is already managed by the "
            "ScaledObject 'orders'"
        )
        await world.store.delete(SCALED_OBJECT, "orders", "default")
        await asyncio.sleep(2.0)
        assert await world.replicas() == 7
        assert (await world.condition("Ready", "later"))[0] == "True"

    story(play)


def test_a_deployment_of_a_revision_is_left_to_requests() -> None:
    async def play(world: KedaWorld) -> None:
        owner = {"apiVersion": "serving.knative.dev/v1", "kind": "Revision", "name": "hello-00001", "uid": "u"}
        await world.create(
            DEPLOYMENT,
            "hello-00001-deployment",
            {"metadata": {"ownerReferences": [{**owner, "controller": True}]}, "spec": {"replicas": 1}},
        )
        await world.scaled_object(scaleTargetRef={"name": "hello-00001-deployment"})
        await asyncio.sleep(1.0)
        assert "belongs to revision hello-00001" in (await world.condition("Ready"))[2]

    story(play)


@pytest.mark.parametrize("restore", [True, False])
def test_what_there_was_comes_back_with_the_end_where_that_is_asked_for(restore: bool) -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(4)
        world.ponds["a"].value = 90.0
        await world.scaled_object(advanced={"restoreToOriginalReplicaCount": restore})
        await asyncio.sleep(30.0)
        assert await world.replicas() == 9
        async with world.restarted():
            await asyncio.sleep(1.0)
        await world.store.delete(SCALED_OBJECT, "orders", "default")
        await asyncio.sleep(1.0)
        assert await world.gone(SCALED_OBJECT)
        await asyncio.sleep(30.0)
        assert await world.replicas() == (4 if restore else 9)

    story(play)


def test_between_two_kinds_of_pause_nothing_is_scaled() -> None:
    async def play(world: KedaWorld) -> None:
        world.ponds["a"].value = 90.0
        await world.deployment(2)
        await world.scaled_object()
        await world.annotate(paused_replicas="5")
        await asyncio.sleep(5.0)
        assert await world.replicas() == 5
        await world.annotate(paused_replicas=None)
        await asyncio.sleep(0.5)  # so long kubectl takes for the next one
        await world.annotate(paused="true")
        await asyncio.sleep(30.0)
        assert await world.replicas() == 5
        await world.annotate(paused=None)
        await asyncio.sleep(2.0)
        assert await world.replicas() == 9

    story(play)


def test_pauses() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        world.ponds["a"].value = 30.0
        await world.scaled_object(cooldownPeriod=5)
        await asyncio.sleep(1.0)
        assert await world.replicas() == 3
        await world.annotate(paused="true")
        world.ponds["a"].value = 90.0
        await asyncio.sleep(30.0)
        assert await world.replicas() == 3
        assert await world.condition("Paused") == ("True", "ScaledObjectPaused", "ScaledObject is paused")
        await world.annotate(paused_replicas="7")
        await asyncio.sleep(1.0)
        assert await world.replicas() == 7
        assert (await world.status())["pausedReplicaCount"] == 7
        await world.annotate(paused=None, paused_replicas=None)
        await asyncio.sleep(10.0)
        assert await world.replicas() == 9
        assert (await world.condition("Paused"))[:2] == ("False", "ScaledObjectUnpaused")
        assert "pausedReplicaCount" not in await world.status()
        assert sorted(reason for reason, _ in await world.events() if "aused" in reason) == [
            "ScaledObjectPaused",
            "ScaledObjectUnpaused",
        ]

    story(play)


def test_a_service_is_told_how_many_it_has_at_least() -> None:
    async def play(world: KedaWorld) -> None:
        await revision(world, "hello-00001")
        await world.create(SERVICE, "hello", {"spec": {}, "status": {"latestReadyRevisionName": "hello-00001"}})
        target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello"}
        world.ponds["a"].value = 30.0
        await world.scaled_object(scaleTargetRef=target, cooldownPeriod=10)
        await asyncio.sleep(1.0)
        first, second = RevisionKey("default", "hello-00001"), RevisionKey("default", "hello-00002")
        assert world.floors == {first: 3}
        assert (await world.status())["scaleTargetKind"] == "serving.knative.dev/v1.Service"

        await revision(world, "hello-00002")

        def ready(obj: Json) -> Json:
            return {**obj, "status": {"latestReadyRevisionName": "hello-00002"}}

        await world.store.modify(SERVICE, "hello", "default", ready, "status")
        await asyncio.sleep(1.0)
        assert world.floors == {first: 0, second: 3}
        world.ponds["a"].value = 0.0
        await asyncio.sleep(1000.0)
        assert world.floors == {first: 0, second: 0}
        world.ponds["a"].value = 30.0
        await asyncio.sleep(10.0)
        await world.store.delete(SCALED_OBJECT, "orders", "default")
        await asyncio.sleep(1.0)
        assert world.floors == {first: 0, second: 0}

    story(play)


async def revision(world: KedaWorld, name: str) -> None:
    await world.create(REVISION, name, {"spec": {"containers": [{"name": "app", "image": "fake/app"}]}})


def test_a_platform_without_scaled_objects_watches_no_pods() -> None:
    async def play(world: KedaWorld) -> None:
        await asyncio.sleep(10.0)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert "scaledobjects:pods" not in names
        await world.deployment(0)
        await world.scaled_object()
        await asyncio.sleep(1.0)
        assert "scaledobjects:pods" in {task.get_name() for task in asyncio.all_tasks()}

    story(play)
