"""Broker, Trigger, EventType: defaults, refusals, warnings.

Of core/resources/eventing_validation.py and what it calls: core/resources/eventing_delivery.py,
core/resources/eventing_destinations.py, core/resources/eventing_filters.py, core/resources/eventing_rules.py.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.resources.eventing import BROKER, EVENT_TYPE, TRIGGER
from core.resources.meta import AdmissionContext, Json
from core.settings import config_maps
from core.settings.eventing import parse_broker_defaults
from tests.support.eventing_documents import SINK, admitted, document, refusal

CLASS = "eventing.knative.dev/broker.class"


def trigger(annotations: Json | None = None, **spec: Any) -> Json:
    return document({"broker": "default", "subscriber": copy.deepcopy(SINK), **spec}, annotations)


def test_a_broker_that_says_nothing() -> None:
    broker = admitted(BROKER, document({}), user="ann")
    assert broker["spec"] == {"delivery": {"retry": 10, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S"}}
    assert broker["metadata"]["annotations"] == {
        CLASS: "Pilotlight",
        "eventing.knative.dev/creator": "ann",
        "eventing.knative.dev/lastModifier": "ann",
    }
    assert admitted(BROKER, broker, user="ann") == broker


def test_what_a_broker_says_stays() -> None:
    delivery = {"deadLetterSink": {"ref": {**SINK["ref"]}}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "name": "config-br-default-channel"}
    broker = admitted(BROKER, document({"config": config, "delivery": delivery}, {CLASS: "MTChannelBasedBroker"}))
    assert broker["spec"]["config"] == {**config, "namespace": "ns"}
    assert broker["spec"]["delivery"] == {"deadLetterSink": {"ref": {**SINK["ref"], "namespace": "ns"}}}
    assert broker["metadata"]["annotations"] == {CLASS: "MTChannelBasedBroker"}


DEFAULTS = """
clusterDefault:
  brokerClass: Pilotlight
  delivery: {retry: 3}
  brokerClasses:
    Kafka: {apiVersion: v1, kind: ConfigMap, name: kafka-broker-config, namespace: knative-eventing}
namespaceDefaults:
  queues: {brokerClass: RabbitMQBroker, apiVersion: eventing.knative.dev/v1alpha1, kind: RabbitmqBrokerConfig, name: r}
"""


@pytest.mark.parametrize(
    ("namespace", "annotations", "broker_class", "spec"),
    [
        ("ns", {}, "Pilotlight", {"delivery": {"retry": 3}}),
        (
            "ns",
            {CLASS: "Kafka"},
            "Kafka",
            {
                "config": {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": "kafka-broker-config",
                    "namespace": "knative-eventing",
                }
            },
        ),
        ("ns", {CLASS: "Other"}, "Other", {"delivery": {"retry": 3}}),
        (
            "queues",
            {},
            "RabbitMQBroker",
            {
                "config": {
                    "apiVersion": "eventing.knative.dev/v1alpha1",
                    "kind": "RabbitmqBrokerConfig",
                    "name": "r",
                    "namespace": "queues",
                }
            },
        ),
    ],
)
def test_defaults_by_namespace_and_class(namespace: str, annotations: Json, broker_class: str, spec: Json) -> None:
    settings = {config_maps.BROKER_DEFAULTS: parse_broker_defaults({"default-br-config": DEFAULTS})}
    obj = {"metadata": {"name": "b", "namespace": namespace, "annotations": annotations}, "spec": {}}
    broker = admitted(BROKER, obj, settings=settings)
    assert broker["metadata"]["annotations"][CLASS] == broker_class
    assert broker["spec"] == spec


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        pytest.param(
            {"config": {"name": "c"}}, "missing field(s): spec.config.apiVersion, spec.config.kind", id="config"
        ),
        pytest.param({"delivery": {"retry": -1}}, "invalid value: -1: spec.delivery.retry", id="retry"),
        pytest.param(
            {"delivery": {"backoffPolicy": "constant"}},
            "invalid value: constant: spec.delivery.backoffPolicy",
            id="policy",
        ),
        pytest.param({"delivery": {"format": "xml"}}, "invalid value: xml: spec.delivery.format", id="format"),
        pytest.param(
            {"delivery": {"backoffDelay": "1s"}},
            "invalid value: 1s: spec.delivery.backoffDelay\n"
            "'1s' is not an ISO 8601 duration such as PT0.2S, PT1M30S or P7D",
            id="delay",
        ),
        pytest.param({"delivery": {"timeout": "PT0S"}}, "invalid value: PT0S: spec.delivery.timeout", id="timeout"),
        pytest.param(
            {"delivery": {"retryAfterMax": "-PT1S"}},
            "invalid value: -PT1S: spec.delivery.retryAfterMax",
            id="retry after",
        ),
        pytest.param({"delivery": {"backoffMax": "PT0S"}}, "invalid value: PT0S: spec.delivery.backoffMax", id="cap"),
        pytest.param(
            {"delivery": {"deadLetterSink": {}}},
            "expected at least one, got none: spec.delivery.deadLetterSink.ref, spec.delivery.deadLetterSink.uri",
            id="sink",
        ),
        pytest.param({"delivery": {"retry": 0, "backoffDelay": "PT0S", "retryAfterMax": "PT0S"}}, "", id="zeros"),
    ],
)
def test_a_broker_refused(spec: Json, text: str) -> None:
    assert refusal(BROKER, document(spec)) == text


def test_only_the_delivery_of_a_broker_changes() -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "namespace": "ns"}
    old = admitted(BROKER, document({"config": config}))
    assert refusal(BROKER, {**old, "spec": {"config": config, "delivery": {"retry": 1}}}, old) == ""
    changed = refusal(BROKER, {**old, "spec": {"config": {**config, "name": "d"}}}, old)
    assert changed.startswith("Immutable fields changed (-old +new): spec.config\n")
    other = document({"config": config}, {CLASS: "Kafka"})
    assert refusal(BROKER, other, old) == (
        'Immutable annotations changed (-old +new): annotations\n-: "Pilotlight"\n+: "Kafka"'
    )


def test_a_trigger_gets_a_filter_a_label_and_namespaces() -> None:
    found = admitted(TRIGGER, trigger(delivery={"deadLetterSink": copy.deepcopy(SINK)}))
    assert found["spec"]["filter"] == {}
    assert found["spec"]["subscriber"]["ref"]["namespace"] == "ns"
    assert found["spec"]["delivery"]["deadLetterSink"]["ref"]["namespace"] == "ns"
    assert found["metadata"]["labels"] == {"eventing.knative.dev/broker": "default"}
    assert admitted(TRIGGER, found) == found
    assert refusal(TRIGGER, found) == ""


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        pytest.param({"broker": ""}, "missing field(s): spec.broker", id="broker"),
        pytest.param(
            {"brokerRef": {"kind": "Broker", "name": "b", "apiVersion": "eventing.knative.dev/v1"}},
            "expected exactly one, got both: spec.broker, spec.brokerRef",
            id="two brokers",
        ),
        pytest.param(
            {"subscriber": {}},
            "expected at least one, got none: spec.subscriber.ref, spec.subscriber.uri",
            id="no subscriber",
        ),
        pytest.param(
            {"subscriber": {"ref": {"name": "f"}}},
            "missing field(s): spec.subscriber.ref.apiVersion, spec.subscriber.ref.kind",
            id="half a reference",
        ),
        pytest.param(
            {"subscriber": {"uri": "/path"}},
            "invalid value: Relative URI is not allowed when Ref and [apiVersion, kind, name] is absent: "
            "spec.subscriber.uri",
            id="relative",
        ),
        pytest.param(
            {"subscriber": {**SINK, "uri": "http://x/"}},
            "Absolute URI is not allowed when Ref or [apiVersion, kind, name] is present: "
            "spec.subscriber.ref, spec.subscriber.uri, spec.subscriber[apiVersion, kind, name]",
            id="absolute",
        ),
        pytest.param({"subscriber": {**SINK, "uri": "/path"}}, "", id="a path below a reference"),
        pytest.param({"subscriber": {"ref": {"kind": "Service", "name": "f", "group": "g"}}}, "", id="by group"),
        pytest.param(
            {"subscriber": {"uri": "http://x/", "CACerts": "none"}},
            "invalid value: CA Cert provided is invalid: spec.subscriber.caCert",
            id="certificates",
        ),
        pytest.param(
            {"filter": {"attributes": {"Type": "a"}}},
            'invalid key name "Type": spec.filter.attributes[Type]\n'
            "Attribute name must start with a letter and can only contain lowercase alphanumeric",
            id="attribute",
        ),
        pytest.param({"filter": {"attributes": {"type": "", "source": "x"}}}, "", id="any value"),
        pytest.param(
            {"filters": [{"exact": {"type": "a"}, "prefix": {"type": "a"}}]},
            "multiple dialects found, filters can have only one dialect set: spec.filters[0]",
            id="two dialects",
        ),
        pytest.param(
            {"filters": [{"all": [{"not": {"suffix": {"a-b": "c"}}}]}]},
            'invalid key name "a-b": spec.filters[0].all[0].not.suffix[a-b]\n'
            "Attribute name must start with a letter and can only contain lowercase alphanumeric",
            id="nested",
        ),
        pytest.param({"filters": [{"cesql": "type ="}]}, "", id="an expression is not admission's to judge"),
        pytest.param(
            {"filters": [{"any": [{"exact": {"type": "a", "source": "b"}}, {"cesql": "TRUE"}]}, {}]}, "", id="all of it"
        ),
    ],
)
def test_a_trigger_refused(spec: Json, text: str) -> None:
    assert refusal(TRIGGER, trigger(**spec)) == text


def test_the_broker_of_a_trigger_never_changes() -> None:
    old = admitted(TRIGGER, trigger())
    assert refusal(TRIGGER, trigger(subscriber={"uri": "http://x/"}), old) == ""
    assert refusal(TRIGGER, trigger(broker="b"), old) == (
        'Immutable fields changed (-old +new): spec.broker\n-: "default"\n+: "b"'
    )


DEPENDENCY = "knative.dev/dependency"
INJECTION = "eventing.knative.dev/injection"


@pytest.mark.parametrize(
    ("annotations", "spec", "text"),
    [
        ({DEPENDENCY: '{"kind":"PingSource","name":"p","apiVersion":"sources.knative.dev/v1"}'}, {}, ""),
        (
            {DEPENDENCY: "[]"},
            {},
            f'The provided annotation was not a corev1.ObjectReference: "[]": metadata.annotations[{DEPENDENCY}]',
        ),
        (
            {DEPENDENCY: '{"kind":"PingSource","name":"p","namespace":"other"}'},
            {},
            'Namespace must be empty or equal to the trigger namespace "ns": '
            f"metadata.annotations[{DEPENDENCY}].namespace\n"
            f"missing field(s): metadata.annotations[{DEPENDENCY}].apiVersion",
        ),
        ({INJECTION: "enabled"}, {}, ""),
        (
            {INJECTION: "on"},
            {},
            'The provided injection annotation value can only be "enabled" or "disabled", not "on": '
            f"metadata.annotations[{INJECTION}]",
        ),
        (
            {INJECTION: "enabled"},
            {"broker": "b"},
            "The provided injection annotation is only used for default broker, but non-default broker specified here: "
            f'"b": metadata.annotations[{INJECTION}]',
        ),
        (
            {"pilotlight.dev/start": "soon"},
            {},
            "invalid value: soon: metadata.annotations[pilotlight.dev/start]\n"
            "must be now, earliest, an offset, or an RFC 3339 time such as 2026-01-31T09:00:00Z",
        ),
    ],
)
def test_annotations_of_a_trigger(annotations: Json, spec: Json, text: str) -> None:
    assert refusal(TRIGGER, trigger(annotations, **spec)) == text


def test_a_dependency_that_is_no_json_says_where() -> None:
    assert refusal(TRIGGER, trigger({DEPENDENCY: "{"})).startswith(
        f'The provided annotation was not a corev1.ObjectReference: "{{": metadata.annotations[{DEPENDENCY}]\n'
    )


def test_an_annotation_that_means_nothing_is_warned_of() -> None:
    obj = document({}, {"pilotlight.dev/start": "now"})
    assert BROKER.warn(obj, AdmissionContext()) == [
        "metadata.annotations[pilotlight.dev/start]: has no effect on this kind"
    ]


def test_an_event_type() -> None:
    names = ("type", "source", "specversion", "id")
    attributes = [{"name": name, "required": True, "value": f"a-{name}"} for name in names]
    reference = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default"}
    whole = admitted(EVENT_TYPE, document({"reference": reference, "attributes": attributes}))
    assert whole["spec"]["reference"]["namespace"] == "ns"
    assert refusal(EVENT_TYPE, whole) == ""
    assert refusal(EVENT_TYPE, document({"attributes": attributes[:2]})) == (
        "missing field(s): spec.attributes.id, spec.attributes.specversion"
    )
    cells = {column.name: column.value(whole) for column in EVENT_TYPE.columns if column.value}
    assert cells == {"Type": "a-type", "Source": "a-source", "Schema": None}
