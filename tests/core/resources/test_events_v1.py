from __future__ import annotations

from core.resources.core_v1 import EVENT
from core.resources.events_v1 import EVENT_V1, from_stored, to_stored
from core.resources.meta import AdmissionContext, Json

STORED: Json = {
    "metadata": {"name": "orders.17", "namespace": "shop"},
    "involvedObject": {"kind": "ScaledObject", "name": "orders", "namespace": "shop", "fieldPath": "spec"},
    "reason": "ScaledObjectReady",
    "message": "ScaledObject is ready for scaling",
    "type": "Normal",
    "source": {"component": "keda-operator"},
    "reportingComponent": "keda-operator",
    "reportingInstance": "",
    "count": 3,
    "firstTimestamp": "2026-01-01T00:00:00Z",
    "lastTimestamp": "2026-01-01T00:00:05Z",
}


def test_the_same_event_under_newer_names() -> None:
    new = from_stored(STORED)
    assert new["regarding"]["name"] == "orders"
    assert new["note"] == "ScaledObject is ready for scaling"
    assert new["reportingController"] == "keda-operator"
    assert (new["deprecatedCount"], new["deprecatedSource"]) == (3, {"component": "keda-operator"})
    assert "message" not in new
    assert to_stored(new) == STORED
    EVENT_V1.parse({"apiVersion": "events.k8s.io/v1", "kind": "Event", **new})


def test_kubectl_prints_the_same_cells() -> None:
    new = from_stored(STORED)
    for old_column, column in zip(EVENT.columns, EVENT_V1.columns, strict=True):
        assert column.name == old_column.name
        if old_column.value is not None and column.value is not None:
            assert column.value(new) == old_column.value(STORED)
        if old_column.told is not None and column.told is not None:
            assert column.told(new, 1_767_225_700.0) == old_column.told(STORED, 1_767_225_700.0)
    assert {column.path for column in EVENT_V1.columns if column.path} >= {"regarding.fieldPath", "reason", "type"}


def test_refusals_name_the_field_of_this_version() -> None:
    wrong = from_stored({**STORED, "metadata": {"name": "x", "namespace": "other"}})
    (error,) = EVENT_V1.validate(wrong, AdmissionContext())
    assert error.path == "regarding.namespace"
