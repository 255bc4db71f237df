"""ScaledObject, ScaledJob, TriggerAuthentication: their columns and what the shapes let in."""

from __future__ import annotations

from typing import Any

import pytest

from core.apiserver.table import make_table
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.keda_defaults import hpa_name, may_rest, only_resources, target_of
from core.resources.keda_jobs import SCALED_JOB
from core.resources.keda_triggers import authentications_types, triggers_types
from core.resources.meta import Json, Kind

KAFKA: Json = {
    "type": "kafka",
    "metadata": {"bootstrapServers": "kafka:9092", "consumerGroup": "g"},
    "authenticationRef": {"name": "login"},
}
OBJECT: Json = {"metadata": {"name": "a"}, "spec": {"scaleTargetRef": {"name": "w"}, "triggers": [KAFKA]}}
JOB: Json = {"metadata": {"name": "a"}, "spec": {"jobTargetRef": {"template": {}}, "triggers": [KAFKA]}}
CONDITIONS = [{"type": "Active", "status": "False"}, {"type": "Ready", "status": "True"}]
STATUS: Json = {"conditions": CONDITIONS, "triggersTypes": "kafka", "authenticationsTypes": "login"}


def row(kind: Kind[Any], obj: Json) -> dict[str, Any]:
    table = make_table(kind, [obj], version="v1", include="None", now=0.0)
    cells = zip((column["name"] for column in table["columnDefinitions"]), table["rows"][0]["cells"], strict=True)
    return {name: cell for name, cell in cells if name != "Name"}


def test_the_columns_of_a_scaled_object_are_upstreams() -> None:
    obj = {**OBJECT, "spec": {**OBJECT["spec"], "minReplicaCount": 1, "maxReplicaCount": 9}}
    status = {**STATUS, "scaleTargetKind": "apps/v1.Deployment"}
    assert row(SCALED_OBJECT, {**obj, "status": status}) == {
        "ScaleTargetKind": "apps/v1.Deployment",
        "ScaleTargetName": "w",
        "Min": 1,
        "Max": 9,
        "Ready": "True",
        "Active": "False",
        "Fallback": None,
        "Paused": None,
        "Triggers": "kafka",
        "Authentications": "login",
        "Age": "<unknown>",
    }


def test_the_columns_of_a_scaled_job_are_upstreams() -> None:
    assert row(SCALED_JOB, {**JOB, "status": STATUS}) == {
        "Min": None,
        "Max": None,
        "Ready": "True",
        "Active": "False",
        "Paused": None,
        "Triggers": "kafka",
        "Authentications": "login",
        "Age": "<unknown>",
    }


def test_the_columns_of_an_authentication_are_upstreams() -> None:
    keys = [{"parameter": "username", "name": "s", "key": "u"}, {"parameter": "password", "name": "t", "key": "p"}]
    spec = {"secretTargetRef": keys, "podIdentity": {"provider": "none"}}
    assert row(TRIGGER_AUTHENTICATION, {"metadata": {"name": "a"}, "spec": spec, "status": {"scaledjobs": "j"}}) == {
        "PodIdentity": "none",
        "Secret": "s,t",
        "Env": None,
        "VaultAddress": None,
        "ScaledObjects": None,
        "ScaledJobs": "j",
    }


def test_triggers_and_authentications_are_told_once_each() -> None:
    triggers = [{"type": "cron"}, KAFKA, {"type": "cron"}, KAFKA]
    assert triggers_types(triggers) == "cron,kafka"
    assert authentications_types(triggers) == "login"


@pytest.mark.parametrize(
    ("advanced", "name"),
    [({}, "keda-hpa-a"), ({"horizontalPodAutoscalerConfig": {"name": "mine"}}, "mine")],
    ids=["made up", "given"],
)
def test_the_name_of_the_autoscaler_that_keda_would_make(advanced: Json, name: str) -> None:
    assert hpa_name({**OBJECT, "spec": {**OBJECT["spec"], "advanced": advanced}}) == name


@pytest.mark.parametrize("files", ["auth.json", [{"parameter": "token", "path": "token"}]], ids=["JSON", "each"])
def test_files_of_an_authentication_are_written_in_either_way(files: Any) -> None:
    obj = {"metadata": {"name": "a"}, "spec": {"filePath": files}}
    parsed = CLUSTER_TRIGGER_AUTHENTICATION.parse(obj)
    assert CLUSTER_TRIGGER_AUTHENTICATION.to_json(parsed)["spec"]["filePath"] == files


def test_what_is_scaled_where_little_is_said() -> None:
    assert target_of(OBJECT["spec"]) == ("apps/v1", "Deployment", "w")
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "s"}
    assert target_of({"scaleTargetRef": service}) == tuple(service.values())


@pytest.mark.parametrize(
    ("spec", "rests"),
    [
        ({}, True),
        ({"minReplicaCount": 0}, True),
        ({"minReplicaCount": 2}, False),
        ({"minReplicaCount": 2, "idleReplicaCount": 1}, True),
    ],
    ids=["nothing said", "zero", "two", "two or idle"],
)
def test_what_goes_to_rest(spec: Json, rests: bool) -> None:
    assert may_rest(spec) is rests


def test_whether_nothing_but_resources_is_measured() -> None:
    cpu, memory = {"type": "cpu"}, {"type": "memory"}
    assert only_resources([cpu, memory])
    assert not only_resources([cpu, KAFKA])
    assert not only_resources([])
