"""Event as `events.k8s.io/v1` has it: the same objects under newer names (pkg/apis/core/v1/conversion, events/v1).

Controllers record and the store keeps them as `core_v1` has them; newer clients and `kubectl events` ask for these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from core.errors import FieldError
from core.resources.core_v1 import EVENT, EventSeries, EventSource, ObjectReference, validate_event
from core.resources.fields import doc
from core.resources.meta import AdmissionContext, Column, Conversion, Json, Kind, Resource

_NEW_NAMES: Final[Mapping[str, str]] = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "count": "deprecatedCount",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "reportingComponent": "reportingController",
}
_OLD_NAMES: Final[Mapping[str, str]] = {new: old for old, new in _NEW_NAMES.items()}


class EventV1(Resource):
    """What happened to an object."""

    event_time: str | None = doc("When, for events in series.")
    series: EventSeries | None = doc("The series it is part of.")
    reporting_controller: str | None = doc("Controller that reported it.")
    reporting_instance: str | None = doc("Which copy of that controller.")
    action: str | None = doc("What was done.")
    reason: str | None = doc("Why, in one word.")
    regarding: ObjectReference = Field(
        default_factory=ObjectReference,
        description="What it is about.",
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
    )
    related: ObjectReference | None = doc("A second object.")
    note: str | None = doc("What happened, in a sentence.")
    type: str | None = doc("Normal or Warning.")
    deprecated_source: EventSource | None = doc("Who reported it, as core events have it.")
    deprecated_first_timestamp: str | None = doc("When first, as core events have it.")
    deprecated_last_timestamp: str | None = doc("When last, as core events have it.")
    deprecated_count: int | None = doc("How often it happened, as core events have it.")


def to_stored(obj: Json) -> Json:
    return {_OLD_NAMES.get(name, name): value for name, value in obj.items()}


def from_stored(obj: Json) -> Json:
    return {_NEW_NAMES.get(name, name): value for name, value in obj.items()}


def validate_event_v1(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    """In the words of this version."""
    return [
        dataclasses.replace(error, path=error.path.replace("involvedObject", "regarding"))
        for error in validate_event(to_stored(obj), context)
    ]


def _through(read: Callable[[Json], Any]) -> Callable[[Json], Any]:
    return lambda obj: read(to_stored(obj))


def _through_at(read: Callable[[Json, float], str]) -> Callable[[Json, float], str]:
    return lambda obj, now: read(to_stored(obj), now)


def _column(column: Column) -> Column:
    """The same cell of the same event."""
    first, _, rest = column.path.partition(".")
    return dataclasses.replace(
        column,
        path=f"{_NEW_NAMES.get(first, first)}.{rest}" if rest else _NEW_NAMES.get(first, first),
        value=_through(column.value) if column.value else None,
        told=_through_at(column.told) if column.told else None,
    )


EVENT_V1: Kind[EventV1] = Kind(
    group="events.k8s.io",
    version="v1",
    kind=EVENT.kind,
    plural=EVENT.plural,
    model=EventV1,
    short_names=EVENT.short_names,
    lifetime=EVENT.lifetime,
    status=False,
    generation=False,
    validate=validate_event_v1,
    columns=tuple(_column(column) for column in EVENT.columns),
    conversion=Conversion(EVENT, to_stored, from_stored),
)
