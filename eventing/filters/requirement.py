"""What an event must have to pass a filter, as far as an index can use it. Pure.

A requirement is necessary: an event that does not meet it does not pass. Where it is `sufficient` too, meeting it is
passing, and the filter itself need not be asked. `eventing.matching` looks events up by these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import takewhile
from typing import Final

from eventing.filters.cesql.expression import Expression
from eventing.filters.cesql.like import segments_of, start_of, text_of_segment
from eventing.filters.cesql.tokens import TokenKind
from eventing.filters.cesql.tree import Attribute, Binary, In, Like, Literal, Logic, Node

# Context attributes that are text in every event; of others, `x IN ('05')` may find the number 5.
_ALWAYS_TEXT: Final = frozenset(
    {"specversion", "id", "source", "type", "datacontenttype", "dataschema", "subject", "time"}
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """All of: attributes whose text is one of some, begins with one, ends with one. No texts at all: nothing passes."""

    exact: Mapping[str, frozenset[str]] = field(default_factory=dict)
    prefix: Mapping[str, str] = field(default_factory=dict)
    suffix: Mapping[str, str] = field(default_factory=dict)
    sufficient: bool = False

    @property
    def impossible(self) -> bool:
        return not all(self.exact.values())

    def and_also(self, other: Requirement) -> Requirement:
        exact = dict(self.exact)
        for name, texts in other.exact.items():
            exact[name] = exact[name] & texts if name in exact else texts
        shared = (self.prefix.keys() & other.prefix.keys()) or (self.suffix.keys() & other.suffix.keys())
        return Requirement(
            exact,
            _longest(self.prefix, other.prefix),
            _longest(self.suffix, other.suffix),
            self.sufficient and other.sufficient and not shared,
        )

    def or_else(self, other: Requirement) -> Requirement:
        if self.impossible or other.impossible:
            return replace(other if self.impossible else self, sufficient=False)  # the other may be an error, too
        exact = {name: self.exact[name] | other.exact[name] for name in self.exact.keys() & other.exact.keys()}
        lone = len(exact) == len(self.exact) == len(other.exact) == 1
        affixes = self.prefix or self.suffix or other.prefix or other.suffix
        return Requirement(exact, sufficient=lone and not affixes and self.sufficient and other.sufficient)


NONE: Final = Requirement(sufficient=True)
UNKNOWN: Final = Requirement()


def exactly(name: str, *texts: str) -> Requirement:
    return Requirement(exact={name: frozenset(texts)}, sufficient=True)


def of_expression(expression: Expression) -> Requirement:
    return _of_node(expression.tree)


def _of_node(node: Node) -> Requirement:
    match node:
        case Binary(TokenKind.EQUAL, Attribute(name), Literal(str(text))):
            return exactly(name, text)
        case Like(Attribute(name), pattern, negated=False):
            return _of_like(name, pattern)
        case In(Attribute(name), members, negated=False) if name in _ALWAYS_TEXT:
            texts = [each.value for each in members if isinstance(each, Literal) and isinstance(each.value, str)]
            return exactly(name, *texts) if len(texts) == len(members) else UNKNOWN
        case Logic():
            return _of_logic(node)
    return UNKNOWN


def _of_like(name: str, pattern: str) -> Requirement:
    segments = segments_of(pattern)
    match [text_of_segment(segment) for segment in segments]:
        case [str(whole)]:
            return exactly(name, whole)
        case [str(head), ""] if head:
            return Requirement(prefix={name: head}, sufficient=True)
        case ["", str(tail)] if tail:
            return Requirement(suffix={name: tail}, sufficient=True)
    head, tail = start_of(segments[0]), start_of(segments[-1][::-1])[::-1]
    return Requirement(prefix={name: head} if head else {}, suffix={name: tail} if tail else {})


def _of_logic(chain: Logic) -> Requirement:
    """Of `a AND (b AND …)` every operand holds until another operator comes; of `a OR (b OR …)` one of them."""
    first, *others = [_of_node(operand) for operand in chain.operands]
    if all(operator is TokenKind.OR for operator in chain.operators):
        return reduce(Requirement.or_else, others, first)
    ands = list(takewhile(lambda operator: operator is TokenKind.AND, chain.operators))
    if len(ands) == len(chain.operators):
        return reduce(Requirement.and_also, others, first)
    return reduce(Requirement.and_also, [first, *others][: len(ands)], UNKNOWN)


def _longest(some: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    return {name: max(some.get(name, ""), others.get(name, ""), key=len) for name in some.keys() | others.keys()}
