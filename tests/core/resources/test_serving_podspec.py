"""What a revision template may say about its Pod, in Knative's words.

Covers core/resources/serving_podspec.py with its parts core/resources/serving_fields.py,
core/resources/serving_probes.py and core/resources/serving_volumes.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.knative_errors import sentences
from core.resources.meta import Json
from core.resources.serving_podspec import runtime_class, serving_port, validate_as_pod, validate_pod_spec
from core.settings.features import FeatureSettings, Flag

DIGEST = "@sha256:" + "a" * 64


def one(**container: Any) -> Json:
    return {"containers": [{"name": "user-container", "image": "busybox", **container}]}


def refusal(spec: Json, **flags: Flag) -> str:
    return sentences(validate_pod_spec(spec, FeatureSettings(**flags)))


def probe(**fields: Any) -> Json:
    return {"successThreshold": 1, **fields}


PROJECTED = ("configMap", "downwardAPI", "secret", "serviceAccountToken")
BAD_NAME = [{"name": "V_", "mountPath": "/v", "readOnly": True}]

ACCEPTED = {
    "plain": one(),
    "port": one(ports=[{"containerPort": 8888, "name": "h2c", "protocol": "TCP"}]),
    "digest": one(image=f"gcr.io/me/img:v1{DIGEST}"),
    "registry port": one(image="localhost:5000/a/b"),
    "env": one(
        env=[{"name": "A", "value": "b"}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    ),
    "fieldRef is honored": one(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
    "envFrom": one(envFrom=[{"prefix": "P_", "configMapRef": {"name": "c"}}]),
    "aggressive probe": one(readinessProbe=probe(tcpSocket={"port": 0})),
    "kubernetes probe": one(
        readinessProbe=probe(httpGet={"path": "/"}, periodSeconds=5, failureThreshold=3, timeoutSeconds=1)
    ),
    "liveness": one(livenessProbe={"grpc": {"service": ""}}),
    "startup": one(startupProbe={"exec": {"command": ["true"]}}),
    "security": one(securityContext={"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}, "privileged": False}),
    "pod security": {**one(), "securityContext": {"runAsNonRoot": True, "fsGroup": 5, "supplementalGroups": [1]}},
    "a place to run": {**one(), "affinity": {"nodeAffinity": {}}, "nodeSelector": {"a": "b"}, "tolerations": [{}]},
    "no token": {**one(), "automountServiceAccountToken": False},
    "init": {
        **one(),
        "initContainers": [{"name": "first", "image": "busybox", "env": [{"name": "PORT", "value": "1"}]}],
    },
    "folder": one(image="dir:/srv/hello"),
    "process": {**one(image="anything at all", command=["./serve"]), "runtimeClassName": "process"},
    "two containers": {
        "containers": [
            {"name": "app", "image": "a", "ports": [{"containerPort": 8080}]},
            {"name": "side", "image": "b", "livenessProbe": {"tcpSocket": {"port": 9000}}},
        ]
    },
    "volumes": {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "volumeMounts": [
                    {"name": "s", "mountPath": "/s", "readOnly": True, "subPath": "k"},
                    {"name": "e", "mountPath": "/e"},
                    {"name": "p", "mountPath": "/p", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "s", "secret": {"secretName": "x", "items": [{"key": "k", "path": "p"}]}},
            {"name": "e", "emptyDir": {}},
            {
                "name": "p",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "c"}},
                        {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                    ]
                },
            },
        ],
    },
}


@pytest.mark.parametrize("label", ACCEPTED)
def test_accepted(label: str) -> None:
    assert refusal(ACCEPTED[label]) == ""


def mount(**fields: Any) -> Json:
    volumes = [{"name": "v", "configMap": {"name": "c"}}]
    return {**one(volumeMounts=[{"name": "v", "mountPath": "/v", "readOnly": True, **fields}]), "volumes": volumes}


def volume(**source: Any) -> Json:
    return {
        **one(volumeMounts=[{"name": "v", "mountPath": "/v", "readOnly": True}]),
        "volumes": [{"name": "v", **source}],
    }


C = "containers[0]"
REFUSED = {
    "no containers": ({"containers": []}, "missing field(s): containers"),
    "no image": (one(image=""), f"missing field(s): {C}.image"),
    "bad image": (
        one(image="foo:bar:baz"),
        f"Failed to parse image reference: {C}.image\n"
        'image: "foo:bar:baz", error: could not parse reference: foo:bar:baz',
    ),
    "lifecycle": (one(lifecycle={"preStop": {}}), f"must not set the field(s): {C}.lifecycle"),
    "tty": (one(tty=True), f"must not set the field(s): {C}.tty"),
    "false is not set": (one(tty=False, stdin=False), ""),
    "pod fields": (
        {**one(), "nodeName": "n", "hostNetwork": True, "terminationGracePeriodSeconds": 5},
        "must not set the field(s): hostNetwork, nodeName, terminationGracePeriodSeconds",
    ),
    "token": (
        {**one(), "automountServiceAccountToken": True},
        "must not set the field(s): automountServiceAccountToken",
    ),
    "reserved name": (one(name="queue-proxy"), f'"queue-proxy" is a reserved container name: {C}.name'),
    "reserved env": (
        one(env=[{"name": "PORT", "value": "1"}]),
        f'"PORT" is a reserved environment variable: {C}.env[0].name',
    ),
    "K_SERVICE": (
        one(env=[{"name": "A"}, {"name": "K_SERVICE"}]),
        f'"K_SERVICE" is a reserved environment variable: {C}.env[1].name',
    ),
    "nameless env": (one(env=[{"value": "1"}]), f"missing field(s): {C}.env[0].name"),
    "envFrom both": (
        one(envFrom=[{"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]),
        f"expected exactly one, got both: {C}.envFrom[0].configMapRef, {C}.envFrom[0].secretRef",
    ),
    "envFrom neither": (
        one(envFrom=[{}]),
        f"expected exactly one, got neither: {C}.envFrom[0].configMapRef, {C}.envFrom[0].secretRef",
    ),
    "reserved port": (
        one(ports=[{"containerPort": 8022}]),
        f"invalid value: 8022 is a reserved port: {C}.ports.containerPort\n"
        "8022 is a reserved port, please use a different value",
    ),
    "port too large": (
        one(ports=[{"containerPort": 65536}]),
        f"expected 0 <= 65536 <= 65535: {C}.ports.containerPort",
    ),
    "udp": (one(ports=[{"containerPort": 80, "protocol": "UDP"}]), f"invalid value: UDP: {C}.ports.protocol"),
    "port name": (
        one(ports=[{"containerPort": 80, "name": "web"}]),
        f"Port name web is not allowed: {C}.ports\nName must be empty, or one of: 'h2c', 'http1'",
    ),
    "host port": (
        one(ports=[{"containerPort": 80, "hostPort": 80}]),
        f"must not set the field(s): {C}.ports.hostPort",
    ),
    "two ports": (
        one(ports=[{"containerPort": 80}, {"containerPort": 81}]),
        "more than one container port is set: containers[*].ports\nOnly a single port is allowed across all containers",
    ),
    "two containers without a port": (
        {"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]},
        "missing field(s): containers[*].ports",
    ),
    "duplicate container": (
        {"containers": [{"name": "a", "image": "a", "ports": [{"containerPort": 80}]}, {"name": "a", "image": "b"}]},
        'duplicate container name "a": containers[1].name',
    ),
    "sidecar probe without a port": (
        {
            "containers": [
                {"name": "a", "image": "a", "ports": [{"containerPort": 80}]},
                {"name": "b", "image": "b", "readinessProbe": probe(tcpSocket={})},
            ]
        },
        "invalid value: 0: containers[1].readinessProbe.tcpSocket.port\nProbe port must be specified",
    ),
    "init probe": (
        {**one(), "initContainers": [{"name": "i", "image": "i", "livenessProbe": {"exec": {}}}]},
        "field not allowed in an init container: initContainers[0].livenessProbe",
    ),
    "init name": (
        {**one(), "initContainers": [{"name": "user-container", "image": "i"}]},
        'duplicate container name "user-container": initContainers[0].name',
    ),
    "two handlers": (
        one(readinessProbe=probe(tcpSocket={}, exec={"command": ["x"]})),
        f"expected exactly one, got both: {C}.readinessProbe.exec, {C}.readinessProbe.tcpSocket",
    ),
    "no handler": (
        one(livenessProbe={"periodSeconds": 1}),
        "expected exactly one, got neither: "
        + ", ".join(f"{C}.livenessProbe.{h}" for h in ("exec", "grpc", "httpGet", "tcpSocket")),
    ),
    "aggressive with thresholds": (
        one(readinessProbe=probe(tcpSocket={}, failureThreshold=3, timeoutSeconds=2)),
        f"failureThreshold is disallowed when periodSeconds is zero: {C}.readinessProbe.failureThreshold\n"
        f"timeoutSeconds is disallowed when periodSeconds is zero: {C}.readinessProbe.timeoutSeconds",
    ),
    "probe numbers": (
        one(readinessProbe={"tcpSocket": {}, "periodSeconds": -1, "successThreshold": -1, "failureThreshold": 1}),
        f"expected 0 <= -1 <= 2147483647: {C}.readinessProbe.periodSeconds\n"
        f"expected 1 <= -1 <= 2147483647: {C}.readinessProbe.successThreshold\n"
        f"expected 1 <= 0 <= 2147483647: {C}.readinessProbe.timeoutSeconds",
    ),
    "probe of another port": (
        one(ports=[{"containerPort": 80, "name": "http1"}], readinessProbe=probe(httpGet={"port": "other"})),
        f"invalid value: other: {C}.readinessProbe.httpGet.port\nProbe port must match container port",
    ),
    "privileged": (
        one(securityContext={"privileged": True}),
        f"must not set the field(s): {C}.securityContext.privileged",
    ),
    "added capability": (
        one(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
        f"must not set the field(s): {C}.securityContext.capabilities.add",
    ),
    "user id": (
        one(securityContext={"runAsUser": -5}),
        f"expected 0 <= -5 <= 2147483647: {C}.securityContext.runAsUser",
    ),
    "sysctls": ({**one(), "securityContext": {"sysctls": [{}]}}, "must not set the field(s): securityContext.sysctls"),
    "termination policy": (
        one(terminationMessagePolicy="Never"),
        f"invalid value: Never: {C}.terminationMessagePolicy",
    ),
    "resource claims": (one(resources={"claims": [{}]}), f"must not set the field(s): {C}.resources.claims"),
    "runtime class": (
        {**one(), "runtimeClassName": "gvisor"},
        "invalid value: gvisor: runtimeClassName\nthis machine runs one of: process, python, container",
    ),
    "process without a command": (
        {**one(), "runtimeClassName": "process"},
        f"missing field(s): {C}.command\nruntimeClassName process runs a command of this machine",
    ),
    "python without a folder": (
        {**one(), "runtimeClassName": "python"},
        f"Failed to parse image reference: {C}.image\n"
        'image: "busybox", error: runtimeClassName python runs a folder: dir:/path',
    ),
    "not mounted": (
        {**one(), "volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
        'volume with name "v" not mounted: volumes[0].name',
    ),
    "no such volume": (
        one(volumeMounts=[{"name": "v", "mountPath": "/v", "readOnly": True}]),
        f"volumeMount has no matching volume: {C}.volumeMounts[0].name",
    ),
    "reserved path": (mount(mountPath="/dev/"), f'mountPath "/dev" is a reserved path: {C}.volumeMounts[0].mountPath'),
    "relative path": (mount(mountPath="v"), f"invalid value: v: {C}.volumeMounts[0].mountPath"),
    "writable": (
        mount(readOnly=False),
        f"volume mount should be readOnly for this type of volume: {C}.volumeMounts[0].readOnly",
    ),
    "propagation": (
        mount(mountPropagation="Bidirectional"),
        "Volume Mount Propagation support is disabled, but found volume mount v with mount propagation: "
        f"{C}.volumeMounts[0]\nmount propagation should be set to None or HostToContainer: "
        f"{C}.volumeMounts[0].mountPropagation\nmust not set the field(s): {C}.volumeMounts[0].mountPropagation",
    ),
    "no source": (
        volume(),
        "expected exactly one, got neither: volumes[0].configMap, volumes[0].emptyDir, "
        "volumes[0].persistentVolumeClaim, volumes[0].projected, "
        "volumes[0].secret",
    ),
    "two sources": (
        volume(secret={"secretName": "s"}, configMap={"name": "c"}),
        "expected exactly one, got both: volumes[0].configMap, volumes[0].secret",
    ),
    "hostPath": (
        volume(hostPath={"path": "/"}),
        "HostPath volume support is disabled, but found HostPath volume v: volumes[0]\n"
        "must not set the field(s): volumes[0].hostPath",
    ),
    "unknown source": (
        volume(nfs={"server": "s"}),
        "expected exactly one, got neither: volumes[0].configMap, volumes[0].emptyDir, "
        "volumes[0].persistentVolumeClaim, volumes[0].projected, "
        "volumes[0].secret\nmust not set the field(s): volumes[0].nfs",
    ),
    "medium": (volume(emptyDir={"medium": "Tape"}), "invalid value: Tape: volumes[0].emptyDir.medium"),
    "item": (volume(secret={"items": [{"key": "k"}]}), "missing field(s): volumes[0].items[0].path"),
    "projection": (
        volume(projected={"sources": [{}]}),
        "expected exactly one, got neither: " + ", ".join(f"volumes[0].projected[0].{s}" for s in PROJECTED),
    ),
    "volume name": (
        {**one(volumeMounts=BAD_NAME), "volumes": [{"name": "V_", "secret": {}}]},
        "invalid value: V_: volumes[0].name",
    ),
}


@pytest.mark.parametrize("label", REFUSED)
def test_refused(label: str) -> None:
    spec, text = REFUSED[label]
    assert refusal(spec) == text


@pytest.mark.parametrize(
    ("flag", "spec", "text"),
    [
        ("affinity", {**one(), "affinity": {"x": {}}}, "must not set the field(s): affinity"),
        ("node_selector", {**one(), "nodeSelector": {"a": "b"}}, "must not set the field(s): nodeSelector"),
        (
            "runtime_class_name",
            {**one(image="dir:/x"), "runtimeClassName": "python"},
            "must not set the field(s): runtimeClassName",
        ),
        (
            "init_containers",
            ACCEPTED["init"],
            "must not set the field(s): initContainers\n"
            "pod spec support for init-containers is off, but found 1 init containers: ",
        ),
        ("multi_container", ACCEPTED["two containers"], "multi-container is off, but found 2 containers: "),
        (
            "multi_container_probing",
            ACCEPTED["two containers"],
            "must not set the field(s): containers[1].livenessProbe.tcpSocket",
        ),
        (
            "fieldref",
            ACCEPTED["fieldRef is honored"],
            f"must not set the field(s): {C}.env[0].valueFrom.fieldRef",
        ),
        (
            "volumes_emptydir",
            volume(emptyDir={}),
            "EmptyDir volume support is disabled, but found EmptyDir volume v: volumes[0]\n"
            "must not set the field(s): volumes[0].emptyDir",
        ),
    ],
)
def test_a_cluster_may_close_what_is_open(flag: str, spec: Json, text: str) -> None:
    assert refusal(spec) == ""
    assert refusal(spec, **{flag: Flag.DISABLED}) == text


@pytest.mark.parametrize(
    ("spec", "runtime"),
    [
        ({"containers": [{"image": "busybox"}]}, "container"),
        ({"containers": [{"image": "dir:/a"}]}, "python"),
        ({"runtimeClassName": "process", "containers": [{"image": "dir:/a"}]}, "process"),
        ({}, "container"),
    ],
)
def test_which_runtime_runs_it(spec: Json, runtime: str) -> None:
    assert runtime_class(spec) == runtime


def test_the_serving_port_is_the_declared_one_or_8080() -> None:
    assert serving_port([{"name": "a"}])["containerPort"] == 8080
    assert serving_port([{"name": "a"}, {"ports": [{"containerPort": 99, "name": "h2c"}]}]) == {
        "name": "h2c",
        "containerPort": 99,
    }


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (one(), ""),
        (one(name="&Invalid"), "containers[0].name"),
        (one(resources={"limits": {"cpu": "lots"}}), "containers[0].resources.limits[cpu]"),
        (one(env=[{"name": "A=B", "value": "x"}]), "containers[0].env[0].name"),
        (one(livenessProbe={"tcpSocket": {}}, readinessProbe=probe(tcpSocket={"port": 0})), ""),
        (one(imagePullPolicy="Sometimes"), "containers[0].imagePullPolicy"),
        (one(ports=[{"name": "http1"}]), ""),
        (one(ports=[{"name": "http1", "containerPort": 0}]), ""),
        ({**one(image=""), "runtimeClassName": "process"}, ""),
    ],
)
def test_what_kubernetes_would_refuse_in_the_pod(spec: Json, text: str) -> None:
    errors = validate_as_pod(spec)
    assert [error.path for error in errors] == ([text] if text else [])
    assert all(error.message.startswith("validation callback failed: dry run failed with") for error in errors)
