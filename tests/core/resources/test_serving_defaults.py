"""What admission fills in, and that it fills it in once."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.resources.meta import AdmissionContext, Json
from core.resources.serving import CONFIGURATION, DOMAIN_MAPPING, REVISION, ROUTE, SERVICE
from core.resources.serving_defaults import default_revision_spec
from core.settings.defaults import DefaultsSettings
from core.settings.features import FeatureSettings


def context(user: str = "", old: Json | None = None, **settings: Any) -> AdmissionContext:
    return AdmissionContext(user=user, old=old, settings={k.replace("_", "-"): v for k, v in settings.items()})


def filled(spec: Json, **settings: Any) -> Json:
    result = copy.deepcopy(spec)
    default_revision_spec(result, {"name": "hello", "namespace": "default"}, context(**settings))
    once = copy.deepcopy(result)
    default_revision_spec(result, {"name": "hello", "namespace": "default"}, context(**settings))
    assert result == once, "defaults must be idempotent"
    return result


def one(**fields: Any) -> Json:
    return {"containers": [{"image": "i", **fields}]}


def test_the_least_revision() -> None:
    assert filled(one()) == {
        "containers": [
            {
                "image": "i",
                "name": "user-container",
                "resources": {},
                "readinessProbe": {"tcpSocket": {"port": 0}, "successThreshold": 1},
            }
        ],
        "timeoutSeconds": 300,
        "containerConcurrency": 0,
        "enableServiceLinks": False,
    }


@pytest.mark.parametrize(
    ("total", "settings", "start", "idle"),
    [
        pytest.param(None, {}, None, None, id="the default total needs no other limit"),
        pytest.param(0, {}, None, None, id="0 means the default"),
        pytest.param(200, {}, None, None, id="a shorter one"),
        pytest.param(600, {}, 300, None, id="a longer one gets a limit on its start"),
        pytest.param(600, {"own_response_start_timeout_s": 0}, None, None, id="which can be switched off"),
        pytest.param(300, {"revision_idle_timeout_s": 45}, None, 45, id="idle"),
        pytest.param(30, {"revision_idle_timeout_s": 45}, None, None, id="idle, not beyond the total"),
    ],
)
def test_timeouts(total: int | None, settings: dict[str, int], start: int | None, idle: int | None) -> None:
    spec = filled({**one(), "timeoutSeconds": total}, config_defaults=DefaultsSettings(**settings))
    assert spec["timeoutSeconds"] == (total or 300)
    assert spec.get("responseStartTimeoutSeconds") == start
    assert spec.get("idleTimeoutSeconds") == idle


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([""], ["user-container"]),
        (["mine"], ["mine"]),
        (["", ""], ["user-container-0", "user-container-1"]),
        (["user-container-0", ""], ["user-container-0", "user-container-1"]),
        (["", "user-container"], ["user-container-0", "user-container"]),
    ],
)
def test_container_names(given: list[str], names: list[str]) -> None:
    containers = [{"image": "i", "name": name, "ports": [{}] if i == 0 else []} for i, name in enumerate(given)]
    assert [c["name"] for c in filled({"containers": containers})["containers"]] == names


def test_init_container_names() -> None:
    spec = filled({**one(name="init-container"), "initContainers": [{"image": "i"}]})
    assert [c["name"] for c in spec["initContainers"]] == ["init-container-0"]


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        ({"httpGet": {"path": "/"}}, {"httpGet": {"path": "/"}, "successThreshold": 1}),
        (
            {"httpGet": {}, "periodSeconds": 5},
            {"httpGet": {}, "periodSeconds": 5, "successThreshold": 1, "failureThreshold": 3, "timeoutSeconds": 1},
        ),
        ({"grpc": {"port": 5}}, {"grpc": {"port": 5, "service": ""}, "successThreshold": 1}),
        ({"exec": {"command": ["x"]}, "successThreshold": 2}, {"exec": {"command": ["x"]}, "successThreshold": 2}),
    ],
)
def test_readiness(probe: Json, expected: Json) -> None:
    assert filled(one(readinessProbe=probe))["containers"][0]["readinessProbe"] == expected


def test_a_sidecar_gets_no_probe_of_its_own() -> None:
    spec = filled({"containers": [{"name": "a", "ports": [{"containerPort": 80}]}, {"name": "b"}]})
    assert "readinessProbe" in spec["containers"][0]
    assert "readinessProbe" not in spec["containers"][1]


def test_mounts_are_read_only_where_nothing_can_be_written() -> None:
    mounts = [{"name": "e", "mountPath": "/e"}, {"name": "s", "mountPath": "/s"}]
    spec = filled({**one(volumeMounts=mounts), "volumes": [{"name": "e", "emptyDir": {}}, {"name": "s", "secret": {}}]})
    assert [m.get("readOnly") for m in spec["containers"][0]["volumeMounts"]] == [None, True]


def test_the_clusters_resources() -> None:
    settings = DefaultsSettings(revision_cpu_request="250m", revision_memory_limit="1Gi")
    container = filled(one(resources={"requests": {"cpu": "1"}}), config_defaults=settings)["containers"][0]
    assert container["resources"] == {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}


@pytest.mark.parametrize(
    ("level", "port", "expected"),
    [
        ("Disabled", 8080, None),
        (
            "AllowRootBounded",
            8080,
            {
                "allowPrivilegeEscalation": False,
                "seccompProfile": {"type": "RuntimeDefault"},
                "capabilities": {"drop": ["ALL"]},
            },
        ),
        (
            "Enabled",
            80,
            {
                "allowPrivilegeEscalation": False,
                "seccompProfile": {"type": "RuntimeDefault"},
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                "runAsNonRoot": True,
            },
        ),
    ],
)
def test_secure_pod_defaults(level: str, port: int, expected: Json | None) -> None:
    spec = filled(one(ports=[{"containerPort": port}]), config_features=FeatureSettings(secure_pod_defaults=level))
    assert spec["containers"][0].get("securityContext") == expected


def service(**spec: Any) -> Json:
    return {"metadata": {"name": "hello", "namespace": "default"}, "spec": {"template": {"spec": one()}, **spec}}


def test_a_service_runs_its_latest_revision() -> None:
    obj = service()
    SERVICE.default(obj, context())
    assert obj["spec"]["traffic"] == [{"percent": 100, "latestRevision": True}]


def test_targets_say_whether_they_follow() -> None:
    obj = service(traffic=[{"revisionName": "a", "percent": 100}, {"tag": "t"}])
    SERVICE.default(obj, context())
    assert obj["spec"]["traffic"] == [
        {"revisionName": "a", "percent": 100, "latestRevision": False},
        {"tag": "t", "percent": 0, "latestRevision": True},
    ]
    route: Json = {"metadata": {"name": "r"}, "spec": {}}
    ROUTE.default(route, context())
    assert route["spec"] == {}, "a Route has no default target"


def test_a_named_revision_is_left_alone() -> None:
    old = service()
    old["spec"]["template"]["metadata"] = {"name": "hello-one"}
    new = copy.deepcopy(old)
    SERVICE.default(new, context(old=old))
    assert new["spec"]["template"] == old["spec"]["template"]
    CONFIGURATION.default(new, context(old=old))
    assert new["spec"]["template"] == old["spec"]["template"]
    new["spec"]["template"]["metadata"] = {"name": "hello-two"}
    SERVICE.default(new, context(old=old))
    assert new["spec"]["template"]["spec"]["timeoutSeconds"] == 300


def test_a_revision_made_by_hand_gets_defaults_once() -> None:
    obj: Json = {"metadata": {"name": "r"}, "spec": one()}
    REVISION.default(obj, context())
    assert obj["spec"]["timeoutSeconds"] == 300


C, M = "serving.knative.dev/creator", "serving.knative.dev/lastModifier"


def test_who_made_it_and_who_changed_it() -> None:
    obj = service()
    SERVICE.default(obj, context(user="ann"))
    assert obj["metadata"]["annotations"] == {C: "ann", M: "ann"}
    same = copy.deepcopy(obj)
    SERVICE.default(same, context(user="bob", old=obj))
    assert same["metadata"]["annotations"] == {C: "ann", M: "ann"}
    changed = copy.deepcopy(obj)
    changed["spec"]["template"]["spec"]["timeoutSeconds"] = 5
    SERVICE.default(changed, context(user="bob", old=obj))
    assert changed["metadata"]["annotations"] == {C: "ann", M: "bob"}


def test_children_keep_their_owners_users() -> None:
    obj = service()
    obj["metadata"]["ownerReferences"] = [{"kind": "Service", "name": "hello"}]
    CONFIGURATION.default(obj, context(user="ann"))
    ROUTE.default(obj, context(user="ann"))
    assert "annotations" not in obj["metadata"]


def test_a_reference_is_in_the_mappings_namespace() -> None:
    obj: Json = {"metadata": {"name": "a.b", "namespace": "default"}, "spec": {"ref": {"name": "hello"}}}
    DOMAIN_MAPPING.default(obj, context())
    assert obj["spec"]["ref"]["namespace"] == "default"
