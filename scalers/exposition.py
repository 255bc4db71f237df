"""One sample of Prometheus' text format (prometheus.io/docs/instrumenting/exposition_formats), by a selector of PromQL.

Only lines of the wanted name are looked at, so long answers cost little. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED: Final = r'"(?:[^"\\\n]|\\.)*"'
_SELECTOR: Final = re.compile(rf"\s*({_NAME})?\s*(?:\{{(.*)\}})?\s*", re.DOTALL)
_MATCHER: Final = re.compile(rf"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*({_QUOTED}|'(?:[^'\\\n]|\\.)*')\s*(?:,|$)")
_LABEL: Final = re.compile(rf"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*({_QUOTED})\s*,?")
_ESCAPES: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selector:
    """A name, and for some labels what their values must be: (label, must it match, pattern of the whole value)."""

    name: str
    labels: Sequence[tuple[str, bool, re.Pattern[str]]]

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(
            (pattern.fullmatch(labels.get(name, "")) is not None) == wanted for name, wanted, pattern in self.labels
        )


def parse_selector(text: str) -> Selector:
    """`name{label="value",other!~"regular.*"}`. ValueError."""
    match = _SELECTOR.fullmatch(text)
    if match is None:
        raise ValueError('must be a selector of PromQL such as queue_size{queue="orders"}')
    name, inside = match[1] or "", match[2] or ""
    labels, position = [], 0
    while inside[position:].strip():
        found = _MATCHER.match(inside, position)
        if found is None:
            raise ValueError(f'has {inside[position:].strip()!r} between its braces, must be label="value", …')
        label, operator, value = found[1], found[2], _unescaped(found[3][1:-1])
        position = found.end()
        if label == "__name__" and operator == "=":
            name = value
            continue
        try:
            pattern = re.compile(value if "~" in operator else re.escape(value), re.DOTALL)
        except re.error as error:
            raise ValueError(f"has {value!r}, which is no regular expression: {error}") from None
        labels.append((label, operator[0] == "=", pattern))
    if not name:
        raise ValueError("must name a metric")
    return Selector(name, labels)


def find_sample(text: str, selector: Selector) -> float | None:
    """The first one that the selector takes; None: there is none. ValueError: a line of that name is none."""
    for line in text.splitlines():
        line = line.strip()
        if not line.startswith(selector.name):
            continue
        rest = line[len(selector.name) :]
        if rest[:1] not in ("{", " ", "\t"):
            continue  # a longer name
        labels: dict[str, str] = {}
        rest = rest.strip()
        if rest.startswith("{"):
            labels, rest = _labels(rest[1:])
        if selector.matches(labels):
            return _number(rest)
    return None


def _labels(rest: str) -> tuple[dict[str, str], str]:
    labels, position = {}, 0
    while match := _LABEL.match(rest, position):
        labels[match[1]] = _unescaped(match[2][1:-1])
        position = match.end()
    rest = rest[position:].lstrip()
    if not rest.startswith("}"):
        raise ValueError("a line has labels that do not end")
    return labels, rest[1:]


def _number(rest: str) -> float:
    try:
        return float(rest.split()[0])  # a timestamp may follow
    except (IndexError, ValueError):
        raise ValueError("a line has no number") from None


def _unescaped(text: str) -> str:
    return _ESCAPES.sub(lambda match: "\n" if match[1] == "n" else match[1], text)
