"""Defaults, refusals and warnings of the core and apps kinds, each rule by one document that breaks it."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest

from core.errors import FieldProblem
from core.resources.core_services import CORE_SERVICE
from core.resources.core_v1 import CONFIG_MAP, EVENT, NAMESPACE, SECRET
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.meta import AdmissionContext, Json, Kind
from core.resources.pod_rules import default_pod_spec, default_probe, pod_grace_s, qos_class, warn_pod_spec
from core.resources.pod_validation import validate_pod_spec, validate_probe, validate_resources
from core.resources.pods import POD
from core.resources.problems import check_allowed, shown
from core.resources.workloads import DEPLOYMENT

CONTEXT = AdmissionContext()


def spec_with(**fields: Any) -> Json:
    return {"containers": [{"name": "a", "image": "x:1"}], **fields}


def container_with(**fields: Any) -> Json:
    return spec_with(containers=[{"name": "a", "image": "x:1", **fields}], volumes=[{"name": "v", "emptyDir": {}}])


def test_a_pod_gets_what_kubernetes_gives_it() -> None:
    pod: Json = {
        "metadata": {"name": "p"},
        "spec": container_with(ports=[{"containerPort": 80}], livenessProbe={"httpGet": {"port": 80}}),
    }
    POD.default(pod, CONTEXT)
    once = copy.deepcopy(pod)
    POD.default(pod, CONTEXT)
    assert pod == once
    container = pod["spec"]["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert pod["spec"]["restartPolicy"] == "Always"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30
    assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert POD.validate(pod, CONTEXT) == []
    assert POD.warn(pod, CONTEXT) == []


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("x", "Always"),
        ("x:latest", "Always"),
        ("x:1", "IfNotPresent"),
        ("r:5000/x", "Always"),
        ("x@sha256:0", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    spec = {"containers": [{"name": "a", "image": image}]}
    default_pod_spec(spec)
    assert spec["containers"][0]["imagePullPolicy"] == policy


def test_limits_stand_in_for_requests() -> None:
    spec = container_with(resources={"limits": {"cpu": "1", "memory": "1Mi"}, "requests": {"cpu": "100m"}})
    default_pod_spec(spec)
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "1Mi"}
    assert qos_class(spec) == "Burstable"
    assert qos_class(container_with(resources={"limits": {"cpu": "1", "memory": "1Mi"}})) == "Guaranteed"


def test_a_probe_that_says_something_keeps_it() -> None:
    probe: Json = {"tcpSocket": {"port": 1}, "periodSeconds": 3}
    default_probe(probe)
    assert (probe["periodSeconds"], probe["timeoutSeconds"]) == (3, 1)


BROKEN_SPECS: list[tuple[str, Json, str]] = [
    ("no container", {}, "spec.containers"),
    ("two of one name", spec_with(containers=[{"name": "a", "image": "x"}] * 2), "spec.containers[1].name"),
    ("no name", spec_with(containers=[{"image": "x"}]), "spec.containers[0].name"),
    ("no image", spec_with(containers=[{"name": "a"}]), "spec.containers[0].image"),
    ("image with a blank", spec_with(containers=[{"name": "a", "image": "x "}]), "spec.containers[0].image"),
    ("a name in capitals", spec_with(containers=[{"name": "A", "image": "x"}]), "spec.containers[0].name"),
    ("restart policy", spec_with(restartPolicy="Sometimes"), "spec.restartPolicy"),
    ("negative grace", spec_with(terminationGracePeriodSeconds=-1), "spec.terminationGracePeriodSeconds"),
    ("no deadline at all", spec_with(activeDeadlineSeconds=0), "spec.activeDeadlineSeconds"),
    ("runtime class", spec_with(runtimeClassName="A_"), "spec.runtimeClassName"),
    ("pull policy", container_with(imagePullPolicy="Daily"), "spec.containers[0].imagePullPolicy"),
    ("env without name", container_with(env=[{"value": "x"}]), "spec.containers[0].env[0].name"),
    ("env name", container_with(env=[{"name": "a=b"}]), "spec.containers[0].env[0].name"),
    (
        "two env sources",
        container_with(env=[{"name": "a", "value": "x", "valueFrom": {"fieldRef": {}}}]),
        "spec.containers[0].env[0].valueFrom",
    ),
    ("no env source", container_with(env=[{"name": "a", "valueFrom": {}}]), "spec.containers[0].env[0].valueFrom"),
    (
        "env source key",
        container_with(env=[{"name": "a", "valueFrom": {"secretKeyRef": {"name": "s", "key": "/"}}}]),
        "spec.containers[0].env[0].valueFrom.secretKeyRef.key",
    ),
    ("envFrom nothing", container_with(envFrom=[{"prefix": "A_"}]), "spec.containers[0].envFrom[0]"),
    (
        "envFrom both",
        container_with(envFrom=[{"secretRef": {}, "configMapRef": {}}]),
        "spec.containers[0].envFrom[0].secretRef",
    ),
    ("port 0", container_with(ports=[{"containerPort": 0}]), "spec.containers[0].ports[0].containerPort"),
    ("port name", container_with(ports=[{"containerPort": 1, "name": "A"}]), "spec.containers[0].ports[0].name"),
    (
        "port name twice",
        container_with(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
        "spec.containers[0].ports[1].name",
    ),
    (
        "port protocol",
        container_with(ports=[{"containerPort": 1, "protocol": "QUIC"}]),
        "spec.containers[0].ports[0].protocol",
    ),
    (
        "mount of nothing",
        container_with(volumeMounts=[{"name": "w", "mountPath": "/w"}]),
        "spec.containers[0].volumeMounts[0].name",
    ),
    (
        "mount twice",
        container_with(volumeMounts=[{"name": "v", "mountPath": "/w"}] * 2),
        "spec.containers[0].volumeMounts[1].mountPath",
    ),
    ("mount nowhere", container_with(volumeMounts=[{"name": "v"}]), "spec.containers[0].volumeMounts[0].mountPath"),
    (
        "mount outside",
        container_with(volumeMounts=[{"name": "v", "mountPath": "/w", "subPath": "../x"}]),
        "spec.containers[0].volumeMounts[0].subPath",
    ),
    ("empty probe", container_with(readinessProbe={}), "spec.containers[0].readinessProbe"),
    (
        "two probes",
        container_with(readinessProbe={"exec": {"command": ["a"]}, "grpc": {"port": 1}}),
        "spec.containers[0].readinessProbe.grpc",
    ),
    (
        "probe port",
        container_with(readinessProbe={"tcpSocket": {"port": 70000}}),
        "spec.containers[0].readinessProbe.tcpSocket.port",
    ),
    (
        "liveness successes",
        container_with(livenessProbe={"tcpSocket": {"port": 1}, "successThreshold": 2}),
        "spec.containers[0].livenessProbe.successThreshold",
    ),
    (
        "limit",
        container_with(resources={"limits": {"cpu": "lots"}, "requests": {"cpu": 1}}),
        "spec.containers[0].resources.limits[cpu]",
    ),
    (
        "request over limit",
        container_with(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "1100m"}}),
        "spec.containers[0].resources.requests",
    ),
    (
        "two volume sources",
        spec_with(volumes=[{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}]),
        "spec.volumes[0].secret",
    ),
    ("volume of no secret", spec_with(volumes=[{"name": "v", "secret": {}}]), "spec.volumes[0].secret.secretName"),
    ("volume twice", spec_with(volumes=[{"name": "v", "emptyDir": {}}] * 2), "spec.volumes[1].name"),
    (
        "volume item",
        spec_with(volumes=[{"name": "v", "secret": {"secretName": "s", "items": [{"key": "a", "path": "/x"}]}}]),
        "spec.volumes[0].secret.items[0].path",
    ),
    (
        "init probe",
        spec_with(initContainers=[{"name": "i", "image": "x", "livenessProbe": {"tcpSocket": {"port": 1}}}]),
        "spec.initContainers[0].livenessProbe",
    ),
]


@pytest.mark.parametrize(("spec", "path"), [case[1:] for case in BROKEN_SPECS], ids=[case[0] for case in BROKEN_SPECS])
def test_what_a_pod_spec_must_not_be(spec: Json, path: str) -> None:
    default_pod_spec(spec)
    assert [error.path for error in validate_pod_spec(spec, "spec")] == [path]


def test_an_init_container_that_is_a_sidecar_may_be_probed() -> None:
    sidecar = {"name": "i", "image": "x", "restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": "http"}}}
    assert validate_pod_spec(spec_with(initContainers=[sidecar]), "spec") == []
    assert validate_probe({"grpc": {"port": 1}, "periodSeconds": -1}, "p")[0].path == "p.periodSeconds"
    assert validate_resources({"requests": {"memory": -1}}, "r")[0].path == "r.requests[memory]"


def test_a_pod_that_runs_keeps_its_spec_but_for_images() -> None:
    old = {"metadata": {"name": "p"}, "spec": container_with()}
    POD.default(old, CONTEXT)
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["image"] = "x:2"
    assert POD.validate(new, AdmissionContext(old=old)) == []
    new["spec"]["containers"][0]["command"] = ["sh"]
    assert [error.problem for error in POD.validate(new, AdmissionContext(old=old))] == [FieldProblem.FORBIDDEN]


def test_what_one_machine_cannot_honor_is_said() -> None:
    spec = container_with(ports=[{"containerPort": 80, "hostPort": 80}])
    spec |= {
        "nodeSelector": {"disk": "ssd"},
        "hostNetwork": True,
        "hostPID": False,
        "dnsPolicy": "ClusterFirst",
        "affinity": {},
        "activeDeadlineSeconds": 5,
        "securityContext": {"runAsUser": 1, "sysctls": [{"name": "a", "value": "b"}]},
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi", "medium": "Memory"}}, {"name": "w", "emptyDir": {}}],
    }
    spec["containers"][0]["securityContext"] = {"procMount": "Unmasked", "runAsNonRoot": True}
    assert warn_pod_spec(spec) == [
        "spec.nodeSelector: accepted, not honored on one machine",
        "spec.hostNetwork: accepted, not honored on one machine",
        "spec.securityContext.sysctls: accepted, not honored on one machine",
        "spec.volumes[0].emptyDir.medium: accepted, not honored on one machine",
        "spec.containers[0].securityContext.procMount: accepted, not honored on one machine",
        "spec.containers[0].ports[0].hostPort: accepted, not honored on one machine",
    ]


def deployment(**spec: Any) -> Json:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": spec_with()}
    obj = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template, **spec}}
    DEPLOYMENT.default(obj, CONTEXT)
    return obj


def test_a_deployment_gets_what_kubernetes_gives_it() -> None:
    spec = deployment()["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    assert DEPLOYMENT.validate(deployment(), CONTEXT) == []
    assert deployment(strategy={"type": "Recreate"})["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"selector": {}}, "spec.selector"),
        ({"selector": {"matchLabels": {"app": "b"}}}, "spec.template.metadata.labels"),
        ({"replicas": -1}, "spec.replicas"),
        ({"progressDeadlineSeconds": 5, "minReadySeconds": 5}, "spec.progressDeadlineSeconds"),
        ({"strategy": {"type": "Sideways"}}, "spec.strategy.type"),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {}}}, "spec.strategy.rollingUpdate"),
        ({"strategy": {"rollingUpdate": {"maxSurge": "x"}}}, "spec.strategy.rollingUpdate.maxSurge"),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
            "spec.strategy.rollingUpdate.maxUnavailable",
        ),
        (
            {"template": {"metadata": {"labels": {"app": "a"}}, "spec": spec_with(restartPolicy="Never")}},
            "spec.template.spec.restartPolicy",
        ),
    ],
)
def test_what_a_deployment_must_not_be(spec: Json, path: str) -> None:
    assert [error.path for error in DEPLOYMENT.validate(deployment(**spec), CONTEXT)] == [path]


def test_the_selector_of_a_deployment_never_changes() -> None:
    new = deployment(selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})
    errors = DEPLOYMENT.validate(new, AdmissionContext(old=deployment()))
    assert [(error.path, "immutable" in error.message) for error in errors] == [("spec.selector", True)]


def test_plain_text_of_a_secret_moves_into_its_data() -> None:
    obj: Json = {"metadata": {"name": "s"}, "data": {"a": "b2xk", "c": "eA=="}, "stringData": {"a": "new"}}
    SECRET.default(obj, CONTEXT)
    assert obj["data"] == {"a": base64.b64encode(b"new").decode(), "c": "eA=="}
    assert obj["type"] == "Opaque"
    assert "stringData" not in obj
    assert SECRET.validate(obj, CONTEXT) == []


@pytest.mark.parametrize(
    ("kind", "obj", "old", "paths"),
    [
        (SECRET, {"data": {"a": "?"}}, None, ["data[a]"]),
        (SECRET, {"data": {"a/b": ""}}, None, ["data[a/b]"]),
        (SECRET, {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, None, ["data[tls.key]"]),
        (SECRET, {"type": "b"}, {"type": "a"}, ["type"]),
        (SECRET, {"data": {"a": ""}, "immutable": True}, {"type": "Opaque", "immutable": True}, ["data"]),
        (SECRET, {}, {"type": "Opaque", "immutable": True}, ["immutable"]),
        (CONFIG_MAP, {"data": {"a": "", "..": ""}}, None, ["data[..]"]),
        (CONFIG_MAP, {"data": {"a": ""}, "binaryData": {"a": ""}}, None, ["data[a]"]),
        (CONFIG_MAP, {"binaryData": {"a": "?"}}, None, ["binaryData[a]"]),
        (CONFIG_MAP, {"data": {"a": "x" * 1_048_577}}, None, [""]),
        (CORE_SERVICE, {"spec": {}}, None, ["spec.ports"]),
        (CORE_SERVICE, {"spec": {"clusterIP": "None"}}, None, []),
        (CORE_SERVICE, {"spec": {"type": "ExternalName"}}, None, ["spec.externalName"]),
        (CORE_SERVICE, {"spec": {"type": "ExternalName", "externalName": "a_b"}}, None, ["spec.externalName"]),
        (CORE_SERVICE, {"spec": {"type": "Other", "ports": [{"port": 80}]}}, None, ["spec.type"]),
        (
            CORE_SERVICE,
            {"spec": {"ports": [{"port": 80}, {"port": 81}]}},
            None,
            ["spec.ports[0].name", "spec.ports[1].name"],
        ),
        (
            CORE_SERVICE,
            {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}},
            None,
            ["spec.ports[1]"],
        ),
        (CORE_SERVICE, {"spec": {"ports": [{"port": 0, "targetPort": 1}]}}, None, ["spec.ports[0].port"]),
        (ENDPOINT_SLICE, {}, None, ["addressType"]),
        (ENDPOINT_SLICE, {"addressType": "IPv4", "endpoints": [{"addresses": []}]}, None, ["endpoints[0].addresses"]),
        (ENDPOINT_SLICE, {"addressType": "IPv4"}, {"addressType": "IPv6"}, ["addressType"]),
    ],
)
def test_what_the_plain_kinds_must_not_be(kind: Kind[Any], obj: Json, old: Json | None, paths: list[str]) -> None:
    obj = {"metadata": {"name": "n"}, **obj}
    kind.default(obj, CONTEXT)
    assert [error.path for error in kind.validate(obj, AdmissionContext(old=old))] == paths


def test_a_service_port_leads_to_the_same_port_of_its_pods() -> None:
    obj: Json = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    CORE_SERVICE.default(obj, CONTEXT)
    assert obj["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert obj["spec"]["type"] == "ClusterIP"


@pytest.mark.parametrize(
    ("namespace", "about", "fits"),
    [("a", {"namespace": "a"}, True), ("a", {"namespace": "b"}, False), ("default", {}, True), ("a", {}, False)],
)
def test_an_event_lives_where_its_object_lives(namespace: str, about: Json, fits: bool) -> None:
    event = {"metadata": {"name": "e", "namespace": namespace}, "involvedObject": about}
    assert (EVENT.validate(event, CONTEXT) == []) is fits


def test_a_namespace_carries_its_name_as_a_label() -> None:
    obj: Json = {"metadata": {"name": "n", "labels": {"a": "b"}}}
    NAMESPACE.default(obj, CONTEXT)
    assert obj["metadata"]["labels"] == {"a": "b", "kubernetes.io/metadata.name": "n"}
    assert obj["status"]["phase"] == "Active"
    assert obj["spec"]["finalizers"] == ["kubernetes"]


def test_messages_are_worded_as_kubernetes_words_them() -> None:
    error = check_allowed("c", ("b", "a"), "x")[0]
    assert str(error) == 'x: Unsupported value: "c": supported values: "a", "b"'
    assert shown("a" * 600).endswith("…")


@pytest.mark.parametrize(
    ("label", "spec", "phase", "asked_s", "grace_s"),
    [
        ("its own", {"terminationGracePeriodSeconds": 300}, "Running", None, 300),
        ("Kubernetes' 30 s", {}, "Pending", None, 30),
        ("what the deletion asks for", {"terminationGracePeriodSeconds": 300}, "Running", 5, 5),
        ("by force", {"terminationGracePeriodSeconds": 300}, "Running", 0, 0),
        ("ended, nothing to stop", {"terminationGracePeriodSeconds": 300}, "Succeeded", None, 0),
        ("failed, nothing to stop", {}, "Failed", 60, 0),
    ],
)
def test_grace_of_a_deleted_pod(label: str, spec: Json, phase: str, asked_s: int | None, grace_s: int) -> None:
    assert pod_grace_s({"spec": spec, "status": {"phase": phase}}, asked_s) == grace_s, label
