"""JSON Schemas for the data of events, as users put them into EventTypes: which compile, and which data breaks them.

Compiled once, checked at the entrance. A schema that refers to another document by URL does not compile, because
nothing is ever fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from eventing.event import Event, is_json

SENTENCE_MAX: Final = 300
_NOT_SCHEMAS: Final = frozenset(("const", "default", "enum", "examples"))
_VARIABLE = re.compile(r"\{[^{}]*\}")


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


class Template:
    """A value in which a part in braces stands for any text, such as `/devices/{id}`."""

    def __init__(self, text: str) -> None:
        parts = [re.escape(part) for part in _VARIABLE.split(text)]
        self._pattern = re.compile(".*?".join(parts), re.DOTALL) if len(parts) > 1 else None
        self.text = text

    def matches(self, value: str) -> bool:
        if self._pattern is None:
            return value == self.text
        return self._pattern.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class SchemaRule:
    """A schema for the events of a type, of the sources that a template names or of any."""

    type: Template
    schema: Schema
    source: Template | None = None


class Schemas:
    """All schemas of one broker. A type without variables is found at once."""

    def __init__(self, rules: Iterable[SchemaRule] = ()) -> None:
        self._by_type: dict[str, list[SchemaRule]] = {}
        self._others: list[SchemaRule] = []
        for rule in rules:
            exact = _VARIABLE.search(rule.type.text) is None
            (self._by_type.setdefault(rule.type.text, []) if exact else self._others).append(rule)

    def __bool__(self) -> bool:
        return bool(self._by_type or self._others)

    def violation(self, event: Event) -> str | None:
        """How the event breaks the first rule that it breaks; None where it breaks none."""
        for rule in self._rules_for(event.type):
            if rule.source is None or rule.source.matches(event.source):
                detail = rule.schema.violation(event)
                if detail is not None:
                    return detail
        return None

    def _rules_for(self, type: str) -> Iterator[SchemaRule]:
        yield from self._by_type.get(type, ())
        for rule in self._others:
            if rule.type.matches(type):
                yield rule
