"""Sequence and Parallel (core/resources/flows_validation.py)."""

from __future__ import annotations

import pytest

from core.resources.flows import PARALLEL, SEQUENCE
from core.resources.meta import Json
from tests.support.eventing_documents import SINK, admitted, document, refusal

TEMPLATE = {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}
HERE = {"ref": {**SINK["ref"], "namespace": "ns"}}


def test_a_sequence_gets_a_template_and_namespaces() -> None:
    delivery = {"deadLetterSink": SINK, "retry": 2}
    found = admitted(SEQUENCE, document({"steps": [SINK, {**SINK, "delivery": delivery}], "reply": SINK}))
    assert found["spec"] == {
        "steps": [HERE, {**HERE, "delivery": {"deadLetterSink": HERE, "retry": 2}}],
        "reply": HERE,
        "channelTemplate": TEMPLATE,
    }
    assert refusal(SEQUENCE, found) == ""


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "missing field(s): spec.steps"),
        (
            {"steps": [SINK, {}]},
            "expected at least one, got none: spec.steps[1].ref, spec.steps[1].uri",
        ),
        (
            {"steps": [{**SINK, "delivery": {"format": "xml"}}], "reply": {"ref": {"name": "a"}}},
            "invalid value: xml: spec.steps[0].delivery.format\n"
            "missing field(s): spec.reply.ref.apiVersion, spec.reply.ref.kind",
        ),
        ({"steps": [SINK], "channelTemplate": {"kind": "K"}}, "missing field(s): spec.channelTemplate.apiVersion"),
    ],
)
def test_a_sequence_refused(spec: Json, text: str) -> None:
    assert refusal(SEQUENCE, document(spec)) == text


def test_a_parallel_gets_a_template_and_namespaces() -> None:
    branches = [{"filter": SINK, "subscriber": SINK, "reply": SINK}, {"subscriber": {"uri": "http://f/"}}]
    found = admitted(PARALLEL, document({"branches": branches}))
    assert found["spec"] == {
        "branches": [{"filter": HERE, "subscriber": HERE, "reply": HERE}, {"subscriber": {"uri": "http://f/"}}],
        "channelTemplate": TEMPLATE,
    }
    assert refusal(PARALLEL, found) == ""


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "missing field(s): spec.branches"),
        (
            {"branches": [{"filter": SINK}]},
            "expected at least one, got none: spec.branches[0].subscriber.ref, spec.branches[0].subscriber.uri",
        ),
        (
            {"branches": [{"subscriber": SINK, "filter": {"ref": {"name": "a", "kind": "b"}}}]},
            "missing field(s): spec.branches[0].filter.ref.apiVersion",
        ),
    ],
)
def test_a_parallel_refused(spec: Json, text: str) -> None:
    assert refusal(PARALLEL, document(spec)) == text


def test_the_template_of_a_flow_never_changes() -> None:
    other = {"channelTemplate": {**TEMPLATE, "kind": "KafkaChannel"}}
    for kind, spec in ((SEQUENCE, {"steps": [SINK]}), (PARALLEL, {"branches": [{"subscriber": SINK}]})):
        old = admitted(kind, document(spec))
        changed = refusal(kind, document({**spec, **other}), old)
        assert changed.startswith("Immutable fields changed (-old +new): spec.channelTemplate\n")
