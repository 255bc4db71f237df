"""The real kubectl against the API server: every verb that the documentation promises.

`PILOTLIGHT_KUBECTL` may name several binaries, separated by colons; otherwise it is the one on the PATH. There is no
controller behind the server, so what the tests check is the protocol and nothing more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.resources.core_v1 import EVENT
from core.resources.serving import SERVICE
from tests.support.apiserver import Running, running_server

pytestmark = pytest.mark.kubectl
BINARIES = [name for name in os.environ.get("PILOTLIGHT_KUBECTL", "kubectl").split(":") if shutil.which(name)]
DEADLINE_S = 30

KSVC = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello
spec:
  template:
    spec:
      containers:
      - image: docker.io/library/nginx:1
        env:
        - name: TARGET
          value: World
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: a, image: "docker.io/library/nginx:1", env: [{name: X, value: "1"}, {name: Z, value: "1"}]}
      - {name: b, image: "docker.io/library/busybox:1"}
"""


class Kubectl:
    """Runs one binary against one server."""

    def __init__(self, binary: str, server: Running, home: Path) -> None:
        self.binary = binary
        self.server = server
        self.environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig), "HOME": str(home)}
        version = json.loads(self("version", "--client", "-o", "json"))["clientVersion"]
        self.minor = int(version["minor"].rstrip("+"))

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        """The output of a command that succeeds."""
        done = self.run(*arguments, stdin=stdin, **environment)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done.stdout

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """What a command says that fails."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} succeeded: {done.stdout}"
        return done.stderr

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **environment}
        return subprocess.run(
            [self.binary, *arguments], input=stdin, env=environment, capture_output=True, text=True, timeout=DEADLINE_S
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen([self.binary, *arguments], env=self.environment, stdout=subprocess.PIPE, text=True)

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))


@pytest.fixture(scope="module", params=BINARIES or [None])
def kubectl(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    if request.param is None:
        pytest.skip("no kubectl on the PATH: https://kubernetes.io/docs/tasks/tools/ (Debian: kubernetes-client)")
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder) as server:
        yield Kubectl(request.param, server, folder)


@pytest.fixture
def space(kubectl: Kubectl, request: pytest.FixtureRequest) -> Callable[..., str]:
    """kubectl in a namespace of the test's own."""
    name = f"t{abs(hash(request.node.name)) % 10**8}"
    kubectl("create", "namespace", name)
    return lambda *arguments, **more: kubectl("-n", name, *arguments, **more)


def lines(output: str) -> list[list[str]]:
    return [line.split() for line in output.strip().splitlines()]


def test_version_and_resources(kubectl: Kubectl) -> None:
    assert "v1.32" in kubectl("version")
    listed = kubectl("api-resources", "--no-headers")
    for expected in ("kservice,ksvc", "deploy", "pods", "configmaps", "kpa"):
        assert expected in listed
    versions = kubectl("api-versions").split()
    assert {"v1", "apps/v1", "serving.knative.dev/v1"} <= set(versions)


def test_typed_create_commands(space: Callable[..., str]) -> None:
    """These send protobuf since kubectl 1.31."""
    space("create", "configmap", "cm", "--from-literal=a=1", "--from-literal=b=two")
    space("create", "secret", "generic", "sec", "--from-literal=password=hunter2")
    space("create", "serviceaccount", "sa")
    space("create", "deployment", "d", "--image=docker.io/library/nginx:1", "--replicas=3")
    space("create", "service", "clusterip", "svc", "--tcp=80:8080")
    space("run", "one", "--image=docker.io/library/nginx:1", "--env=A=b", "--labels=x=y")
    assert space("get", "cm", "cm", "-o", "jsonpath={.data.a}{.data.b}") == "1two"
    assert space("get", "secret", "sec", "-o", "jsonpath={.data.password}") == "aHVudGVyMg=="
    assert space("get", "deploy", "d", "-o", "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}") == (
        "3 docker.io/library/nginx:1"
    )
    assert space("get", "svc", "svc", "-o", "jsonpath={.spec.ports[0].targetPort}") == "8080"
    assert space("get", "pod", "one", "-o", "jsonpath={.spec.containers[0].env[0].value}") == "b"


def test_create_from_files_and_refusals(kubectl: Kubectl, space: Callable[..., str]) -> None:
    assert space("create", "-f", "-", stdin=KSVC) == "service.serving.knative.dev/hello created\n"
    namespace = space("get", "ksvc", "hello", "-o", "jsonpath={.metadata.namespace}")
    again = kubectl.fails("-n", namespace, "create", "-f", "-", stdin=KSVC)
    assert "Error from server (AlreadyExists)" in again
    assert "not found" in kubectl.fails("-n", "nowhere", "create", "-f", "-", stdin=KSVC)
    wrong = KSVC.replace("name: hello", "name: Hello_World")
    assert "metadata.name" in kubectl.fails("-n", namespace, "create", "-f", "-", stdin=wrong)


def test_a_misspelt_field_is_named(kubectl: Kubectl, space: Callable[..., str]) -> None:
    misspelt = KSVC.replace("env:", "enw:")
    said = kubectl.fails("-n", "default", "apply", "-f", "-", "--dry-run=server", stdin=misspelt)
    old = kubectl.minor < 27  # finds it by itself, in OpenAPI v2; later ones leave it to the server
    assert ('unknown field "enw"' if old else 'unknown field "spec.template.spec.containers[0].enw"') in said
    lenient = "--validate=false" if old else "--validate=warn"
    done = kubectl.run("-n", "default", "apply", "-f", "-", "--dry-run=server", lenient, stdin=misspelt)
    assert done.returncode == 0, done.stderr
    assert 'Warning: unknown field "spec.template.spec.containers[0].enw"' in done.stderr


def test_client_side_apply(space: Callable[..., str]) -> None:
    assert "created" in space("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "unchanged" in space("apply", "-f", "-", stdin=DEPLOYMENT)
    changed = yaml.safe_load(DEPLOYMENT)
    changed["spec"]["replicas"] = 4
    del changed["spec"]["template"]["spec"]["containers"][1]
    del changed["spec"]["template"]["spec"]["containers"][0]["env"][0]
    assert "configured" in space("apply", "-f", "-", stdin=yaml.safe_dump(changed))
    found = json.loads(space("get", "deploy", "web", "-o", "json"))
    assert found["spec"]["replicas"] == 4
    [container] = found["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "Z", "value": "1"}]


def test_apply_to_a_knative_service(space: Callable[..., str]) -> None:
    space("apply", "-f", "-", stdin=KSVC)
    versions = "jsonpath={.metadata.resourceVersion} {.metadata.generation}"
    before = space("get", "ksvc", "hello", "-o", versions)
    space("apply", "-f", "-", stdin=KSVC)
    assert space("get", "ksvc", "hello", "-o", versions) == before
    space("apply", "-f", "-", stdin=KSVC.replace("World", "Moon"))
    path = "jsonpath={.spec.template.spec.containers[0].env[0].value}"
    assert space("get", "ksvc", "hello", "-o", path) == "Moon"


def test_server_side_apply_and_its_conflicts(kubectl: Kubectl, space: Callable[..., str]) -> None:
    cm = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: '1', b: '1'}\n"
    apply = ("apply", "--server-side", "-f", "-")
    assert "serverside-applied" in space(*apply, "--field-manager=one", stdin=cm)
    namespace = space("get", "cm", "cm", "-o", "jsonpath={.metadata.namespace}")
    other = cm.replace("a: '1', b: '1'", "a: '2'")
    said = kubectl.fails("-n", namespace, *apply, "--field-manager=two", stdin=other)
    assert 'conflict with "one"' in said
    assert ".data.a" in said
    space(*apply, "--field-manager=two", "--force-conflicts", stdin=other)
    space(*apply, "--field-manager=one", stdin=cm.replace("a: '1', b: '1'", "c: '3'"))
    data = json.loads(space("get", "cm", "cm", "-o", "json"))["data"]
    assert data == {"a": "2", "c": "3"}


def test_edit(space: Callable[..., str], tmp_path: Path) -> None:
    space("create", "configmap", "cm", "--from-literal=a=old")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i s/old/new/ $1\n")
    editor.chmod(0o755)
    assert "edited" in space("edit", "configmap", "cm", KUBE_EDITOR=str(editor))
    assert space("get", "cm", "cm", "-o", "jsonpath={.data.a}") == "new"


def test_patches(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("create", "-f", "-", stdin=DEPLOYMENT)
    space("patch", "deploy", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"b","image":"x:2"}]}}}}')
    space("patch", "deploy", "web", "--type=merge", "-p", '{"spec":{"replicas":7}}')
    space("patch", "deploy", "web", "--type=json", "-p", '[{"op":"add","path":"/metadata/labels/z","value":"1"}]')
    found = json.loads(space("get", "deploy", "web", "-o", "json"))
    assert {c["name"]: c["image"] for c in found["spec"]["template"]["spec"]["containers"]} == {
        "a": "docker.io/library/nginx:1",
        "b": "x:2",
    }
    assert (found["spec"]["replicas"], found["metadata"]["labels"]["z"]) == (7, "1")
    space("create", "-f", "-", stdin=KSVC)
    namespace = found["metadata"]["namespace"]
    said = kubectl.fails("-n", namespace, "patch", "ksvc", "hello", "--type=strategic", "-p", '{"spec":{}}')
    assert "application/merge-patch+json" in said


def test_replace_and_its_conflict(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("create", "configmap", "cm", "--from-literal=a=1")
    old = json.loads(space("get", "cm", "cm", "-o", "json"))
    assert "replaced" in space("replace", "-f", "-", stdin=json.dumps(old | {"data": {"a": "2"}}))
    namespace = old["metadata"]["namespace"]
    said = kubectl.fails("-n", namespace, "replace", "-f", "-", stdin=json.dumps(old | {"data": {"a": "3"}}))
    assert "Error from server (Conflict)" in said
    assert "the object has been modified" in said
    assert "replaced" in space("replace", "--force", "--grace-period=0", "-f", "-", stdin=json.dumps(old))


def test_delete_and_its_manners(kubectl: Kubectl, space: Callable[..., str]) -> None:
    for name in ("a", "b", "c", "d"):
        space("create", "configmap", name)
        space("label", "configmap", name, "kind=test")
    assert "deleted" in space("delete", "configmap", "a")
    policies = {"b": "orphan", "c": "foreground" if kubectl.minor >= 20 else "true"}
    for name, policy in policies.items():
        space("delete", "configmap", name, f"--cascade={policy}", "--wait=false")
    finalizers = json.loads(space("get", "cm", "b", "c", "-o", "json"))["items"]
    assert [item["metadata"]["finalizers"] for item in finalizers] == [["orphan"], ["foregroundDeletion"]]
    assert "deleted" in space("delete", "configmap", "d", "--cascade=background")
    for name in ("b", "c"):
        space("patch", "cm", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    space("create", "configmap", "e")
    space("delete", "configmap", "--all")
    assert space("get", "cm", "--ignore-not-found") == ""
    assert space("delete", "cm", "none", "--ignore-not-found") == ""


def test_labels_annotations_and_selectors(space: Callable[..., str]) -> None:
    space("create", "configmap", "a")
    space("create", "configmap", "b")
    space("label", "cm", "a", "tier=web")
    space("label", "cm", "a", "tier=db", "--overwrite")
    space("annotate", "cm", "a", "note=hello world")
    assert space("get", "cm", "-l", "tier in (db)", "-o", "name") == "configmap/a\n"
    assert space("get", "cm", "-l", "!tier", "-o", "name") == "configmap/b\n"
    assert space("get", "cm", "--field-selector", "metadata.name!=a", "-o", "name") == "configmap/b\n"
    assert space("get", "cm", "a", "-o", r"jsonpath={.metadata.annotations.note}") == "hello world"
    space("label", "cm", "a", "tier-")
    assert space("get", "cm", "-l", "tier") == ""


def test_scale_and_wait(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("create", "-f", "-", stdin=DEPLOYMENT)
    assert "scaled" in space("scale", "deploy", "web", "--replicas=5")
    assert "scaled" in space("scale", "deploy", "web", "--replicas=6", "--current-replicas=5")
    assert space("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "6"
    if kubectl.minor >= 23:
        space("wait", "deploy/web", "--for=jsonpath={.spec.replicas}=6", "--timeout=5s")
    namespace = space("get", "deploy", "web", "-o", "jsonpath={.metadata.namespace}")
    space("create", "-f", "-", stdin=KSVC)
    waiting = kubectl.start("-n", namespace, "wait", "ksvc/hello", "--for=condition=Ready", "--timeout=20s")
    time.sleep(0.5)
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    store = kubectl.server.backend.store
    kubectl.server.call(store.modify(SERVICE, "hello", namespace, lambda obj: obj | status, "status"))
    output, _ = waiting.communicate(timeout=DEADLINE_S)
    assert (waiting.returncode, "condition met" in output) == (0, True)


def test_get_follows_changes(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("create", "configmap", "a")
    namespace = space("get", "cm", "a", "-o", "jsonpath={.metadata.namespace}")
    watching = kubectl.start("-n", namespace, "get", "cm", "-w", "--output-watch-events")
    assert watching.stdout is not None
    seen = [watching.stdout.readline().split() for _ in range(2)]
    space("create", "configmap", "b")
    seen.append(watching.stdout.readline().split())
    space("delete", "configmap", "a")
    seen.append(watching.stdout.readline().split())
    watching.terminate()
    watching.wait(DEADLINE_S)
    assert [row[:2] for row in seen] == [["EVENT", "NAME"], ["ADDED", "a"], ["ADDED", "b"], ["DELETED", "a"]]


def test_logs(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("run", "p", "--image=docker.io/library/nginx:1")
    assert space("logs", "p").splitlines() == [f"p line {i}" for i in range(10)]
    assert space("logs", "p", "--tail=2").splitlines() == ["p line 8", "p line 9"]
    assert space("logs", "p", "--tail=1", "--timestamps").startswith("2023-11-14T22:13:29.000000000Z p line 9")
    assert space("logs", "p", "--since-time=2023-11-14T22:13:28Z").splitlines() == ["p line 8", "p line 9"]
    assert space("logs", "p", "--since=1s") == ""
    assert space("logs", "-f", "p", "--tail=1").splitlines() == ["p line 9", "the end"]
    assert space("logs", "p", "--limit-bytes=3") == "p l"
    namespace = space("get", "pod", "p", "-o", "jsonpath={.metadata.namespace}")
    assert "container x is not valid for pod p" in kubectl.fails("-n", namespace, "logs", "p", "-c", "x")


def test_describe_and_events(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("run", "p", "--image=docker.io/library/nginx:1")
    pod = json.loads(space("get", "pod", "p", "-o", "json"))
    namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
    about = {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": namespace, "uid": uid}
    stamp = pod["metadata"]["creationTimestamp"]
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "p.1", "namespace": namespace},
        "involvedObject": about, "reason": "Pulled", "message": "image is here", "type": "Normal",
        "count": 2, "firstTimestamp": stamp, "lastTimestamp": stamp, "source": {"component": "node"},
    }  # fmt: skip
    kubectl.server.call(kubectl.server.backend.store.create(EVENT, event))
    described = space("describe", "pod", "p")
    assert "docker.io/library/nginx:1" in described
    assert "image is here" in described
    assert "image is here" in space("get", "events")
    assert "Pulled" in space("get", "events", "--field-selector", "involvedObject.name=p,type=Normal")
    space("create", "-f", "-", stdin=KSVC)
    assert "docker.io/library/nginx:1" in space("describe", "ksvc", "hello")
    assert "Replicas:" in (space("create", "-f", "-", stdin=DEPLOYMENT) and space("describe", "deploy", "web"))


def test_a_dry_run_on_the_server(space: Callable[..., str]) -> None:
    assert "created (server dry run)" in space("apply", "--dry-run=server", "-f", "-", stdin=DEPLOYMENT)
    assert space("get", "deploy", "--ignore-not-found") == ""
    space("create", "-f", "-", stdin=DEPLOYMENT)
    space("delete", "deploy", "web", "--dry-run=server")
    space("scale", "deploy", "web", "--replicas=9")
    assert space("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "9"


def test_explain(kubectl: Kubectl) -> None:
    template = kubectl("explain", "ksvc.spec.template")
    assert "serving.knative.dev" in template
    assert "The next Revision." in template
    assert "spec\t" in template
    assert "containerConcurrency\t<integer>" in kubectl("explain", "ksvc.spec.template.spec")
    assert "replicas\t<integer>" in kubectl("explain", "deployment.spec")
    assert "FIELDS:" in kubectl("explain", "pods", "--recursive")


def test_printer_columns(space: Callable[..., str]) -> None:
    space("create", "-f", "-", stdin=KSVC)
    space("create", "-f", "-", stdin=DEPLOYMENT)
    space("run", "p", "--image=docker.io/library/nginx:1")
    heads = {
        "ksvc": ["NAME", "URL", "LATESTCREATED", "LATESTREADY", "READY", "REASON"],
        "deploy": ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"],
        "pods": ["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
    }
    for resource, head in heads.items():
        assert lines(space("get", resource))[0] == head
    assert "CONTAINERS" in space("get", "deploy", "-o", "wide")
    assert lines(space("get", "pods", "--show-labels"))[0][-1] == "LABELS"
    assert "pod/p" in space("get", "all")


def test_pages(kubectl: Kubectl, space: Callable[..., str]) -> None:
    for index in range(5):
        space("create", "configmap", f"cm{index}")
    assert len(lines(space("get", "cm", "--chunk-size=2", "--no-headers"))) == 5


def test_namespaces_and_rights(kubectl: Kubectl) -> None:
    assert {"default", "kube-system", "knative-serving"} <= set(
        kubectl("get", "ns", "-o", "name").replace("namespace/", "").split()
    )
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    if kubectl.minor >= 28:
        assert "pilotlight-admin" in kubectl("auth", "whoami")


def test_a_wrong_token_is_refused(kubectl: Kubectl, tmp_path: Path) -> None:
    config = yaml.safe_load(kubectl.server.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "wrong"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    done = kubectl.run("get", "pods", KUBECONFIG=str(path))
    assert done.returncode != 0
    assert "Unauthorized" in done.stderr or "provide credentials" in done.stderr


def test_many_clients_at_once(kubectl: Kubectl) -> None:
    failures: list[str] = []

    def work(number: int) -> None:
        done = kubectl.run("create", "configmap", f"many-{number}")
        if done.returncode:
            failures.append(done.stderr)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
