"""What passed a broker, and whether it was what it should be: the types seen, and JSON Schemas for their data.

The entrance notes each event here; a controller makes EventTypes of what is new and hands back the schemas that users
have put into theirs. Schemas are compiled once; one that refers to another document by URL does not compile, because
nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from eventing.event import Event, is_json

TYPES_MAX: Final = 1000
"""Of one broker are registered: a source per device would make an object of each."""
SENTENCE_MAX: Final = 300
_NOT_SCHEMAS: Final = frozenset(("const", "default", "enum", "examples"))


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


class Mode(StrEnum):
    """What becomes of an event whose data is not as its schema says."""

    WARN = "warn"
    REFUSE = "refuse"
    DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class BadSchema:
    """Why a schema cannot be used."""

    detail: str


class Schema:
    """A compiled JSON Schema."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator

    def violation(self, event: Event) -> str | None:
        """How the event's data breaks the schema, in a sentence; None where it does not."""
        content_type = str(event.attributes.get("datacontenttype", "application/json"))
        if event.data is None:
            return "the event has no data"
        if not is_json(content_type):
            return f"the data is {content_type[:80]}, not JSON"
        try:
            document = orjson.loads(event.data)
        except ValueError as malformed:
            return f"the data is not JSON: {malformed}"
        try:
            error = best_match(self._validator.iter_errors(document))
        except RecursionError:
            return "the data, or its schema, is nested too deep"
        except Unresolvable as unresolvable:
            return f"the schema refers to {unresolvable.ref!r}, which is not in it"
        if error is None:
            return None
        sentence = f"{error.json_path.replace('$', 'data', 1)}: {error.message}"
        return sentence if len(sentence) <= SENTENCE_MAX else sentence[:SENTENCE_MAX] + "…"


def compile_schema(text: str) -> Schema | BadSchema:
    """A JSON Schema of any draft that `$schema` names, 2020-12 where it names none."""
    try:
        document: Any = orjson.loads(text)
    except ValueError as error:
        return BadSchema(f"the schema is not JSON: {error}")
    if type(document) not in (dict, bool):
        return BadSchema("the schema is neither an object nor true or false")
    kind = validator_for(document, default=Draft202012Validator)
    try:
        kind.check_schema(document)
        _look_up_all(document)
    except SchemaError as error:
        return BadSchema(f"{error.json_path.replace('$', 'schema', 1)}: {error.message}"[:SENTENCE_MAX])
    except Unresolvable as error:
        return BadSchema(f"it refers to {error.ref!r}, which is not in it; nothing is fetched")
    except RecursionError:
        return BadSchema("the schema is nested too deep")
    return Schema(kind(document, registry=Registry()))  # an empty registry, which fetches nothing


def _look_up_all(document: Any) -> None:
    """Finds references that lead nowhere now rather than at the first event that meets them. Unresolvable."""
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    base = resource.id() or ""
    resolver = Registry().with_resource(base, resource).crawl().resolver(base)
    pending = [document]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if part is not document and "$id" in part:
                continue  # a document within the document, whose references start from its own name
            if isinstance(reference := part.get("$ref"), str):
                resolver.lookup(reference)
            pending.extend(value for name, value in part.items() if name not in _NOT_SCHEMAS)
        elif isinstance(part, list):
            pending.extend(part)


@dataclass(frozen=True, slots=True)
class SchemaRule:
    """A schema for the events of a type, of one source or of any."""

    type: str
    schema: Schema
    source: str | None = None
    mode: Mode = Mode.WARN


class Schemas:
    """All schemas of one broker, by the type that they are for."""

    def __init__(self, rules: Iterable[SchemaRule] = ()) -> None:
        self._rules: dict[str, list[SchemaRule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.type, []).append(rule)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def violation(self, event: Event) -> tuple[Mode, str] | None:
        """The first rule of the event's type (and source) that it breaks: what to do, and the sentence."""
        for rule in self._rules.get(event.type, ()):
            if rule.source in (None, event.source) and (detail := rule.schema.violation(event)) is not None:
                return rule.mode, detail
        return None
