"""What `kn` (knative.dev/client) and its end-to-end tests ask of a platform beyond what Knative's other clients do: its
documents as they come from it, older versions and left-out names included. The server is a process of this machine.
"""

from __future__ import annotations

import json

from tests.support.user import SERVING, Json, User, condition, make_service

SOURCES = "apis/sources.knative.dev"
DEFINITIONS = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def until_ready(user: User, path: str) -> Json:
    def ready() -> Json | None:
        found = user.get(path)
        return found if condition(found).get("status") == "True" else None

    return dict(user.until(f"{path} is ready", ready))


def sink(name: str) -> Json:
    return {"ref": {"kind": "Service", "namespace": "default", "name": name, "apiVersion": "serving.knative.dev/v1"}}


def test_a_namespace_has_an_account_that_comes_and_goes_with_it(user: User) -> None:
    """`NewKnTest` waits for it before anything else."""
    user.create({"metadata": {"name": "mine"}}, "api/v1/namespaces")
    account = "api/v1/namespaces/mine/serviceaccounts/default"
    user.until("the account", lambda: user.ask("GET", account).status == 200)
    assert user.ask("DELETE", "api/v1/namespaces/mine").status == 200
    user.until("the end", lambda: user.ask("GET", "api/v1/namespaces/mine").status == 404)
    assert user.ask("GET", account).status == 404


def test_sources_as_kn_writes_and_lists_them(user: User) -> None:
    """`kn source ping create`, `kn source container create`, `kn source list`."""
    user.deploy(make_service("sink"))
    ping = {"kind": "PingSource", "metadata": {"name": "p", "creationTimestamp": None}, "status": {}}
    spec = {"sink": sink("sink"), "schedule": "* * * * *", "data": '{"a":1}'}
    path = f"{SOURCES}/v1beta2/namespaces/default/pingsources"
    made = user.create({**ping, "apiVersion": "sources.knative.dev/v1beta2", "spec": spec}, path)
    assert made["apiVersion"] == "sources.knative.dev/v1beta2"
    until_ready(user, f"{path}/p")
    made = user.get(f"{path}/p")
    replaced = user.ask("PUT", f"{path}/p", {**made, "spec": {**made["spec"], "schedule": "*/2 * * * *"}})
    assert replaced.status == 200, replaced.text
    stored = user.get(f"{SOURCES}/v1/namespaces/default/pingsources/p")
    assert (stored["apiVersion"], stored["spec"]["schedule"]) == ("sources.knative.dev/v1", "*/2 * * * *")
    template = {"metadata": {"creationTimestamp": None}, "spec": {"containers": [{"image": "x:1", "resources": {}}]}}
    contained = user.create(
        {
            "kind": "ContainerSource",
            "apiVersion": "sources.knative.dev/v1",
            "metadata": {"name": "c", "creationTimestamp": None},
            "spec": {"sink": sink("sink"), "template": template},
            "status": {},
        },
        f"{SOURCES}/v1/namespaces/default/containersources",
    )
    assert contained["spec"]["template"]["spec"]["containers"][0]["name"] == "c-0"
    found: dict[str, set[str]] = {}
    for definition in user.items(f"{DEFINITIONS}?labelSelector=duck.knative.dev%2Fsource%3Dtrue"):
        spec = definition["spec"]
        for version in spec["versions"]:
            path = f"apis/{spec['group']}/{version['name']}/namespaces/default/{spec['names']['plural']}"
            found.setdefault(spec["names"]["kind"], set()).update(o["metadata"]["name"] for o in user.items(path))
    assert (found["PingSource"], found["ContainerSource"]) == ({"p"}, {"c"})


def test_a_domain_with_a_certificate_is_one_of_https(user: User) -> None:
    """`kn domain create --tls`: the port of the gateway, which speaks plain HTTP, is not that of the proxy."""
    user.deploy(make_service("domain"))
    path = "apis/serving.knative.dev/v1beta1/namespaces/default/domainmappings"
    spec = {"ref": sink("domain")["ref"], "tls": {"secretName": "tls-secret"}}
    user.create({"metadata": {"name": "newdomain.com"}, "spec": spec}, path)
    mapping = until_ready(user, f"{path}/newdomain.com")
    assert mapping["status"]["url"] == "https://newdomain.com"
    assert user.call("newdomain.com").status == 200


def test_what_kn_exports_kn_imports(user: User) -> None:
    """`kn service import`: the Service with the newest template first, then the older revisions as its
    Configuration's, and the traffic that names them is split as soon as they are there."""
    split = [
        {"latestRevision": True, "percent": 98},
        {"revisionName": "moved-rev1", "latestRevision": False, "percent": 2, "tag": "candidate"},
    ]
    service = make_service("moved", env={"WHO": "rev2"})
    service["spec"]["template"].setdefault("metadata", {})["name"] = "moved-rev2"
    service["spec"]["traffic"] = split
    user.create(service)
    configuration = f"{SERVING}/configurations/moved"
    user.until("the configuration", lambda: user.ask("GET", configuration).status == 200)
    owner = user.get(configuration)
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
    reference |= {"name": "moved", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True}
    labels = {"configuration": "moved", "configurationGeneration": "1", "routingState": "active", "service": "moved"}
    metadata = {
        "name": "moved-rev1",
        "creationTimestamp": None,
        "labels": {f"serving.knative.dev/{key}": value for key, value in labels.items()},
        "annotations": {"serving.knative.dev/routes": "moved"},
        "ownerReferences": [reference],
    }
    older = json.loads(json.dumps(service["spec"]["template"]["spec"]).replace("rev2", "rev1"))
    user.create({"metadata": metadata, "spec": older, "status": {}}, f"{SERVING}/revisions")
    status = user.until_ready("moved")["status"]
    assert status["latestReadyRevisionName"] == "moved-rev2"
    assert [(t["revisionName"], t["percent"]) for t in status["traffic"]] == [("moved-rev2", 98), ("moved-rev1", 2)]
    assert user.call("candidate-moved.default.localhost").status == 200
    assert condition(user.revision("moved-rev1"))["status"] == "True"
