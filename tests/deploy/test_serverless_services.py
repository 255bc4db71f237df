"""What a ServerlessService says, and where the instances behind it are listed."""

from __future__ import annotations

import pytest

from core.resources.conditions import find_condition
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.meta import Json
from core.resources.networking import SERVERLESS_SERVICE
from core.resources.pilotlight import ADDRESS
from deploy import serverless_services as sks

NOW = "2026-01-01T00:00:00Z"
SCALER: Json = {
    "metadata": {"name": "hello-00001", "namespace": "default", "uid": "s", "labels": {"app": "hello-00001"}},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "hello-00001-deployment"}, "protocolType": "http1"},
}


def pod(name: str, port: int, ready: bool = True, **metadata: str) -> Json:
    container = {"name": "user-container", "ports": [{"name": "user-port", "containerPort": 8080}]}
    return {
        "metadata": {"name": name, "uid": name, "annotations": {ADDRESS: f"127.0.0.1:{port}"}, **metadata},
        "spec": {"containers": [container]},
        "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def stored() -> Json:
    made = sks.make_serverless_service(SCALER)
    return {**made, "metadata": {**made["metadata"], "uid": "u", "generation": 1}}


def test_it_is_the_scalers_and_names_what_is_scaled() -> None:
    found = SERVERLESS_SERVICE.parse(sks.make_serverless_service(SCALER))
    assert (found.name, found.spec.mode, found.spec.object_ref.name) == (
        "hello-00001",
        "Proxy",
        "hello-00001-deployment",
    )
    (owner,) = found.metadata.owner_references or []
    assert (owner.kind, owner.uid, owner.controller) == ("PodAutoscaler", "s", True)


INSTANCES = {
    "none": ([], "Unknown", "NoHealthyBackends"),
    "one that is not ready": ([pod("a", 1, ready=False)], "Unknown", "NoHealthyBackends"),
    "one that ends": ([pod("a", 1, deletionTimestamp=NOW)], "Unknown", "NoHealthyBackends"),
    "one of two is ready": ([pod("a", 1, ready=False), pod("b", 2)], "True", ""),
}


@pytest.mark.parametrize("label", INSTANCES)
def test_it_is_ready_while_an_instance_is(label: str) -> None:
    pods, status, reason = INSTANCES[label]
    decided = sks.decide_status(stored(), sks.instances_of(stored(), pods), NOW)
    condition = find_condition({"status": decided}) or {}
    assert (condition["status"], condition.get("reason", "")) == (status, reason)
    assert (decided["serviceName"], decided["privateServiceName"]) == ("hello-00001", "hello-00001-private")
    SERVERLESS_SERVICE.parse({**stored(), "status": decided})


GATEWAY: Json = {"subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "http", "port": 8080}]}]}


def test_instances_are_listed_behind_the_private_name() -> None:
    instances = sks.instances_of(stored(), [pod("a", 20001), pod("b", 20002, ready=False)])
    found = {}
    for each in sks.make_slices_lists(stored(), instances, None):
        assert each["metadata"]["labels"]["kubernetes.io/service-name"] == "hello-00001-private"
        for endpoint in each["endpoints"]:
            found[endpoint["targetRef"]["name"]] = (each["ports"][0]["port"], endpoint["conditions"]["ready"])
    assert found == {"a": (20001, True), "b": (20002, False)}
    _, private = sks.make_endpoints_lists(stored(), instances, None)
    assert private["metadata"]["name"] == "hello-00001-private"
    assert [(sorted(subset), subset["ports"][0]["port"]) for subset in private["subsets"]] == [
        (["addresses", "ports"], 20001),
        (["notReadyAddresses", "ports"], 20002),
    ]


def test_behind_the_public_name_is_the_gateway() -> None:
    public, private = sks.make_endpoints_lists(stored(), [], GATEWAY)
    (listed,) = sks.make_slices_lists(stored(), [], GATEWAY)
    assert (public["metadata"]["name"], public["subsets"]) == ("hello-00001", GATEWAY["subsets"])
    assert private["subsets"] == []
    assert listed["metadata"]["labels"]["kubernetes.io/service-name"] == "hello-00001"
    assert (listed["endpoints"][0]["addresses"], listed["ports"][0]["port"]) == (["127.0.0.1"], 8080)
    ENDPOINT_SLICE.parse({**listed, "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice"})


def test_all_of_it_goes_with_the_serverless_service() -> None:
    instances = sks.instances_of(stored(), [pod("a", 20001)])
    for make in (sks.make_endpoints_lists, sks.make_slices_lists):
        for each in make(stored(), instances, GATEWAY):
            assert [(o["kind"], o["uid"]) for o in each["metadata"]["ownerReferences"]] == [("ServerlessService", "u")]
