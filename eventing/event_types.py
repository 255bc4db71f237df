"""EventTypes: which sorts of events passed a broker, and what users say of them.

The entrance notes every event in `SeenTypes`; controllers make an EventType of each that is new (`event_type_for`)
and compile the schema in any of them (`schema_rule_of`) for the entrance to check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from core.resources.child_names import child_name
from core.resources.duck_v1 import Reference
from core.resources.eventing import EventAttributeDefinition, EventType, EventTypeSpec
from core.resources.meta import ObjectMeta
from eventing.event import Event
from eventing.schemas import BadSchema, SchemaRule, Template

TYPES_MAX: Final = 1000
"""Of one broker are registered: a source per device would make an object of each."""
SCHEMA: Final = "schemadata"
"""The attribute of an EventType that holds a JSON Schema, or the URI of one, which is not fetched."""


class Seen(NamedTuple):
    """One sort of event: what an EventType is made of."""

    type: str
    source: str
    dataschema: str


class SeenTypes:
    """The sorts of events that one broker has taken, and which of them nobody has asked for yet.

    `changed` is called when there is a new one.
    """

    def __init__(self, known: Iterable[Seen] = (), changed: Callable[[], None] = lambda: None) -> None:
        self.changed = changed
        self._known = {(seen.type, seen.source) for seen in known}
        self._fresh: list[Seen] = []

    def learn(self, type: str, source: str) -> None:
        """There is an EventType of it."""
        self._known.add((type, source))

    def forget(self, type: str, source: str) -> None:
        """There is none any more: the next such event is the first."""
        self._known.discard((type, source))

    @property
    def is_full(self) -> bool:
        return len(self._known) >= TYPES_MAX

    def note(self, event: Event) -> None:
        """The broker takes an event."""
        attributes = event.attributes
        if (attributes["type"], attributes["source"]) in self._known or self.is_full:
            return
        self._known.add((event.type, event.source))
        self._fresh.append(Seen(event.type, event.source, str(attributes.get("dataschema", ""))))
        self.changed()

    def take_fresh(self) -> list[Seen]:
        """What is new since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh


def event_type_for(seen: Seen, namespace: str, reference: Reference) -> EventType:
    """The EventType of a sort that has passed; the same sort at the same place always has the same name."""
    place = f"{reference.kind}/{reference.name}"
    digest = sha256("\n".join((place, seen.type, seen.source)).encode("utf-8", "replace")).hexdigest()[:16]
    attributes = [
        EventAttributeDefinition(name="type", required=True, value=seen.type),
        EventAttributeDefinition(name="source", required=True, value=seen.source),
        EventAttributeDefinition(name="specversion", required=True, value="1.0"),
        EventAttributeDefinition(name="id", required=True),
    ]
    if seen.dataschema:
        attributes.append(EventAttributeDefinition(name=SCHEMA, value=seen.dataschema))
    spec = EventTypeSpec(
        reference=reference, description="Made when the first such event passed.", attributes=attributes
    )
    metadata = ObjectMeta(name=child_name(f"et-{reference.name}-", digest), namespace=namespace)
    return EventType(metadata=metadata, spec=spec)


def sort_of(event_type: EventType) -> tuple[str, str] | None:
    """The type and source that it speaks of; None where it names one of them only."""
    values = _values(event_type)
    return (values["type"], values["source"]) if "type" in values and "source" in values else None


def schema_rule_of(event_type: EventType) -> SchemaRule | BadSchema | None:
    """The schema in it, compiled; None where there is none, or one that is for people."""
    values = _values(event_type)
    text = values.get(SCHEMA, "").strip()
    if not text.startswith("{") or "type" not in values:
        return None
    from eventing.json_schema import compile_schema

    schema = compile_schema(text)
    if isinstance(schema, BadSchema):
        return schema
    source = values.get("source")
    return SchemaRule(Template(values["type"]), schema, None if source is None else Template(source))


def _values(event_type: EventType) -> dict[str, str]:
    return {each.name: each.value for each in event_type.spec.attributes or () if each.value}
