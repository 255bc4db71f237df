"""Annotations of ScaledObject and ScaledJob."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.keda_options import ScalingOptions, check_options, read_options, warn_options
from core.resources.meta import Json

KEDA = "autoscaling.keda.sh/"
OURS = "pilotlight.dev/"


def obj(annotations: dict[str, str] | None, **spec: Any) -> Json:
    return {"metadata": {"name": "a", "annotations": annotations}, "spec": spec}


@pytest.mark.parametrize(
    ("annotations", "options"),
    [
        (None, {}),
        ({f"{KEDA}paused": "true"}, {"paused": True}),
        ({f"{KEDA}paused": "false"}, {}),
        ({f"{KEDA}paused": "F"}, {}),
        ({f"{KEDA}paused": ""}, {"paused": True}),
        ({f"{KEDA}paused": "off"}, {"paused": True}),
        ({f"{KEDA}paused-replicas": "0"}, {"paused_replicas": 0}),
        ({f"{KEDA}paused-replicas": "-1"}, {}),
        ({f"{KEDA}paused-scale-in": "1"}, {"paused_scale_in": True}),
        ({f"{KEDA}paused-scale-out": "t"}, {"paused_scale_out": True}),
        ({f"{KEDA}force-activation": "true"}, {"forced": True}),
        ({f"{OURS}polling-interval": "200ms"}, {"polling_interval_s": 0.2}),
        ({f"{OURS}polling-interval": "199ms"}, {}),
        ({f"{OURS}drain-time": "1m30s"}, {"drain_time_s": 90.0}),
        ({f"{OURS}drain-time": "0s"}, {}),
    ],
)
def test_what_annotations_say(annotations: dict[str, str] | None, options: dict[str, Any]) -> None:
    assert read_options(obj(annotations)) == ScalingOptions(**options)


def test_the_annotation_is_finer_than_the_field() -> None:
    assert read_options(obj(None, pollingInterval=5)).polling_interval_s == 5.0
    both = obj({f"{OURS}polling-interval": "500ms"}, pollingInterval=5)
    assert read_options(both).polling_interval_s == 0.5
    assert warn_options(both) == [
        "spec.pollingInterval: has no effect, metadata.annotations[pilotlight.dev/polling-interval] wins"
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (f"{KEDA}paused-replicas", "many", 'Invalid value: "many": must be a whole number of at least 0'),
        (f"{KEDA}paused-replicas", "", 'Invalid value: "": must be a whole number of at least 0'),
        (
            f"{OURS}polling-interval",
            "100ms",
            'Invalid value: "100ms": must be a duration of at least 0.2s, such as 200ms or 1.5s',
        ),
        (f"{OURS}drain-time", "30", 'Invalid value: "30": must be a duration above zero, such as 30s or 2m'),
        (f"{OURS}drain-time", "-1s", 'Invalid value: "-1s": must be a duration above zero, such as 30s or 2m'),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, text: str, message: str) -> None:
    (error,) = check_options(obj({name: text}))
    assert (error.path, error.message) == (f"metadata.annotations[{name}]", message)


def test_what_can_be_read_is_not_refused() -> None:
    said = {f"{KEDA}paused-replicas": "3", f"{OURS}polling-interval": "1s", f"{OURS}drain-time": "30s"}
    said |= {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}
    assert check_options(obj(said)) == []
    assert warn_options(obj(said)) == []


@pytest.mark.parametrize(
    ("name", "text", "warning"),
    [
        (f"{KEDA}paused", "off", "'off' is neither true nor false and counts as true"),
        (f"{OURS}drain-tim", "30s", "has no effect on this kind; did you mean pilotlight.dev/drain-time?"),
        (f"{OURS}colour", "red", "has no effect on this kind"),
    ],
)
def test_hints(name: str, text: str, warning: str) -> None:
    assert warn_options(obj({name: text})) == [f"metadata.annotations[{name}]: {warning}"]
