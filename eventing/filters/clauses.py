"""A compiled filter, and the clauses it is made of: one constructor per dialect. Pure.

`exact`, `prefix` and `suffix` compare canonical text: an attribute that is a number or a truth value in the event is
compared as `7` or `true`, as binary mode carries it. `time` is text as well, as the producer wrote it: `10:00:00Z` and
`12:00:00+02:00` differ although they are one instant (compare with a prefix, or by an extension, where that matters).
An attribute that is not in the event passes none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

from core.resources.problems import shown
from eventing.event import Event, Value, text_of
from eventing.filters import requirement
from eventing.filters.cesql.explain import described, why_not
from eventing.filters.cesql.expression import Expression
from eventing.filters.requirement import NONE, UNKNOWN, Requirement

Attributes = Mapping[str, Value]


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """Whether an event passes, and why not. `text` is the filter in one line, for people.

    `failing` gives None where the event passes, else the clause that failed with what it found and what it wanted.
    """

    text: str
    passing: Callable[[Attributes], bool]
    failing: Callable[[Attributes], str | None]
    requirement: Requirement

    def matches(self, event: Event) -> bool:
        return self.passing(event.attributes)

    def explain(self, event: Event) -> str:
        return self.failing(event.attributes) or "passes"


def everything() -> Filter:
    """Of a Trigger without filters."""
    return Filter("every event", lambda attributes: True, lambda attributes: None, NONE)


def exact(path: str, wanted: Mapping[str, str]) -> Filter:
    """All attributes equal their text."""
    return _texts(path, wanted, _IS, reduce_and([requirement.exactly(name, text) for name, text in wanted.items()]))


def prefix(path: str, wanted: Mapping[str, str]) -> Filter:
    """All attributes begin with their text."""
    return _texts(path, wanted, _BEGINS, Requirement(prefix=wanted, sufficient=True))


def suffix(path: str, wanted: Mapping[str, str]) -> Filter:
    """All attributes end with their text."""
    return _texts(path, wanted, _ENDS, Requirement(suffix=wanted, sufficient=True))


def legacy(path: str, wanted: Mapping[str, str]) -> Filter:
    """`spec.filter.attributes`: as `exact`, but empty text stands for any value of an attribute that is there."""
    valued = {name: text for name, text in wanted.items() if text}
    present = [name for name in wanted if name not in valued]
    values = exact(path, valued)
    if not present:
        return values

    def passing(attributes: Attributes) -> bool:
        return all(name in attributes for name in present) and values.passing(attributes)

    def failing(attributes: Attributes) -> str | None:
        for name in present:
            if name not in attributes:
                return f"{path}: {name} is missing, expected any value"
        return values.failing(attributes)

    text = " and ".join([f"{name} is there" for name in present] + ([values.text] if valued else []))
    return Filter(text, passing, failing, values.requirement.and_also(UNKNOWN))


def every(filters: Sequence[Filter]) -> Filter:
    """Dialect `all`, and the list `spec.filters`. The first that fails explains it."""
    if len(filters) == 1:
        return filters[0]
    passings = [each.passing for each in filters]

    def passing(attributes: Attributes) -> bool:
        return all(each(attributes) for each in passings)

    def failing(attributes: Attributes) -> str | None:
        return next((reason for each in filters if (reason := each.failing(attributes))), None)

    return Filter(_joined(filters, " and "), passing, failing, reduce_and([each.requirement for each in filters]))


def some(path: str, filters: Sequence[Filter]) -> Filter:
    """Dialect `any`."""
    passings = [each.passing for each in filters]

    def passing(attributes: Attributes) -> bool:
        return any(each(attributes) for each in passings)

    def failing(attributes: Attributes) -> str | None:
        reasons = [each.failing(attributes) for each in filters]
        if None in reasons:
            return None
        return f"{path}: none passes ({'; '.join(reason for reason in reasons if reason)})"

    either = reduce(Requirement.or_else, [each.requirement for each in filters])
    return Filter(_joined(filters, " or "), passing, failing, either)


def negated(path: str, inner: Filter) -> Filter:
    """Dialect `not`."""
    inside = inner.passing

    def failing(attributes: Attributes) -> str | None:
        return f"{path}: expected not ({inner.text}), and it is so" if inside(attributes) else None

    return Filter(f"not ({inner.text})", lambda attributes: not inside(attributes), failing, UNKNOWN)


def cesql(path: str, expression: Expression) -> Filter:
    """True passes; false, any other value, and an error do not."""

    def failing(attributes: Attributes) -> str | None:
        reason = why_not(expression, attributes)
        return None if reason is None else f"{path}: {reason}"

    return Filter(expression.text, expression.passes, failing, requirement.of_expression(expression))


def reduce_and(requirements: Sequence[Requirement]) -> Requirement:
    return reduce(Requirement.and_also, requirements, NONE)


@dataclass(frozen=True, slots=True)
class _Comparison:
    holds: Callable[[str, str], bool]
    verb: str  # of `Filter.text`
    wish: str  # behind "expected"


_IS: Final = _Comparison(str.__eq__, "is", "")
_BEGINS: Final = _Comparison(str.startswith, "begins with", "one that begins with ")
_ENDS: Final = _Comparison(str.endswith, "ends with", "one that ends with ")


def _texts(path: str, wanted: Mapping[str, str], comparison: _Comparison, needed: Requirement) -> Filter:
    holds, pairs = comparison.holds, tuple(wanted.items())

    def passing(attributes: Attributes) -> bool:
        for name, text in pairs:
            value = attributes.get(name)
            if value is None or not holds(text_of(value), text):
                return False
        return True

    def failing(attributes: Attributes) -> str | None:
        for name, text in pairs:
            value = attributes.get(name)
            if value is None or not holds(text_of(value), text):
                return f"{path}: {described(name, value)}, expected {comparison.wish}{shown(text)}"
        return None

    text = " and ".join(f"{name} {comparison.verb} {shown(text)}" for name, text in pairs)
    return Filter(text, passing, failing, needed)


def _joined(filters: Sequence[Filter], word: str) -> str:
    return word.join(f"({each.text})" for each in filters)
