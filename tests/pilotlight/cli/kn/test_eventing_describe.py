"""What list and describe say of eventing's kinds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.resources.meta import Json
from core.resources.sources import PING_SOURCE
from pilotlight.cli.kn import eventing_describe as told

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
METADATA: Json = {"name": "x", "namespace": "ns", "creationTimestamp": "2026-01-02T03:03:05Z"}
STATUS: Json = {
    "address": {"url": "http://inside/"},
    "addresses": [{"url": "http://inside/"}, {"url": "http://outside/"}],
    "conditions": [{"type": "Ready", "status": "False", "reason": "Broken"}, {"type": "Addressable", "status": "True"}],
}
FN: Json = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "fn", "namespace": "ns"}}


def obj(spec: Json, **metadata: Json) -> Json:
    return {"kind": "X", "metadata": {**METADATA, **metadata}, "spec": spec, "status": STATUS}


TRIGGER = obj(
    {
        "broker": "b",
        "filter": {"attributes": {"type": "a"}},
        "subscriber": FN,
        "delivery": {"retry": 2, "deadLetterSink": {"uri": "http://grave/"}},
    }
)


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (told.broker_row(obj({}), NOW), ("x", "http://inside/", "60s", "1 OK / 2", "False", "Broken")),
        (told.trigger_row(TRIGGER, NOW), ("x", "b", "ksvc:fn", "60s", "1 OK / 2", "False", "Broken")),
        (
            told.channel_row(obj({"channelTemplate": {"kind": "InMemoryChannel"}}), NOW),
            ("x", "InMemoryChannel", "http://inside/", "60s", "False", "Broken"),
        ),
        (
            told.subscription_row(obj({"channel": {"kind": "Channel", "name": "c"}, "reply": FN}), NOW),
            ("x", "Channel:c", "", "ksvc:fn", "", "False", "Broken"),
        ),
        (
            told.event_type_row(obj({"attributes": [{"name": "type", "value": "a"}], "reference": {"name": "b"}}), NOW),
            ("x", "a", "", "b", "", "False", "Broken"),
        ),
        (
            told.ping_row(obj({"schedule": "@daily", "sink": FN}), NOW),
            ("x", "@daily", "ksvc:fn", "60s", "1 OK / 2", "False", "Broken"),
        ),
        (told.source_row(obj({"sink": FN}), NOW), ("x", "ksvc:fn", "60s", "1 OK / 2", "False", "Broken")),
        (
            told.sources_row(PING_SOURCE, obj({"sink": FN})),
            ("x", "PingSource", "pingsources.sources.knative.dev", "ksvc:fn", "False"),
        ),
    ],
)
def test_rows(row: tuple[str, ...], cells: tuple[str, ...]) -> None:
    assert row == cells


def test_headers_and_rows_are_of_one_length() -> None:
    rows = {
        told.BROKER_HEADER: told.broker_row(obj({}), NOW),
        told.TRIGGER_HEADER: told.trigger_row(TRIGGER, NOW),
        told.CHANNEL_HEADER: told.channel_row(obj({}), NOW),
        told.SUBSCRIPTION_HEADER: told.subscription_row(obj({}), NOW),
        told.EVENT_TYPE_HEADER: told.event_type_row(obj({}), NOW),
        told.PING_HEADER: told.ping_row(obj({}), NOW),
        told.SOURCE_HEADER: told.source_row(obj({}), NOW),
        told.SOURCES_HEADER: told.sources_row(PING_SOURCE, obj({})),
    }
    for header, row in rows.items():
        assert len(header) == len(row), header


def test_a_trigger_described() -> None:
    assert list(told.describe_trigger(TRIGGER, NOW))[:9] == [
        "Name:       x",
        "Namespace:  ns",
        "Age:        60s",
        "Broker:     b",
        "Filter:     type=a",
        "Sink:       ksvc:fn",
        "DL sink:    http://grave/",
        "Delivery:   retry 2",
        "",
    ]


def test_filters_win_and_none_is_every_event() -> None:
    def filters(spec: Json) -> list[str]:
        lines = told.describe_trigger(obj({"broker": "b", **spec}), NOW)
        return [line.partition("     ")[2] for line in lines if line.startswith("Filter")]

    assert filters({}) == ["every event"]
    both = {"filter": {"attributes": {"a": "b"}}, "filters": [{"cesql": "true"}]}
    assert filters(both) == ["true"]


def test_a_broker_described_with_all_its_addresses() -> None:
    lines = list(told.describe_broker(obj({}), NOW))
    assert lines[3:6] == ["Class:      Pilotlight", "Address:    http://inside/", "            http://outside/"]
