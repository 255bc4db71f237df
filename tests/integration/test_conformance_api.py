"""What Knative's clients hold a platform to on the API's side: objects as Go's typed clients write them, conditions as
its tests and `kn` wait for them. The server is a process of this machine; containers are in test_conformance_runtime.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.support.servers import compiled
from tests.support.user import SERVING, Json, User, condition

LABEL = "serving.knative.dev"
SERVICES, REVISIONS = f"{SERVING}/services", f"{SERVING}/revisions"
CLAIMS = "apis/networking.internal.knative.dev/v1alpha1/clusterdomainclaims"
OWNERS = {"default": "mine", "elsewhere": "theirs"}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def typed_service(name: str, text: str = "one", /, **container: Any) -> Json:
    """As a Go client writes it: with every zero value that has no `omitempty`."""
    env = [{"name": "TEXT", "value": text}]
    each = {"name": "", "image": "contract", "command": [str(compiled("contract"))], "env": env, "resources": {}}
    spec = {"runtimeClassName": "process", "containers": [{**each, **container}]}
    return {
        "kind": "Service",
        "apiVersion": "serving.knative.dev/v1",
        "metadata": {"name": name, "creationTimestamp": None},
        "spec": {"template": {"metadata": {"creationTimestamp": None}, "spec": spec}},
        "status": {},
    }


def set_text(service: Json, text: str, name: str = "") -> Json:
    """A new template, and the name that its revision is to have."""
    changed = copy.deepcopy(service)
    template = changed["spec"]["template"]
    template["spec"]["containers"][0]["env"][0]["value"] = text
    if name:
        template["metadata"]["name"] = name
    return changed


def target(tag: str, revision: str, percent: int | None) -> Json:
    entry = {"tag": tag, "revisionName": revision, "latestRevision": not revision, "percent": percent}
    return {key: value for key, value in entry.items() if value not in ("", None)}


def update(user: User, name: str, change: Callable[[Json], Json]) -> Json:
    """Read, change, write, again where somebody was faster: what `kn service update` does."""
    while True:
        reply = user.ask("PUT", f"{SERVICES}/{name}", change(user.service(name)))
        if reply.status != 409:
            assert reply.status == 200, reply.text
            return user.until_ready(name)


def with_traffic(*targets: Json) -> Callable[[Json], Json]:
    return lambda service: {**service, "spec": {**service["spec"], "traffic": list(targets)}}


def shown_traffic(user: User, name: str) -> list[tuple[str, str, int, bool]]:
    traffic = user.service(name)["status"]["traffic"]
    short = ((t.get("tag", ""), t["revisionName"].removeprefix(f"{name}-")) for t in traffic)
    return [(*names, t["percent"], t["latestRevision"]) for names, t in zip(short, traffic, strict=True)]


@contextmanager
def probed(user: User, name: str) -> Iterator[None]:
    """Nobody notices what goes on meanwhile."""
    answers: Counter[int] = Counter()
    stop = threading.Event()

    def probe() -> None:
        while not stop.wait(0.01):
            answers[user.call(name).status] += 1

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield
        user.until("some probes", lambda: sum(answers.values()) > 3)
    finally:
        stop.set()
        thread.join()
    assert set(answers) == {200}


def test_a_service_is_made_changed_and_always_there(user: User) -> None:
    service = user.create(typed_service("whole"))
    service = user.until_ready("whole")
    status = service["status"]
    assert status["latestCreatedRevisionName"] == status["latestReadyRevisionName"] == "whole-00001"
    assert user.call("whole").text == "one\n"
    for kind in ("services", "configurations", "routes"):
        marks = user.get(f"{SERVING}/{kind}/whole")["metadata"]["annotations"]
        assert {f"{LABEL}/creator", f"{LABEL}/lastModifier"} <= set(marks), kind
    with probed(user, "whole"):
        image = "/spec/template/spec/containers/0/env/0/value"
        operations: Any = json.dumps([{"op": "replace", "path": image, "value": "two"}]).encode()
        reply = user.ask("PATCH", f"{SERVICES}/whole", operations, "application/json-patch+json")
        assert reply.status == 200, reply.text
        user.until("the second text", lambda: user.call("whole").text == "two\n")
    user.until_ready("whole")
    revision = user.revision("whole-00002")
    assert revision["metadata"]["labels"][f"{LABEL}/configurationGeneration"] == "2"
    assert condition(revision)["status"] == "True"
    only = {"service", "configuration", "configurationGeneration", "serviceUID", "configurationUID", "routingState"}
    assert {key.removeprefix(f"{LABEL}/") for key in revision["metadata"]["labels"]} == only
    only = {"creator", "routes", "routingStateModified"}
    assert {key.removeprefix(f"{LABEL}/") for key in revision["metadata"]["annotations"]} == only
    assert shown_traffic(user, "whole") == [("", "00002", 100, True)]


def test_a_brought_name_stands_for_one_content(user: User) -> None:
    service = set_text(typed_service("brought"), "one", "brought-a")
    user.create(service)
    assert user.until_ready("brought")["status"]["latestReadyRevisionName"] == "brought-a"
    change = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other"}
    reply = user.ask("PATCH", f"{SERVICES}/brought", json.dumps([change]).encode(), "application/json-patch+json")
    assert reply.status == 400
    assert "Saw the following changes without a name change" in reply.json["message"]


def test_metadata_alone_makes_no_revision(user: User) -> None:
    configuration = typed_service("bare") | {"kind": "Configuration"}
    user.create(configuration, f"{SERVING}/configurations")
    path = f"{SERVING}/configurations/bare"
    user.until("the revision", lambda: user.get(path).get("status", {}).get("latestReadyRevisionName"))
    marks = {"labels": {"x": "1"}, "annotations": {"y": "2"}}
    assert user.patch(path, {"metadata": marks})["metadata"]["generation"] == 1
    found = user.get(path)
    assert found["metadata"]["labels"] == {"x": "1"}
    assert found["status"]["latestCreatedRevisionName"] == "bare-00001"
    metadata = user.revision("bare-00001")["metadata"]
    assert "x" not in metadata["labels"]
    assert "y" not in metadata["annotations"]


def test_names_are_generated(user: User) -> None:
    unnamed = typed_service("x")
    unnamed["metadata"] = {"generateName": "made-"}
    configuration = user.create({**unnamed, "kind": "Configuration"}, f"{SERVING}/configurations")["metadata"]["name"]
    route = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Route",
        "metadata": {"generateName": "made-"},
        "spec": {"traffic": [{"configurationName": configuration, "percent": 100}]},
    }
    names = [user.create(unnamed)["metadata"]["name"], user.create(route, f"{SERVING}/routes")["metadata"]["name"]]
    assert all(name.startswith("made-") and len(name) > 5 for name in (*names, configuration))
    for name in names:
        user.until(f"{name} answers", lambda name=name: user.call(name).status == 200)


TRAFFIC = {
    "two tags": ([("v1", "r1", 50), ("v2", "r2", 50)], [("v1", "r1", 50, False), ("v2", "r2", 50, False)]),
    "no tags": ([("", "r1", 20), ("", "r2", 80)], [("", "r1", 20, False), ("", "r2", 80, False)]),
    "a tag without traffic": (
        [("current", "r1", 100), ("latest", "", None)],
        [("current", "r1", 100, False), ("latest", "r2", 0, True)],
    ),
    "twice the same revision": (
        [("stable", "r1", 50), ("current", "r1", 50)],
        [("stable", "r1", 50, False), ("current", "r1", 50, False)],
    ),
    "the latest by its own name, too": (
        [("", "", 100), ("old", "r1", 0), ("new", "r2", 0)],
        [("", "r2", 100, True), ("old", "r1", 0, False), ("new", "r2", 0, False)],
    ),
    "back to the latest": ([("", "", 100)], [("", "r2", 100, True)]),
}
TEXTS = {"r1": "one\n", "r2": "two\n"}


@pytest.fixture(scope="module")
def split(user: User) -> str:
    """A service with the revisions r1 and r2."""
    user.create(set_text(typed_service("split"), "one", "split-r1"))
    user.until_ready("split")
    update(user, "split", lambda service: set_text(service, "two", "split-r2"))
    return "split"


@pytest.mark.parametrize("label", TRAFFIC)
def test_traffic_goes_where_the_status_says(user: User, split: str, label: str) -> None:
    asked, shown = TRAFFIC[label]
    targets = [target(tag, revision and f"split-{revision}", percent) for tag, revision, percent in asked]
    update(user, split, with_traffic(*targets))
    assert shown_traffic(user, split) == shown
    for tag, revision, _, _ in shown:
        if tag:
            assert user.call(f"{tag}-split.default.localhost").text == TEXTS[revision]
    got = Counter(user.call(split).text for _ in range(60))
    shares: Counter[str] = Counter()
    for _, revision, percent, _ in shown:
        shares[TEXTS[revision]] += percent
    assert set(got) == {text for text, percent in shares.items() if percent}


def test_a_hidden_service_becomes_public_again(user: User) -> None:
    service = typed_service("shy")
    service["metadata"]["labels"] = {"networking.knative.dev/visibility": "cluster-local"}
    assert user.deploy(service) == "shy"
    assert user.service("shy")["status"]["url"].startswith("http://shy.default.svc.cluster.local")
    assert user.call("shy").status == 404
    user.patch(f"{SERVICES}/shy", {"metadata": {"labels": {"networking.knative.dev/visibility": None}}})
    user.until("a public address", lambda: ".localhost" in user.service("shy")["status"]["url"])
    assert user.call("shy").status == 200


def test_a_restated_document_is_no_change(user: User) -> None:
    """`kn service apply` and `kubectl apply` restate what the defaults have added to."""
    user.deploy(typed_service("again"))
    container = typed_service("again")["spec"]["template"]["spec"]["containers"][0]
    restated = {key: value for key, value in container.items() if key not in ("name", "resources")}
    patch = {"spec": {"template": {"spec": {"containers": [restated]}}}}
    assert user.patch(f"{SERVICES}/again", patch)["metadata"]["generation"] == 1
    restated["env"] = [{"name": "TEXT", "value": "new"}]
    assert user.patch(f"{SERVICES}/again", patch)["metadata"]["generation"] == 2


def test_a_foreground_deletion_ends_with_its_event(user: User) -> None:
    """`kn service delete --wait`: a watch is told DELETED once the children are gone, and the name is free at once."""
    user.deploy(typed_service("brief"))
    events = user.watch(f"{SERVICES}", 30)
    told: list[str] = []

    def listen() -> None:
        for event in events:
            if event["object"]["metadata"]["name"] == "brief" and event["type"] == "DELETED":
                told.append(event["type"])
                return

    listener = threading.Thread(target=listen)
    listener.start()
    time.sleep(0.1)
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
    assert user.ask("DELETE", f"{SERVICES}/brief", options).status == 200
    listener.join(30)
    assert told == ["DELETED"]
    for kind in ("services", "configurations", "routes"):
        reply = user.ask("GET", f"{SERVING}/{kind}/brief")
        assert (reply.status, reply.json["message"]) == (404, f'{kind}.{LABEL} "brief" not found')
    user.deploy(typed_service("brief", "anew"))
    assert user.call("brief").text == "anew\n"


def test_an_imported_revision_joins_its_configuration(user: User) -> None:
    """`kn service import`: the later revision comes with the Service, the earlier one is created by hand."""
    user.create(set_text(typed_service("brought-in"), "one", "brought-in-r1"))
    user.until_ready("brought-in")
    update(user, "brought-in", lambda service: set_text(service, "two", "brought-in-r2"))
    split = with_traffic(target("", "brought-in-r1", 50), target("", "brought-in-r2", 50))
    service, revision = update(user, "brought-in", split), user.revision("brought-in-r1")
    user.delete("brought-in")
    user.until("both are gone", lambda: user.ask("GET", f"{REVISIONS}/brought-in-r1").status == 404)

    user.create({**service, "metadata": {"name": "brought-in"}, "status": {}})
    path = f"{SERVING}/configurations/brought-in"
    user.until("a configuration", lambda: user.ask("GET", path).status == 200)
    owner = {"apiVersion": f"{LABEL}/v1", "kind": "Configuration", "name": "brought-in", "controller": True}
    owner |= {"uid": user.get(path)["metadata"]["uid"], "blockOwnerDeletion": True}
    kept = {key: revision["metadata"][key] for key in ("name", "labels", "annotations")}
    user.create({**revision, "metadata": {**kept, "ownerReferences": [owner]}, "status": {}}, REVISIONS)
    user.until_ready("brought-in")
    assert {user.call("brought-in").text for _ in range(60)} == {"one\n", "two\n"}


def test_one_that_cannot_start_says_so_everywhere(user: User) -> None:
    user.create(typed_service("broken", command=["/bin/sh", "-c", "exit 3"]))

    def all_failed() -> bool:
        kinds = ("Ready", "ConfigurationsReady", "RoutesReady")
        return all(condition(user.service("broken"), kind).get("status") == "False" for kind in kinds)

    user.until("all have failed", all_failed)
    for path in ("configurations/broken", "revisions/broken-00001", "routes/broken"):
        ready = condition(user.get(f"{SERVING}/{path}"))
        assert ready["status"] == "False", path
        assert ready["reason"], path
        assert ready["message"], path
    assert condition(user.revision("broken-00001"))["reason"] == "ExitCode3"


def test_the_total_deadline_cuts_only_what_has_not_begun(user: User) -> None:
    service = typed_service("patient")
    service["spec"]["template"]["spec"]["timeoutSeconds"] = 1
    user.deploy(service)
    assert user.call("patient", "/late/100").text == "late\n"
    late = user.call("patient", "/late/2000")
    assert late.status == 504
    begun = user.call("patient", "/slow/2000")
    assert begun.status == 200
    assert begun.text.startswith("begun\n")


REFUSED = {
    "a port of any name": (
        {"ports": [{"name": "arbitrary", "containerPort": 0}]},
        "Port name arbitrary is not allowed",
    ),
    "two ports": ({"ports": [{"containerPort": 80}, {"containerPort": 81}]}, "more than one container port is set"),
    "a port of the host": ({"ports": [{"hostPort": 80, "containerPort": 0}]}, "ports.hostPort"),
    "stdin": ({"stdin": True}, "must not set the field(s): spec.template.spec.containers[0].stdin"),
    "a terminal": ({"tty": True}, "must not set the field(s): spec.template.spec.containers[0].tty"),
    "a hook": ({"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}, "containers[0].lifecycle"),
    "a user below zero": ({"securityContext": {"runAsUser": -10}}, "expected 0 <= -10 <= 2147483647"),
    "a name of a container": ({"name": "&InvalidValue"}, "validation callback failed"),
    "a mount at the root": (
        {"volumeMounts": [{"name": "v", "mountPath": "/", "mountPropagation": "HostToContainer"}]},
        "must not set the field(s): spec.template.spec.containers[0].volumeMounts[0].mountPropagation",
    ),
}


@pytest.mark.parametrize("label", REFUSED)
def test_what_the_contract_forbids_is_refused(user: User, label: str) -> None:
    container, said = REFUSED[label]
    reply = user.ask("POST", SERVICES, typed_service("never", **container))
    assert reply.status == 400, reply.text
    assert said in reply.json["message"]
    assert reply.json["message"].startswith('admission webhook "validation.webhook.serving.knative.dev" denied')


def test_a_service_account_must_have_a_name_that_can_be_one(user: User) -> None:
    service = typed_service("never")
    service["spec"]["template"]["spec"]["serviceAccountName"] = "foo@bar.baz"
    said = user.ask("POST", SERVICES, service).json["message"]
    assert "foo@bar.baz: spec.template.spec.serviceAccountName\na lowercase RFC 1123 subdomain must consist of" in said


def test_a_named_port_needs_no_number(user: User) -> None:
    user.deploy(typed_service("named", ports=[{"name": "http1", "containerPort": 0}]))
    assert user.call("named").status == 200


def test_the_gateway_is_found_where_test_clients_look_for_an_ingress(user: User) -> None:
    service = user.get("api/v1/namespaces/knative-serving/services/pilotlight-gateway")
    assert service["status"]["loadBalancer"]["ingress"] == [{"ip": "127.0.0.1"}]
    assert [(port["port"], port["nodePort"]) for port in service["spec"]["ports"]] == [(80, user.port)]


def is_settled(user: User, path: str, kind: str, status: str) -> bool:
    return bool(condition(user.get(path), kind).get("status") == status)


def test_a_domain_is_one_namespaces_until_it_lets_go(user: User) -> None:
    """TestDomainMapping, of the beta suite."""
    host = "shared.example.org"
    user.create({"kind": "Namespace", "metadata": {"name": "elsewhere"}}, "api/v1/namespaces")
    paths = {space: f"apis/serving.knative.dev/v1beta1/namespaces/{space}/domainmappings" for space in OWNERS}
    for space, text in OWNERS.items():
        service = typed_service("mapped", text)
        service["metadata"]["namespace"] = space
        user.create(service, SERVICES.replace("/default/", f"/{space}/"))
        reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "mapped", "namespace": space}
        user.create({"metadata": {"name": host, "namespace": space}, "spec": {"ref": reference}}, paths[space])
        wanted, status = ("Ready", "True") if space == "default" else ("DomainClaimed", "False")
        settled = partial(is_settled, user, f"{paths[space]}/{host}", wanted, status)
        user.until(f"{wanted} in {space}", settled)
        assert user.call(host).text == "mine\n"
    assert user.get(f"{CLAIMS}/{host}")["spec"] == {"namespace": "default"}
    assert user.ask("DELETE", f"{paths['default']}/{host}").status == 200
    user.until("it is the other's", partial(is_settled, user, f"{paths['elsewhere']}/{host}", "Ready", "True"))
    assert user.call(host).text == "theirs\n"
