"""Every flag of eventing's commands on a document as it is created; sinks there and back; and the flags themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.resources.meta import Json
from pilotlight.cli.kn import eventing_options as options
from pilotlight.cli.kn.eventing_edits import parse_sink, sink_text
from pilotlight.cli.kn.options import Flag, apply_flags

FN: Json = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "fn", "namespace": "ns"}
TABLES = {name: getattr(options, name) for name in dir(options) if name.endswith("_FLAGS") and name != "POD_FLAGS"}


def applied(table: Sequence[Flag], start: Json | None = None, **flags: Any) -> Json:
    return apply_flags({"metadata": {"name": "x", "namespace": "ns"}, "spec": start or {}}, flags, table)


@pytest.mark.parametrize(
    ("text", "destination", "back"),
    [
        ("fn", {"ref": FN}, "ksvc:fn"),
        ("ksvc:fn:other", {"ref": {**FN, "namespace": "other"}}, "ksvc:fn:other"),
        ("http://a/b", {"uri": "http://a/b"}, "http://a/b"),
        (
            "broker:b",
            {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b", "namespace": "ns"}},
            "broker:b",
        ),
        (
            "svc:s",
            {"ref": {"apiVersion": "v1", "kind": "Service", "name": "s", "namespace": "ns"}},
            "svc:s",
        ),
    ],
)
def test_sinks(text: str, destination: Json, back: str) -> None:
    assert parse_sink(text, "ns") == destination
    assert sink_text(destination, "ns") == back


@pytest.mark.parametrize("text", ["", "nope:x", "ksvc:", "ksvc:a:b:c", "broker:b:"])
def test_sinks_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"--dl-sink .*: expected NAME, ksvc"):
        parse_sink(text, "ns", "--dl-sink")


@pytest.mark.parametrize(
    ("table", "flags", "spec"),
    [
        pytest.param(
            options.BROKER_FLAGS,
            {"dl_sink": "fn", "retry": 3, "backoff_policy": "linear", "backoff_delay": "PT1S", "timeout": "PT5S"},
            {
                "delivery": {
                    "deadLetterSink": {"ref": FN},
                    "retry": 3,
                    "backoffPolicy": "linear",
                    "backoffDelay": "PT1S",
                    "timeout": "PT5S",
                }
            },
            id="broker",
        ),
        pytest.param(
            options.BROKER_FLAGS,
            {"broker_config": "rmq:c:other"},
            {
                "config": {
                    "apiVersion": "eventing.knative.dev/v1alpha1",
                    "kind": "RabbitmqBrokerConfig",
                    "name": "c",
                    "namespace": "other",
                }
            },
            id="broker config",
        ),
        pytest.param(
            options.TRIGGER_FLAGS,
            {"broker": "b", "sink": "fn", "filter": ["type=a,source=/b", "subject=x,y"]},
            {
                "broker": "b",
                "subscriber": {"ref": FN},
                "filter": {"attributes": {"type": "a", "source": "/b", "subject": "x,y"}},
            },
            id="trigger",
        ),
        pytest.param(
            options.TRIGGER_FLAGS,
            {"cesql": ["type = 'a'", ""]},
            {"filters": [{"cesql": "type = 'a'"}]},
            id="trigger by expression",
        ),
        pytest.param(
            options.CHANNEL_FLAGS,
            {"type": "imc"},
            {"channelTemplate": {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}},
            id="channel",
        ),
        pytest.param(
            options.SUBSCRIPTION_FLAGS,
            {"channel": "imc:c", "sink": "fn", "sink_reply": "http://r/", "sink_dead_letter": "http://d/"},
            {
                "channel": {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel", "name": "c"},
                "subscriber": {"ref": FN},
                "reply": {"uri": "http://r/"},
                "delivery": {"deadLetterSink": {"uri": "http://d/"}},
            },
            id="subscription",
        ),
        pytest.param(
            options.SUBSCRIPTION_FLAGS,
            {"channel": "messaging.knative.dev:v1beta1:KafkaChannel:k"},
            {"channel": {"apiVersion": "messaging.knative.dev/v1beta1", "kind": "KafkaChannel", "name": "k"}},
            id="subscription of a channel by its whole kind",
        ),
        pytest.param(
            options.PING_FLAGS,
            {"schedule": "* * * * *", "data": "YQ==", "encoding": "base64", "sink": "fn", "ce_override": ["a=1", "b-"]},
            {
                "schedule": "* * * * *",
                "dataBase64": "YQ==",
                "sink": {"ref": FN},
                "ceOverrides": {"extensions": {"a": "1"}},
            },
            id="ping",
        ),
        pytest.param(
            options.BINDING_FLAGS,
            {"subject": "Deployment:apps/v1:app"},
            {"subject": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "ns", "name": "app"}},
            id="binding",
        ),
        pytest.param(
            options.BINDING_FLAGS,
            {"subject": "Job:batch/v1:a=1,b=2"},
            {
                "subject": {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "namespace": "ns",
                    "selector": {"matchLabels": {"a": "1", "b": "2"}},
                }
            },
            id="binding by labels",
        ),
        pytest.param(
            options.CONTAINER_FLAGS,
            {"image": "i", "env": ["A=1"], "sink": "http://s/"},
            {
                "template": {
                    "spec": {"containers": [{"image": "i", "name": "source", "env": [{"name": "A", "value": "1"}]}]}
                },
                "sink": {"uri": "http://s/"},
            },
            id="container",
        ),
        pytest.param(
            options.API_SERVER_FLAGS,
            {"resource": ["Event:v1", "Service:serving.knative.dev/v1:a=1"], "mode": "Resource"},
            {
                "resources": [
                    {"apiVersion": "v1", "kind": "Event"},
                    {
                        "apiVersion": "serving.knative.dev/v1",
                        "kind": "Service",
                        "selector": {"matchLabels": {"a": "1"}},
                    },
                ],
                "mode": "Resource",
            },
            id="apiserver",
        ),
        pytest.param(
            options.KAFKA_FLAGS,
            {"servers": ["a:1,b:2"], "topics": ["x", "y"], "consumergroup": "g"},
            {"bootstrapServers": ["a:1", "b:2"], "topics": ["x", "y"], "consumerGroup": "g"},
            id="kafka",
        ),
        pytest.param(
            options.EVENT_TYPE_FLAGS,
            {"type": "a.b", "broker": "b"},
            {
                "attributes": [
                    {"name": "type", "value": "a.b", "required": True},
                    {"name": "source", "required": True},
                    {"name": "specversion", "value": "1.0", "required": True},
                    {"name": "id", "required": True},
                ],
                "reference": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"},
            },
            id="eventtype",
        ),
    ],
)
def test_flags_make_the_spec(table: Sequence[Flag], flags: Json, spec: Json) -> None:
    document = applied(table, **flags)
    assert document["spec"] == spec
    assert applied(table, document["spec"], **flags)["spec"] == spec, "once more changes nothing"


def test_class_annotations_and_labels_are_the_objects_own() -> None:
    metadata = applied(options.BROKER_FLAGS, class_="Kafka", annotation=["a=1"], label=["l=2"])["metadata"]
    assert metadata["annotations"] == {"eventing.knative.dev/broker.class": "Kafka", "a": "1"}
    assert metadata["labels"] == {"l": "2"}


def test_a_schema_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "object"}')
    spec = applied(options.EVENT_TYPE_FLAGS, type="a", schema=tmp_path / "s.json")["spec"]
    assert spec["attributes"][-1] == {"name": "schemadata", "value": '{"type": "object"}', "required": False}


def test_a_filter_is_taken_away_and_expressions_do_not_stand_beside_it() -> None:
    start: Json = {"filter": {"attributes": {"type": "a", "source": "/b"}}}
    with pytest.raises(ValueError, match="do not count beside expressions"):
        applied(options.TRIGGER_FLAGS, start, cesql=["true"])
    document = applied(options.TRIGGER_FLAGS, start, filter=["type-", "source-"], cesql=["true"])
    assert document["spec"] == {"filter": {"attributes": {}}, "filters": [{"cesql": "true"}]}


@pytest.mark.parametrize(
    ("table", "flags", "words"),
    [
        (options.BROKER_FLAGS, {"broker_config": "x:y"}, "--broker-config 'x:y'"),
        (options.CHANNEL_FLAGS, {"type": "kafka"}, "--type 'kafka': expected imc"),
        (options.PING_FLAGS, {"encoding": "hex"}, "--encoding 'hex': expected text or base64"),
        (options.BINDING_FLAGS, {"subject": "app"}, "--subject 'app': expected KIND:APIVERSION:NAME"),
        (options.API_SERVER_FLAGS, {"resource": ["Event"]}, "--resource 'Event'"),
        (options.TRIGGER_FLAGS, {"filter": ["type"]}, "--filter 'type': expected NAME=value"),
    ],
)
def test_what_cannot_be_read_says_what_is_expected(table: Sequence[Flag], flags: Json, words: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        applied(table, **flags)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", TABLES)
def test_no_two_flags_of_a_table_have_the_same_name(name: str) -> None:
    declared = [each for flag in TABLES[name] for each in flag.declarations] + ["-n", "-h", "--json", "--wait"]
    assert len(declared) == len(set(declared))
