"""Schemas for the data of events, as users put them into EventTypes: which of them are for which events.

Checked at the entrance; compiled by `eventing/json_schema.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from eventing.event import Event

_VARIABLE = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class BadSchema:
    """Why a schema cannot be used."""

    detail: str


class Schema(Protocol):
    """A compiled one (`eventing/json_schema.py`)."""

    def violation(self, event: Event) -> str | None:
        """How the event's data breaks the schema, in a sentence; None where it does not."""


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
