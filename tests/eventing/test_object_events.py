"""Changes of objects as events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.resources.core_v1 import CONFIG_MAP, NAMESPACE
from core.resources.meta import Json
from core.store.base import EventType, WatchEvent
from eventing.object_events import Interest, attributes_of, make_event

OBJECT: Json = {
    "metadata": {
        "name": "web", "namespace": "shop", "uid": "u-1", "labels": {"a": "b"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "2", "controller": 1}],
    },
    "data": {"x": "1"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "mode", "type"),
    [
        (EventType.ADDED, "Resource", "dev.knative.apiserver.resource.add"),
        (EventType.MODIFIED, "Resource", "dev.knative.apiserver.resource.update"),
        (EventType.DELETED, "Resource", "dev.knative.apiserver.resource.delete"),
        (EventType.ADDED, "Reference", "dev.knative.apiserver.ref.add"),
        (EventType.MODIFIED, "Reference", "dev.knative.apiserver.ref.update"),
        (EventType.DELETED, "Reference", "dev.knative.apiserver.ref.delete"),
    ],
)
def test_what_an_event_says(change: EventType, mode: str, type: str) -> None:
    event = make_event(WatchEvent(change, OBJECT, 17), CONFIG_MAP, mode, {"team": "blue"})
    assert event.attributes == {
        "specversion": "1.0", "id": "u-1-17", "source": "https://kubernetes.default.svc", "type": type,
        "subject": "/apis/v1/namespaces/shop/configmaps/web", "datacontenttype": "application/json",
        "apiversion": "v1", "kind": "ConfigMap", "name": "web", "namespace": "shop", "team": "blue",
    }  # fmt: skip
    data = json.loads(event.data or b"")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "web", "namespace": "shop"}
    assert data == (reference if mode == "Reference" else {**OBJECT, "apiVersion": "v1", "kind": "ConfigMap"})
    assert type in [each["type"] for each in attributes_of(mode)]


def test_an_object_of_no_namespace() -> None:
    change = WatchEvent(EventType.ADDED, {"metadata": {"name": "shop", "uid": "u"}}, 1)
    event = make_event(change, NAMESPACE, "Reference", {})
    assert event.attributes["subject"] == "/apis/v1/namespaces/shop"
    assert "namespace" not in event.attributes


@pytest.mark.parametrize(
    ("label", "fields", "wanted"),
    [
        ("all", {}, True),
        ("its namespace", {"namespaces": frozenset({"shop"})}, True),
        ("another namespace", {"namespaces": frozenset({"default"})}, False),
        ("its labels", {"selector": {"matchLabels": {"a": "b"}}}, True),
        ("other labels", {"selector": {"matchLabels": {"a": "c"}}}, False),
        ("its owner", {"owner": ("apps/v1", "Deployment")}, True),
        ("another owner", {"owner": ("batch/v1", "Job")}, False),
    ],
)
def test_what_is_told_of(label: str, fields: dict[str, Any], wanted: bool) -> None:
    none: dict[str, Any] = {"selector": None, "owner": None, "namespaces": None}
    assert Interest(CONFIG_MAP, **{**none, **fields}).wants(OBJECT) is wanted, label
