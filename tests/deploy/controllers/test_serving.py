"""Whole stories of Knative Serving: documents go in, objects and conditions come out.

Covers deploy/controllers/service.py, deploy/controllers/configuration.py, deploy/controllers/revision.py,
deploy/controllers/ingresses.py, deploy/controllers/registry.py, deploy/controllers/world.py,
deploy/controllers/telling.py and deploy/controllers/changes.py.
"""

from __future__ import annotations

from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.conditions import find_condition
from core.resources.core_v1 import EVENT
from core.resources.networking import INGRESS
from core.resources.pods import POD
from core.resources.serving import CONFIGURATION, REVISION, ROUTE, SERVICE
from core.resources.workloads import DEPLOYMENT
from deploy.images import ImageProblem, RuntimeProblem
from tests.support.serving import MUTE, NAMESPACE, Platform, exited, story, waiting


async def replicas(platform: Platform, revision: str) -> int:
    deployment = await platform.get(DEPLOYMENT, f"{revision}-deployment")
    return int(deployment["spec"]["replicas"])


@story
async def test_a_service_becomes_ready(platform: Platform) -> None:
    await platform.service()
    service = await platform.get(SERVICE, "hello")
    assert await platform.condition(SERVICE, "hello") == ("True", "")
    status = service["status"]
    assert status["url"] == "http://hello.default.localhost:8080"
    assert status["address"] == {"url": "http://hello.default.svc.cluster.local"}
    assert status["latestCreatedRevisionName"] == status["latestReadyRevisionName"] == "hello-00001"
    assert status["traffic"] == [{"latestRevision": True, "percent": 100, "revisionName": "hello-00001"}]
    assert status["observedGeneration"] == service["metadata"]["generation"]
    for kind, name in ((CONFIGURATION, "hello"), (ROUTE, "hello"), (REVISION, "hello-00001"), (INGRESS, "hello")):
        assert await platform.condition(kind, name) == ("True", "")
    assert await platform.split("hello.default.localhost") == {"hello-00001": 100}


@story
async def test_what_is_made_of_a_revision(platform: Platform) -> None:
    await platform.service(template={"annotations": {"autoscaling.knative.dev/min-scale": "0", "a.b/c": "d"}})
    revision = await platform.get(REVISION, "hello-00001")
    marks = revision["metadata"]["labels"]
    assert marks["serving.knative.dev/service"] == marks["serving.knative.dev/configuration"] == "hello"
    assert marks["serving.knative.dev/configurationGeneration"] == "1"
    assert marks["serving.knative.dev/routingState"] == "active"
    assert revision["metadata"]["annotations"]["serving.knative.dev/routes"] == "hello"
    assert revision["metadata"]["annotations"]["serving.knative.dev/creator"] == "ann"
    digest = f"v1@sha256:{'0' * 64}"
    assert revision["status"]["containerStatuses"] == [{"name": "user-container", "imageDigest": digest}]

    deployment = await platform.get(DEPLOYMENT, "hello-00001-deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == digest
    assert {e["name"]: e["value"] for e in container["env"]} == {
        "K_SERVICE": "hello",
        "K_CONFIGURATION": "hello",
        "K_REVISION": "hello-00001",
        "PORT": "8080",
    }
    assert deployment["metadata"]["annotations"]["a.b/c"] == "d"
    assert "autoscaling.knative.dev/min-scale" not in deployment["metadata"]["annotations"]

    scaler = await platform.get(POD_AUTOSCALER, "hello-00001")
    assert scaler["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"] == "0"
    assert scaler["spec"]["reachability"] == "Reachable"
    assert scaler["spec"]["scaleTargetRef"]["name"] == "hello-00001-deployment"


@story
async def test_a_sleeping_revision_stays_ready(platform: Platform) -> None:
    await platform.service()
    assert await platform.condition(REVISION, "hello-00001", "Active") == ("True", "")
    platform.scaler.scale("hello-00001", 0)
    await platform.settle()
    revision = await platform.get(REVISION, "hello-00001")
    assert await platform.condition(REVISION, "hello-00001") == ("True", "")
    assert await platform.condition(REVISION, "hello-00001", "Active") == ("False", "NoTraffic")
    assert revision["status"]["actualReplicas"] == revision["status"]["desiredReplicas"] == 0
    assert await platform.condition(SERVICE, "hello") == ("True", "")
    assert await platform.names(POD) == []


@story
async def test_after_a_restart_nothing_has_to_start_to_be_ready(platform: Platform) -> None:
    await platform.service()
    before = (await platform.get(SERVICE, "hello"))["status"]
    await platform.restart()
    assert (await platform.get(SERVICE, "hello"))["status"] == before
    assert await replicas(platform, "hello-00001") == 0
    assert await platform.names(POD) == []
    assert await platform.condition(REVISION, "hello-00001") == ("True", "")
    assert await platform.split("hello.default.localhost") == {"hello-00001": 100}
    assert platform.images.asked == ["v1"], "the digest is resolved once in a revision's life"


@story
async def test_a_new_generation_takes_over_when_it_is_ready(platform: Platform) -> None:
    await platform.service("v1")
    platform.node.states["hello-00002"] = waiting("ContainerCreating")
    await platform.service("v2")
    assert await platform.condition(SERVICE, "hello") == ("Unknown", "")
    assert await platform.split("hello.default.localhost") == {"hello-00001": 100}
    status = (await platform.get(CONFIGURATION, "hello"))["status"]
    assert (status["latestCreatedRevisionName"], status["latestReadyRevisionName"]) == ("hello-00002", "hello-00001")
    await ready_at_last(platform, "hello-00002")
    assert await platform.condition(SERVICE, "hello") == ("True", "")
    assert await platform.split("hello.default.localhost") == {"hello-00002": 100}
    revision = await platform.get(REVISION, "hello-00001")
    assert revision["metadata"]["labels"]["serving.knative.dev/routingState"] == "reserve"
    assert (await platform.get(POD_AUTOSCALER, "hello-00001"))["spec"]["reachability"] == "Unreachable"


async def ready_at_last(platform: Platform, revision: str) -> None:
    del platform.node.states[revision]
    for name in await platform.names(POD):
        if name.startswith(revision):
            await platform.memory.modify(
                POD, name, NAMESPACE, lambda pod: {**pod, "metadata": {**pod["metadata"], "annotations": {"poke": "1"}}}
            )
    await platform.settle()


@story
async def test_an_older_revision_that_becomes_ready_late_never_moves_traffic_back(platform: Platform) -> None:
    platform.node.states["hello-00001"] = waiting("ContainerCreating")
    await platform.service("v1")
    await platform.service("v2")
    assert await platform.split("hello.default.localhost") == {"hello-00002": 100}
    await ready_at_last(platform, "hello-00001")
    assert await platform.condition(REVISION, "hello-00001") == ("True", "")
    assert (await platform.get(CONFIGURATION, "hello"))["status"]["latestReadyRevisionName"] == "hello-00002"
    assert await platform.split("hello.default.localhost") == {"hello-00002": 100}


@story
async def test_a_failing_revision_leaves_traffic_where_it_was(platform: Platform) -> None:
    await platform.service("v1")
    platform.node.states["hello-00002"] = exited(5, "no such file")
    await platform.service("v2")
    assert await platform.condition(REVISION, "hello-00002", "ContainerHealthy") == ("False", "ExitCode5")
    assert await platform.message(REVISION, "hello-00002") == "Container failed with: no such file"
    assert await platform.condition(CONFIGURATION, "hello") == ("False", "RevisionFailed")
    assert await platform.condition(SERVICE, "hello", "ConfigurationsReady") == ("False", "RevisionFailed")
    assert await platform.message(SERVICE, "hello") == (
        'Revision "hello-00002" failed with message: Container failed with: no such file.'
    )
    assert await platform.condition(SERVICE, "hello", "RoutesReady") == ("True", "")
    assert await platform.split("hello.default.localhost") == {"hello-00001": 100}
    assert (await platform.get(POD_AUTOSCALER, "hello-00002"))["spec"]["reachability"] == "Unreachable"


@story
async def test_an_image_that_does_not_exist(platform: Platform) -> None:
    platform.images.answers["nowhere"] = ImageProblem("manifest unknown")
    await platform.service("nowhere")
    assert await platform.condition(REVISION, "hello-00001") == ("False", "ContainerMissing")
    assert await platform.message(REVISION, "hello-00001") == 'Unable to fetch image "nowhere": manifest unknown'
    assert await platform.condition(SERVICE, "hello", "RoutesReady") == ("False", "RevisionMissing")
    assert not await platform.exists(DEPLOYMENT, "hello-00001-deployment")

    del platform.images.answers["nowhere"]  # it was pushed
    await platform.settle(60)
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_no_engine_to_run_it(platform: Platform) -> None:
    platform.images.answers["v1"] = RuntimeProblem("no container engine answers; start Docker or Podman")
    await platform.service()
    assert await platform.condition(REVISION, "hello-00001", "ResourcesAvailable") == ("False", "RuntimeUnavailable")
    assert "start Docker or Podman" in await platform.message(SERVICE, "hello")
    del platform.images.answers["v1"]
    await platform.settle(6)
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_an_image_by_digest_is_not_asked_for(platform: Platform) -> None:
    image = f"busybox@sha256:{'a' * 64}"
    platform.node.states["hello-00001"] = waiting("ErrImagePull", "not found")
    await platform.service(image)
    assert platform.images.asked == []
    assert await platform.condition(REVISION, "hello-00001") == ("False", "ErrImagePull")
    assert await platform.condition(CONFIGURATION, "hello") == ("False", "RevisionFailed")


@story
async def test_a_pull_that_fails_is_told_at_once(platform: Platform) -> None:
    platform.node.states["hello-00001"] = waiting("ImagePullBackOff", "Back-off pulling image")
    await platform.service()
    assert await platform.condition(REVISION, "hello-00001", "ResourcesAvailable") == ("False", "ImagePullBackOff")
    assert await platform.message(REVISION, "hello-00001") == "Back-off pulling image"


@story
async def test_one_that_never_binds_its_port_fails_at_its_deadline(platform: Platform) -> None:
    platform.node.states["hello-00001"] = waiting("ContainerCreating")
    await platform.service(template={"annotations": {"serving.knative.dev/progress-deadline": "30s"}})
    assert await platform.condition(REVISION, "hello-00001") == ("Unknown", "Deploying")
    await platform.settle(35)
    assert await platform.condition(REVISION, "hello-00001") == ("False", "ProgressDeadlineExceeded")


@story
async def test_what_a_first_start_waits_for_is_told_by_the_service(platform: Platform) -> None:
    platform.node.states["hello-00001"] = waiting("ContainerCreating", "Collecting flask")
    await platform.service()
    assert await platform.condition(REVISION, "hello-00001") == ("Unknown", "Deploying")
    for kind, name in ((REVISION, "hello-00001"), (CONFIGURATION, "hello"), (SERVICE, "hello")):
        assert await platform.message(kind, name) == "Collecting flask"


@story
async def test_a_start_that_fails_after_it_was_ready(platform: Platform) -> None:
    await platform.service()
    platform.scaler.scale("hello-00001", 0)
    await platform.settle()
    platform.node.states["hello-00001"] = exited(3)
    platform.scaler.scale("hello-00001", 1)
    await platform.settle()
    assert await platform.condition(REVISION, "hello-00001") == ("False", "ExitCode3")
    assert await platform.condition(SERVICE, "hello", "ConfigurationsReady") == ("False", "RevisionFailed")
    assert await platform.condition(SERVICE, "hello", "RoutesReady") == ("False", "RevisionMissing")
    assert await platform.split("hello.default.localhost") == {"hello-00001": 100}, "requests still find it"

    await ready_at_last(platform, "hello-00001")
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_a_wake_that_never_becomes_ready(platform: Platform) -> None:
    """Time is told by the monotonic clock: setting the other one makes nobody late."""
    await platform.service(template={"annotations": {"serving.knative.dev/progress-deadline": "30s"}})
    platform.scaler.scale("hello-00001", 0)
    await platform.settle()
    platform.node.states["hello-00001"] = MUTE
    platform.scaler.scale("hello-00001", 1)
    await platform.settle(20)
    platform.clock.jump_wall(86_400)
    await platform.settle(8)
    assert await platform.condition(SERVICE, "hello") == ("True", ""), "it still may"
    await platform.settle(3)
    assert await platform.condition(REVISION, "hello-00001") == ("False", "ProgressDeadlineExceeded")
    said = "it has run for 30 s and is not ready: container user-container is not ready"
    assert await platform.message(REVISION, "hello-00001") == said
    assert await platform.message(CONFIGURATION, "hello") == f'Revision "hello-00001" failed with message: {said}.'
    assert await platform.condition(SERVICE, "hello") == ("False", "RevisionFailed")
    assert await platform.split("hello.default.localhost") == {"hello-00001": 100}, "requests still find it"

    platform.scaler.scale("hello-00001", 0)
    await platform.settle()
    assert await platform.condition(SERVICE, "hello") == ("False", "RevisionFailed"), "a stop proves nothing"
    del platform.node.states["hello-00001"]
    platform.scaler.scale("hello-00001", 1)
    await platform.settle()
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_the_split_in_force_outlives_a_restart_although_its_revision_fails(platform: Platform) -> None:
    await platform.service()
    platform.node.states["hello-00001"] = exited(3)
    platform.scaler.scale("hello-00001", 0)
    await platform.settle()
    platform.scaler.scale("hello-00001", 1)
    await platform.settle()
    assert await platform.condition(SERVICE, "hello") == ("False", "RevisionFailed")
    await platform.restart()
    assert await platform.split("hello.default.localhost") == {"hello-00001": 100}


@story
async def test_the_revision_of_the_present_generation_is_made_again(platform: Platform) -> None:
    await platform.service()
    uid = (await platform.get(REVISION, "hello-00001"))["metadata"]["uid"]
    await platform.memory.delete(REVISION, "hello-00001", NAMESPACE)
    await platform.settle(3)
    assert (await platform.get(REVISION, "hello-00001"))["metadata"]["uid"] != uid
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_children_that_are_deleted_come_back(platform: Platform) -> None:
    await platform.service()
    children = (
        (DEPLOYMENT, "hello-00001-deployment"),
        (POD_AUTOSCALER, "hello-00001"),
        (INGRESS, "hello"),
        (ROUTE, "hello"),
        (CONFIGURATION, "hello"),
    )
    for kind, name in children:
        await platform.memory.delete(kind, name, NAMESPACE)
        await platform.settle(3)
        assert await platform.exists(kind, name), kind
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_children_that_are_changed_are_put_right(platform: Platform) -> None:
    await platform.service()
    await platform.memory.modify(ROUTE, "hello", NAMESPACE, lambda r: {**r, "spec": {"traffic": []}})
    await platform.settle()
    traffic = (await platform.get(ROUTE, "hello"))["spec"]["traffic"]
    assert traffic == [{"percent": 100, "latestRevision": True, "configurationName": "hello"}]
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_a_child_of_that_name_that_is_anothers(platform: Platform) -> None:
    await platform.apply(
        CONFIGURATION, {"metadata": {"name": "hello"}, "spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}
    )
    await platform.service()
    assert await platform.condition(SERVICE, "hello", "ConfigurationsReady") == ("False", "NotOwned")
    assert await platform.message(SERVICE, "hello") == 'There is an existing Configuration "hello" that we do not own.'


@story
async def test_a_revision_name_that_the_user_brings(platform: Platform) -> None:
    await platform.service("v1", template={"name": "hello-one"})
    assert await platform.condition(SERVICE, "hello") == ("True", "")
    await platform.service("v2", template={"name": "hello-two"})
    assert await platform.split("hello.default.localhost") == {"hello-two": 100}

    # Rolled back to the old name with the old template: the old revision serves again.
    uid = (await platform.get(REVISION, "hello-one"))["metadata"]["uid"]
    await platform.service("v1", template={"name": "hello-one"})
    assert await platform.condition(SERVICE, "hello") == ("True", "")
    assert await platform.split("hello.default.localhost") == {"hello-one": 100}
    assert (await platform.get(REVISION, "hello-one"))["metadata"]["uid"] == uid
    assert await platform.names(REVISION) == ["hello-one", "hello-two"]


@story
async def test_a_revision_name_that_is_taken(platform: Platform) -> None:
    await platform.service("v1", template={"name": "hello-one"})
    await platform.service("v2", template={"name": "hello-two"})
    await platform.service("v3", template={"name": "hello-one"})
    assert await platform.condition(SERVICE, "hello", "RoutesReady") == ("False", "RevisionNameTaken")
    assert await platform.condition(CONFIGURATION, "hello") == ("False", "RevisionFailed")
    assert await platform.message(CONFIGURATION, "hello") == (
        'Revision creation failed with message: revisions.serving.knative.dev "hello-one" already exists.'
    )
    assert await platform.split("hello.default.localhost") == {"hello-two": 100}


@story
async def test_initial_scale(platform: Platform) -> None:
    platform.node.states["hello-00001"] = waiting("ContainerCreating")
    await platform.service(template={"annotations": {"autoscaling.knative.dev/initial-scale": "3"}})
    deployment = await platform.get(DEPLOYMENT, "hello-00001-deployment")
    assert deployment["metadata"]["generation"] >= 1
    await platform.configure("config-autoscaler", allow_zero_initial_scale="true")
    await platform.service(name="asleep", template={"annotations": {"autoscaling.knative.dev/initialScale": "0"}})
    assert await replicas(platform, "asleep-00001") == 0


@story
async def test_a_change_of_the_service_alone_makes_no_revision(platform: Platform) -> None:
    await platform.service()
    await platform.service(labels={"team": "blue"})
    assert await platform.names(REVISION) == ["hello-00001"]
    assert (await platform.get(ROUTE, "hello"))["metadata"]["labels"]["team"] == "blue"


@story
async def test_deleting_a_service_leaves_nothing(platform: Platform) -> None:
    await platform.service()
    await platform.memory.delete(SERVICE, "hello", NAMESPACE)
    await platform.settle(5)
    for kind in (CONFIGURATION, ROUTE, REVISION, DEPLOYMENT, POD_AUTOSCALER, INGRESS, POD):
        assert await platform.names(kind) == [], kind


@story
async def test_what_happened_is_told_in_events(platform: Platform) -> None:
    await platform.service()
    platform.node.states["hello-00002"] = exited(1, "boom")
    await platform.service("v2")
    told = {(e["reason"], e["message"]) for e in (await platform.memory.list(EVENT, NAMESPACE)).items}
    assert ("Created", 'Created Configuration "hello"') in told
    assert ("Created", 'Created Revision "hello-00001"') in told
    assert ("RevisionReady", "Revision becomes ready upon all resources being ready") in told
    assert ("LatestReadyUpdate", 'LatestReadyRevisionName updated to "hello-00001"') in told
    assert ("ExitCode1", "Container failed with: boom") in told
    assert ("LatestCreatedFailed", 'Latest created revision "hello-00002" has failed') in told


@story
async def test_a_cold_start_writes_the_status_once(platform: Platform) -> None:
    await platform.service()
    platform.scaler.scale("hello-00001", 0)
    await platform.settle()
    before = int((await platform.get(REVISION, "hello-00001"))["metadata"]["resourceVersion"])
    seen = []
    async with platform.memory.watch(REVISION, since=before) as changes:
        platform.scaler.scale("hello-00001", 1)
        await platform.settle()
        await platform.memory.create(
            REVISION, {"metadata": {"name": "end", "namespace": NAMESPACE}, "spec": {"containers": []}}
        )
        async for event in changes:
            if event.object["metadata"]["name"] == "end":
                break
            seen.append(find_condition(event.object, "Active"))
    assert [condition["status"] for condition in seen if condition] == ["True"]
