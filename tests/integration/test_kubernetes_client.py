"""The Python `kubernetes` client against the API server: what scripts and operators written with it need."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

from core.resources.core_v1 import CONFIG_MAP
from tests.support.apiserver import Running, running_server

RING_OVERFLOW = 3000  # more changes than any store keeps for one kind


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def api_client(server: Running) -> client.ApiClient:
    return config.new_client_from_config(str(server.kubeconfig))


@pytest.fixture(scope="module")
def core(api_client: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api_client)


def config_map(name: str, **labels: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data={"k": "v"})


def service(name: str) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"image": "docker.io/library/nginx:1"}]}}}
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def test_objects_live_and_die(core: client.CoreV1Api) -> None:
    created = core.create_namespaced_config_map("default", config_map("life"))
    assert created.metadata.uid
    created.data["k"] = "new"
    assert core.replace_namespaced_config_map("life", "default", created).data == {"k": "new"}
    with pytest.raises(ApiException) as conflict:
        core.replace_namespaced_config_map("life", "default", created)
    assert conflict.value.status == 409
    assert core.patch_namespaced_config_map("life", "default", {"data": {"k": None, "l": "1"}}).data == {"l": "1"}
    core.delete_namespaced_config_map("life", "default")
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("life", "default")
    assert gone.value.status == 404


def test_lists_in_pages_and_by_selector(core: client.CoreV1Api) -> None:
    for index in range(5):
        core.create_namespaced_config_map("default", config_map(f"page-{index}", group="pages"))
    names: list[str] = []
    token = None
    while True:
        page = core.list_namespaced_config_map("default", label_selector="group=pages", limit=2, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{index}" for index in range(5)]
    core.delete_collection_namespaced_config_map("default", label_selector="group=pages")
    assert core.list_namespaced_config_map("default", label_selector="group=pages").items == []


def test_a_watch_resumes_where_another_ended(core: client.CoreV1Api) -> None:
    since = core.list_namespaced_config_map("default").metadata.resource_version
    for name in ("w1", "w2", "w3"):
        core.create_namespaced_config_map("default", config_map(name))
    first = watch.Watch()
    seen = []
    for event in first.stream(core.list_namespaced_config_map, "default", resource_version=since, timeout_seconds=5):
        seen.append((event["type"], event["object"].metadata.name))
        since = event["object"].metadata.resource_version
        if len(seen) == 2:
            first.stop()
    core.delete_namespaced_config_map("w1", "default")
    second = watch.Watch()
    for event in second.stream(core.list_namespaced_config_map, "default", resource_version=since, timeout_seconds=5):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 4:
            second.stop()
    assert seen == [("ADDED", "w1"), ("ADDED", "w2"), ("ADDED", "w3"), ("DELETED", "w1")]


def test_a_version_that_is_too_old_is_gone(server: Running, core: client.CoreV1Api) -> None:
    since = core.list_namespaced_config_map("default").metadata.resource_version
    core.create_namespaced_config_map("default", config_map("busy"))

    async def churn() -> None:
        for index in range(RING_OVERFLOW):
            text = str(index)
            await server.backend.store.modify(
                CONFIG_MAP, "busy", "default", lambda obj, text=text: obj | {"data": {"n": text}}
            )

    server.call(churn())
    stream = watch.Watch().stream(core.list_namespaced_config_map, "default", resource_version=since)
    with pytest.raises(ApiException) as expired:
        next(stream)
    assert expired.value.status == 410


def test_a_watch_sees_what_happens_meanwhile(core: client.CoreV1Api) -> None:
    timer = threading.Timer(0.3, lambda: core.create_namespaced_config_map("default", config_map("late")))
    timer.start()
    watching = watch.Watch()
    options = {"field_selector": "metadata.name=late", "timeout_seconds": 10}
    names = []
    for event in watching.stream(core.list_namespaced_config_map, "default", **options):
        names.append(event["object"].metadata.name)
        watching.stop()
    timer.join()
    assert names == ["late"]


def test_custom_objects_and_scale(api_client: client.ApiClient) -> None:
    custom = client.CustomObjectsApi(api_client)
    place = ("serving.knative.dev", "v1", "default", "services")
    created = custom.create_namespaced_custom_object(*place, service("custom"))
    assert created["metadata"]["generation"] == 1
    patch = {"metadata": {"labels": {"a": "b"}}}
    assert custom.patch_namespaced_custom_object(*place, "custom", patch)["metadata"]["labels"] == {"a": "b"}
    assert len(custom.list_namespaced_custom_object(*place)["items"]) == 1
    apps = client.AppsV1Api(api_client)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    apps.create_namespaced_deployment("default", {"metadata": {"name": "d"}, "spec": spec})
    assert apps.patch_namespaced_deployment_scale("d", "default", {"spec": {"replicas": 3}}).spec.replicas == 3
    assert apps.read_namespaced_deployment("d", "default").spec.replicas == 3


def test_a_pods_log(core: client.CoreV1Api) -> None:
    container = client.V1Container(name="c", image="docker.io/library/nginx:1")
    core.create_namespaced_pod(
        "default",
        client.V1Pod(metadata=client.V1ObjectMeta(name="talks"), spec=client.V1PodSpec(containers=[container])),
    )
    assert core.read_namespaced_pod_log("talks", "default", tail_lines=1) == "c line 9\n"
    lines = watch.Watch().stream(core.read_namespaced_pod_log, "talks", "default", tail_lines=1)
    assert list(lines) == ["c line 9", "the end"]


def test_the_dynamic_client_finds_its_way_and_applies(api_client: client.ApiClient) -> None:
    found = dynamic.DynamicClient(api_client).resources.get(api_version="serving.knative.dev/v1", kind="Service")
    body = service("applied")
    applied = found.server_side_apply(body=body, name="applied", namespace="default", field_manager="me")
    assert applied.metadata.managedFields[0].manager == "me"
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "docker.io/library/nginx:2"
    with pytest.raises(ApiException) as conflict:
        found.server_side_apply(body=body, name="applied", namespace="default", field_manager="other")
    assert conflict.value.status == 409


def test_errors_are_status_objects(core: client.CoreV1Api) -> None:
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_config_map("default", config_map("Not A Name"))
    status = client.ApiClient().deserialize(refused.value.body, "V1Status", "application/json")
    assert (refused.value.status, status.reason) == (422, "Invalid")
    assert status.details.causes[0].field == "metadata.name"
    with pytest.raises(ApiException) as nowhere:
        core.create_namespaced_config_map("nowhere", config_map("a"))
    assert nowhere.value.status == 404


def test_may_i(api_client: client.ApiClient) -> None:
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(
            resource_attributes=client.V1ResourceAttributes(verb="create", resource="pods", namespace="default")
        )
    )
    assert client.AuthorizationV1Api(api_client).create_self_subject_access_review(review).status.allowed
    assert client.VersionApi(api_client).get_code().git_version.startswith("v1.32")
