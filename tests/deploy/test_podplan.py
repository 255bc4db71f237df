"""From documents to a plan: environment, volumes, identity, limits; and the kubelet's words where it cannot be."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.resources.meta import Json
from core.resources.pods import POD
from core.stats import InstanceKey
from deploy.claimed import ClaimedFolder
from deploy.environment import make_environment
from deploy.podfields import Machine, read_field
from deploy.podplan import Places, Planned, plan_pod
from deploy.podsources import Source, Sources, data_of, needed, registry_auth
from deploy.podvolumes import EmptyVolume, FilesVolume, HostVolume, plan_volumes
from deploy.runtimes.base import PORT_PLACEHOLDER, Mount, StartError
from deploy.volume_files import VolumeFiles
from tests.support.pods import container, pod

MACHINE = Machine("here", "10.0.0.1", 4, 8 << 30, now=1_700_000_000)
PLACES = Places(Path("/data/pods"), Path("/data/volumes"))
SOURCES = Sources(
    "default",
    {
        Source("secret", "db"): {"user": b"ada", "password": b"hunter2"},
        Source("configmap", "cfg"): {"A": b"1", "B": b"2"},
    },
)


def stored(obj: Json, uid: str = "u-1") -> Json:
    obj["metadata"] |= {"uid": uid, "annotations": {"note": 'say "hi"'}}
    return obj


def plan(obj: Json, sources: Sources = SOURCES, uid: str = "u-1") -> Planned:
    obj = stored(obj, uid)
    return plan_pod(obj, POD.parse(obj), sources, MACHINE, PLACES)


def environment(sources: Sources = SOURCES, serving: bool = True, **fields: object) -> dict[str, str]:
    obj = stored(pod(container(**fields), name="web"))
    return make_environment(POD.parse(obj).spec.containers[0], obj, sources, MACHINE, serving)


def test_the_environment_in_its_order() -> None:
    env = environment(
        envFrom=[{"prefix": "CFG_", "configMapRef": {"name": "cfg"}}, {"secretRef": {"name": "db"}}],
        env=[
            {"name": "A", "value": "$(CFG_A)$(user)"},
            {"name": "user", "value": "over $(A)"},
            {"name": "PORT", "value": "8080"},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
            {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "Z", "optional": True}}},
            {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        ],
        resources={"limits": {"memory": "128Mi"}},
    )
    assert env == {
        "K_REVISION": "rev",
        "K_SERVICE": "svc",
        "PORT": PORT_PLACEHOLDER,
        "CFG_A": "1",
        "CFG_B": "2",
        "user": "over 1ada",
        "password": "hunter2",
        "A": "1ada",
        "NAME": "web",
        "SECRET": "hunter2",
        "CPUS": "4",
        "MEM": "128",
    }
    assert "PORT" not in environment(serving=False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"envFrom": [{"secretRef": {"name": "no"}}]}, 'secret "no" not found'),
        ({"envFrom": [{"configMapRef": {"name": "no"}}]}, 'configmap "no" not found'),
        (
            {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "db", "key": "no"}}}]},
            "couldn't find key no in Secret default/db",
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "no"}}}]},
            "couldn't find key no in ConfigMap default/cfg",
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.no"}}}]},
            "unsupported fieldPath: spec.no",
        ),
    ],
)
def test_what_is_missing_is_named(fields: dict, message: str) -> None:
    with pytest.raises(StartError) as failure:
        environment(**fields)
    assert (failure.value.reason, failure.value.message) == ("CreateContainerConfigError", message)


def test_optional_ones_may_be_missing() -> None:
    assert "X" not in environment(
        envFrom=[{"secretRef": {"name": "no", "optional": True}}],
        env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k", "optional": True}}}],
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['serving.knative.dev/revision']", "rev"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations", 'note="say \\"hi\\""'),
        ("spec.nodeName", "here"),
        ("spec.serviceAccountName", "default"),
        ("status.hostIP", "10.0.0.1"),
    ],
)
def test_fields_of_the_pod(path: str, value: str) -> None:
    assert read_field(path, stored(pod(name="web")), MACHINE) == value


def volumes(*given: Json) -> dict:
    obj = stored(pod(volumes=list(given)))
    return plan_volumes(POD.parse(obj).spec, obj, SOURCES, MACHINE)


def files(volume: Json) -> dict[str, tuple[bytes, int]]:
    planned = volumes({"name": "v", **volume})["v"]
    assert isinstance(planned, FilesVolume)
    return {file.path: (file.content, file.mode) for file in planned.files}


def test_volumes_of_each_sort() -> None:
    assert files({"secret": {"secretName": "db"}}) == {"password": (b"hunter2", 0o644), "user": (b"ada", 0o644)}
    assert files({"configMap": {"name": "cfg", "defaultMode": 0o400, "items": [{"key": "A", "path": "x/a"}]}}) == {
        "x/a": (b"1", 0o400)
    }
    assert files({"configMap": {"name": "none", "optional": True}}) == {}
    downward = [
        {"path": "name", "fieldRef": {"fieldPath": "metadata.uid"}, "mode": 0o600},
        {"path": "mem", "resourceFieldRef": {"containerName": "main", "resource": "requests.cpu"}},
    ]
    assert files({"downwardAPI": {"items": downward}}) == {"name": (b"u-1", 0o600), "mem": (b"0", 0o644)}
    projected = files(
        {
            "projected": {
                "sources": [
                    {"secret": {"name": "db", "items": [{"key": "user", "path": "who"}]}},
                    {"configMap": {"name": "cfg"}},
                    {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "spec.nodeName"}}]}},
                    {"serviceAccountToken": {"path": "token", "audience": "me"}},
                ]
            }
        }
    )
    assert projected.keys() == {"who", "A", "B", "n", "token"}
    claims = projected["token"][0].split(b".")[1]
    token = json.loads(base64.urlsafe_b64decode(claims + b"=="))
    assert (token["aud"], token["sub"]) == (["me"], "system:serviceaccount:default:default")
    assert volumes({"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/srv"}}) == {
        "a": EmptyVolume(),
        "b": HostVolume("/srv"),
    }


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"secret": {"secretName": "no"}}, 'secret "no" not found'),
        ({"configMap": {"name": "cfg", "items": [{"key": "Z", "path": "z"}]}}, "references non-existent config key: Z"),
        ({"configMap": {"name": "cfg", "items": [{"key": "A", "path": "../a"}]}}, "must be relative"),
        ({"nfs": {"server": "s", "path": "/"}}, "nfs is not available on one machine; use emptyDir, persistentVol"),
    ],
)
def test_volumes_that_cannot_be(volume: Json, message: str) -> None:
    with pytest.raises(StartError, match=message) as failure:
        volumes({"name": "v", **volume})
    assert failure.value.message.startswith('MountVolume.SetUp failed for volume "v" : '.replace(" :", ":"))


def test_the_folder_of_a_claim_and_a_part_of_it() -> None:
    folder = ClaimedFolder(Path("/data/claims/a"), "Directory")
    claim = {"claimName": "data"}
    volumes = [
        {"name": "data", "persistentVolumeClaim": claim},
        {"name": "look", "persistentVolumeClaim": {**claim, "readOnly": True}},
    ]
    mounts = [
        {"name": "data", "mountPath": "/all"},
        {"name": "data", "mountPath": "/part", "subPath": "b"},
        {"name": "look", "mountPath": "/look"},
    ]
    made = plan(pod(container(volumeMounts=mounts), volumes=volumes), Sources("default", claims={"data": folder}))
    assert made.plan.containers[0].mounts == (
        Mount(folder.path, "/all", read_only=False),
        Mount(folder.path / "b", "/part", read_only=False, volume=folder.path),
        Mount(folder.path, "/look"),
    )
    assert made.claimed == {folder.path: folder}
    assert not made.empty


def test_a_whole_plan() -> None:
    mounts = [
        {"name": "cfg", "mountPath": "/cfg"},
        {"name": "tmp", "mountPath": "/tmp", "subPathExpr": "$(NAME)/x"},
        {"name": "host", "mountPath": "/srv", "readOnly": True},
    ]
    made = plan(
        pod(
            container(
                command=["run", "$(NAME)"],
                args=["$(PORT)"],
                env=[{"name": "NAME", "value": "ada"}],
                volumeMounts=mounts,
                resources={"limits": {"memory": "1Gi", "cpu": "250m"}},
                securityContext={"runAsUser": 7, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                workingDir="/w",
            ),
            container("side", "side", None),
            name="web",
            volumes=[
                {"name": "cfg", "configMap": {"name": "cfg"}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "host", "hostPath": {"path": "/srv"}},
            ],
            initContainers=[container("init", "init", None)],
            securityContext={"runAsUser": 1, "runAsGroup": 2, "runAsNonRoot": True, "fsGroup": 3},
            terminationGracePeriodSeconds=5,
            hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}],
        )
    )
    folder = Path("/data/pods/default_web_u-1")
    assert made.plan.instance == InstanceKey("default", "web", "u-1")
    assert (made.plan.port, made.plan.port_is_fixed, made.plan.grace_s) == (8080, False, 5)
    assert (made.plan.log_dir, made.plan.scratch_dir) == (folder / "logs", folder / "scratch")
    assert made.plan.hosts == {"a": "1.2.3.4", "b": "1.2.3.4"}
    init, main, side = made.plan.containers
    assert [(each.name, each.init, each.serving) for each in (init, main, side)] == [
        ("init", True, False), ("main", False, True), ("side", False, False),
    ]  # fmt: skip
    assert (main.command, main.args) == (("run", "ada"), (PORT_PLACEHOLDER,))
    assert main.on_port(99).args == ("99",)
    assert (main.limits.memory_bytes, main.limits.cpu_millis) == (1 << 30, 250)
    assert (main.identity.user, main.identity.group, main.identity.non_root) == (7, 2, True)
    assert (side.identity.user, main.identity.drop_capabilities) == (1, ("ALL",))
    sources = [mount.source for mount in main.mounts]
    assert sources[1:] == [folder / "scratch/volumes/tmp/ada/x", Path("/srv")]
    assert sources[0].parent == Path("/data/volumes")
    assert [mount.read_only for mount in main.mounts] == [True, False, True]
    assert (set(made.files), set(made.live)) == (set(), {sources[0]})
    assert set(made.empty) == {folder / "scratch/volumes/tmp"}


PROBED = {
    "its own port": ([{"readinessProbe": {"httpGet": {"port": 8080}}}], ()),
    "its own port by default": ([{"readinessProbe": {"tcpSocket": {"port": 0}}}], ()),
    "another one": ([{"readinessProbe": {"httpGet": {"port": 8077}}}], (8077,)),
    "each once": (
        [{"livenessProbe": {"tcpSocket": {"port": 9}}, "startupProbe": {"grpc": {"port": 9}}}, {}],
        (9,),
    ),
    "a sidecar's": ([{}, {"readinessProbe": {"httpGet": {"port": 8090}}}], (8090,)),
    "somebody else's": ([{"readinessProbe": {"httpGet": {"host": "10.0.0.1", "port": 8077}}}], ()),
    "a command": ([{"readinessProbe": {"exec": {"command": ["true"]}}}], ()),
}


@pytest.mark.parametrize("label", PROBED)
def test_ports_that_only_probes_ask(label: str) -> None:
    probes, ports = PROBED[label]
    names = ("main", "side")
    containers = [
        container(name=name, port=8080 if name == "main" else None, **each)
        for name, each in zip(names, probes, strict=False)
    ]
    assert plan(pod(*containers)).plan.other_ports == ports


def test_what_is_made_ahead_has_the_ports_that_probes_ask() -> None:
    one, other = (plan(pod(container(readinessProbe={"tcpSocket": {"port": port}}))) for port in (8077, 8078))
    assert one.plan.template != other.plan.template


def test_pods_of_one_template_share_its_digest_and_its_files() -> None:
    spec = {
        "volumes": [{"name": "cfg", "configMap": {"name": "cfg"}}, {"name": "tmp", "emptyDir": {}}],
    }
    mounts = [{"name": "cfg", "mountPath": "/cfg"}, {"name": "tmp", "mountPath": "/tmp"}]
    one = plan(pod(container(volumeMounts=mounts), name="a", **spec), uid="1")
    two = plan(pod(container(volumeMounts=mounts), name="b", **spec), uid="2")
    other = plan(pod(container(volumeMounts=mounts, args=["x"]), name="c", **spec), uid="3")
    assert one.plan.template == two.plan.template != other.plan.template
    assert set(one.live) == set(two.live)
    assert set(one.empty) != set(two.empty)


@pytest.mark.parametrize(
    ("obj", "port", "fixed", "serving"),
    [
        (pod(container(port=None)), 8080, False, "main"),
        (pod(container(port=9000)), 9000, False, "main"),
        (pod(container(port=None, name="a"), container(port=9000, name="b")), 9000, False, "b"),
        (pod(container(port=9000), revision=None), 9000, True, "main"),
        (pod(container(port=None), revision=None), None, True, None),
    ],
)
def test_which_port_and_whose(obj: Json, port: int | None, fixed: bool, serving: str | None) -> None:
    made = plan(obj).plan
    assert (made.port, made.port_is_fixed) == (port, fixed)
    assert [each.name for each in made.containers if each.serving] == ([] if serving is None else [serving])


def test_further_ports_are_those_of_all_containers_over_tcp() -> None:
    ports = [{"containerPort": 6000}, {"containerPort": 8080}, {"containerPort": 53, "protocol": "UDP"}]
    made = plan(pod(container(port=None, ports=ports), container(port=9000, name="b"), revision=None)).plan
    assert (made.port, made.other_ports) == (6000, (8080, 9000))
    assert plan(pod(container(port=9000))).plan.other_ports == ()


def test_root_under_a_non_root_policy_is_refused() -> None:
    with pytest.raises(StartError, match="non-root policy"):
        plan(pod(container(securityContext={"runAsUser": 0, "runAsNonRoot": True})))


def test_everything_referred_to_is_fetched() -> None:
    spec = POD.parse(
        pod(
            container(
                envFrom=[{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}],
                env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}}],
            ),
            initContainers=[
                container(env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "d", "key": "k"}}}])
            ],
            volumes=[
                {"name": "1", "secret": {"secretName": "e"}},
                {"name": "2", "configMap": {"name": "f"}},
                {"name": "3", "projected": {"sources": [{"secret": {"name": "g"}}, {"configMap": {"name": "h"}}]}},
            ],
            imagePullSecrets=[{"name": "i"}],
        )
    ).spec
    assert {(source.kind, source.name) for source in needed(spec)} == {
        ("secret", "a"), ("configmap", "b"), ("secret", "c"), ("configmap", "d"), ("secret", "e"), ("configmap", "f"),
        ("secret", "g"), ("configmap", "h"), ("secret", "i"),
    }  # fmt: skip


def test_data_and_pull_credentials() -> None:
    assert data_of({"kind": "ConfigMap", "data": {"a": "ü"}, "binaryData": {"b": "/w=="}}) == {
        "a": "ü".encode(),
        "b": b"\xff",
    }
    config = base64.b64encode(b'{"auths": {"r.test": {"auth": "eDp5"}}}').decode()
    data = data_of({"kind": "Secret", "data": {".dockerconfigjson": config}})
    sources = replace(SOURCES, found={Source("secret", "pull"): data, Source("secret", "odd"): {".dockercfg": b"["}})
    assert registry_auth(sources, ["pull", "odd", "missing"]) == {"r.test": {"auth": "eDp5"}}
    other = {".dockercfg": b'{"r.test": {"auth": "YTpi"}, "s.test": {}}'}
    both = replace(sources, found={**sources.found, Source("secret", "other"): other})
    assert registry_auth(both, ["pull", "other"]) == {"r.test": {"auth": "eDp5"}, "s.test": {}}, "the first counts"


def test_volume_files_are_shared_and_go_with_the_last_user(tmp_path: Path) -> None:
    shelf = VolumeFiles(tmp_path / "volumes")
    shelf.clear()
    places = Places(tmp_path / "pods", tmp_path / "volumes")

    def take(uid: str) -> Planned:
        obj = stored(
            pod(
                container(volumeMounts=[{"name": "cfg", "mountPath": "/c"}, {"name": "tmp", "mountPath": "/t"}]),
                volumes=[{"name": "cfg", "configMap": {"name": "cfg"}}, {"name": "tmp", "emptyDir": {}}],
            ),
            uid,
        )
        planned = plan_pod(obj, POD.parse(obj), SOURCES, MACHINE, places)
        shelf.take(planned)
        return planned

    one, two = take("1"), take("2")
    (folder,) = one.live
    assert (folder / "A").read_text() == "1"
    (empty,) = one.empty
    assert empty.stat().st_mode & 0o777 == 0o777
    shelf.give_back(one)
    assert (folder / "B").read_text() == "2"
    shelf.give_back(two)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("resources", "limit", "request_"),
    [
        ({}, None, None),
        ({"limits": {"cpu": "1"}}, 1000, 1000),
        ({"limits": {"cpu": "1"}, "requests": {"cpu": "125m"}}, 1000, 125),
        ({"requests": {"cpu": "0.5", "memory": "1Gi"}}, None, 500),
    ],
)
def test_a_cpu_limit_is_also_what_is_asked_for(resources: Json, limit: int | None, request_: int | None) -> None:
    limits = plan(pod(container(resources=resources))).plan.containers[0].limits
    assert (limits.cpu_millis, limits.cpu_request_millis, limits.memory_bytes) == (limit, request_, None)
