"""PingSource, ContainerSource, SinkBinding, ApiServerSource (core/resources/sources_validation.py)."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.meta import AdmissionContext, Json, Kind
from core.resources.sources import API_SERVER_SOURCE, CONTAINER_SOURCE, PING_SOURCE, SINK_BINDING
from tests.support.eventing_documents import SINK, admitted, document, refusal

TEMPLATE: Json = {"spec": {"containers": [{"name": "a", "image": "x:1"}]}}
JOBS = {"apiVersion": "batch/v1", "kind": "Job", "selector": {"matchLabels": {"app": "a"}}}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
PODS = [{"apiVersion": "v1", "kind": "Pod"}]


def test_what_sources_get() -> None:
    assert admitted(PING_SOURCE, document({"sink": SINK}))["spec"]["schedule"] == "* * * * *"
    for kind in (PING_SOURCE, CONTAINER_SOURCE, SINK_BINDING, API_SERVER_SOURCE):
        found = admitted(kind, document({"sink": SINK}), user="ann")
        assert found["spec"]["sink"]["ref"]["namespace"] == "ns"
        assert found["metadata"]["annotations"]["sources.knative.dev/creator"] == "ann"
    assert admitted(SINK_BINDING, document({"subject": DEPLOYMENT}))["spec"]["subject"]["namespace"] == "ns"
    watch = admitted(API_SERVER_SOURCE, document({"resources": PODS}))["spec"]
    assert (watch["mode"], watch["serviceAccountName"]) == ("Reference", "default")


def test_containers_without_a_name_are_numbered() -> None:
    """`kn source container create` sends none."""
    containers = [{"image": "x:1"}, {"image": "x:2", "name": "mine"}, {"image": "x:3", "name": ""}]
    found = admitted(CONTAINER_SOURCE, document({"sink": SINK, "template": {"spec": {"containers": containers}}}))
    assert [each["name"] for each in found["spec"]["template"]["spec"]["containers"]] == ["x-0", "mine", "x-2"]


NOWHERE = "expected at least one, got none: spec.sink.ref, spec.sink.uri"


@pytest.mark.parametrize(
    ("kind", "spec", "text"),
    [
        pytest.param(PING_SOURCE, {"sink": SINK, "schedule": "*/10 * * * * *", "data": "{}"}, "", id="seconds"),
        pytest.param(PING_SOURCE, {}, NOWHERE, id="no sink"),
        pytest.param(
            PING_SOURCE,
            {"sink": SINK, "schedule": "61 * * * *"},
            "invalid value: minutes must be from 0 to 59: '61': spec.schedule",
            id="schedule",
        ),
        pytest.param(
            PING_SOURCE,
            {"sink": SINK, "schedule": "@every 5s"},
            "invalid value: unsupported descriptor @every: spec.schedule",
            id="every",
        ),
        pytest.param(
            PING_SOURCE,
            {"sink": SINK, "timezone": "Mars/Base"},
            "invalid value: provided bad location Mars/Base: unknown time zone: spec.timezone",
            id="timezone",
        ),
        pytest.param(
            PING_SOURCE,
            {"sink": SINK, "data": "a", "dataBase64": "YQ=="},
            "expected exactly one, got both: spec.data, spec.dataBase64",
            id="two sorts of data",
        ),
        pytest.param(
            PING_SOURCE,
            {"sink": SINK, "dataBase64": "YQ"},
            "invalid value: Incorrect padding: spec.dataBase64",
            id="base64",
        ),
        pytest.param(
            PING_SOURCE,
            {"sink": SINK, "contentType": "application/json", "data": "{"},
            "invalid value: unexpected end of data: line 1 column 2 (char 1): spec.data",
            id="json",
        ),
        pytest.param(PING_SOURCE, {"sink": SINK, "contentType": "text/plain", "data": "{"}, "", id="text"),
        pytest.param(
            PING_SOURCE,
            {"sink": SINK, "ceOverrides": {"extensions": {"My-Ext": "a"}}},
            "CloudEvents attribute names are lower-case letters and digits, found 'My-Ext': "
            "spec.ceOverrides.extensions",
            id="overrides",
        ),
        pytest.param(CONTAINER_SOURCE, {"sink": SINK, "template": TEMPLATE}, "", id="containers"),
        pytest.param(CONTAINER_SOURCE, {"sink": SINK}, "missing field(s): spec.template.spec.containers", id="none"),
        pytest.param(
            CONTAINER_SOURCE,
            {"sink": SINK, "template": {"spec": {"containers": [{}]}}},
            "missing field(s): spec.template.spec.containers[0].image",
            id="bare container",
        ),
        pytest.param(
            CONTAINER_SOURCE,
            {"sink": SINK, "template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Now"}}},
            'Unsupported value: "Now": supported values: "Always", "Never", "OnFailure": '
            "spec.template.spec.restartPolicy",
            id="a pod that cannot be",
        ),
        pytest.param(SINK_BINDING, {"sink": SINK, "subject": DEPLOYMENT}, "", id="by name"),
        pytest.param(SINK_BINDING, {"sink": SINK, "subject": JOBS}, "", id="by labels"),
        pytest.param(
            SINK_BINDING,
            {"sink": SINK, "subject": {**JOBS, "name": "j"}},
            "expected exactly one, got both: spec.subject.name, spec.subject.selector",
            id="both",
        ),
        pytest.param(
            SINK_BINDING,
            {"sink": SINK, "subject": {"kind": "Job", "namespace": "other"}},
            "expected exactly one, got neither: spec.subject.name, spec.subject.selector\n"
            "invalid value: other: spec.subject.namespace\n"
            "missing field(s): spec.subject.apiVersion",
            id="neither",
        ),
        pytest.param(API_SERVER_SOURCE, {"sink": SINK, "resources": PODS}, "", id="watch"),
        pytest.param(
            API_SERVER_SOURCE,
            {"sink": SINK, "mode": "All", "resources": [{"apiVersion": "a/b/c"}], "owner": {"apiVersion": "v1"}},
            "invalid value: All: spec.mode\n"
            "invalid value: a/b/c: spec.resources[0].apiVersion\n"
            "missing field(s): spec.owner.kind, spec.resources[0].kind",
            id="watch refused",
        ),
        pytest.param(API_SERVER_SOURCE, {"sink": SINK}, "missing field(s): spec.resources", id="watch nothing"),
    ],
)
def test_refusals(kind: Kind[Any], spec: Json, text: str) -> None:
    assert refusal(kind, document(spec)) == text


def test_what_one_machine_has_no_use_for_is_warned_of() -> None:
    pod = {**TEMPLATE["spec"], "nodeSelector": {"a": "b"}}
    source = admitted(CONTAINER_SOURCE, document({"sink": SINK, "template": {"spec": pod}}))
    assert CONTAINER_SOURCE.warn(source, AdmissionContext()) == [
        "spec.template.spec.nodeSelector: accepted, not honored on one machine"
    ]
