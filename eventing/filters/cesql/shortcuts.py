"""The closures of what filters mostly are: an attribute against literal text, without a call per operand. Pure.

Each gives what the closures of `evaluate` would: an attribute that is an Integer or a Boolean is compared by its text,
and one that is not there is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from eventing.event import text_of
from eventing.filters.cesql.casts import Value
from eventing.filters.cesql.errors import ErrorKind, EvaluationError, Failure

Attributes: TypeAlias = Mapping[str, Value]
Closure: TypeAlias = Callable[[Attributes], Value]
Test: TypeAlias = Callable[[Attributes], bool]


def _missing(name: str) -> EvaluationError:
    return EvaluationError(ErrorKind.MISSING_ATTRIBUTE, f"attribute {name} is missing")


def read(name: str) -> Closure:
    error = _missing(name)

    def value(attributes: Attributes) -> Value:
        found = attributes.get(name)
        if found is None:
            raise Failure(error)
        return found

    return value


def equals(name: str, text: str, wanted: bool) -> Test:
    """`name = 'text'`, or `name != 'text'`."""
    error = _missing(name)

    def test(attributes: Attributes) -> bool:
        value = attributes.get(name)
        if value.__class__ is str:
            return (value == text) is wanted
        if value is None:
            raise Failure(error)
        return (text_of(value) == text) is wanted

    return test


def like(name: str, matches: Callable[[str], bool], wanted: bool) -> Test:
    """`name LIKE …`, or `name NOT LIKE …`."""
    error = _missing(name)

    def test(attributes: Attributes) -> bool:
        value = attributes.get(name)
        if value is None:
            raise Failure(error)
        return matches(text_of(value)) is wanted

    return test


def is_one_of(name: str, texts: frozenset[str], wanted: bool, otherwise: Test) -> Test:
    """`name IN ('text', …)`: an attribute of another type has the members cast to it, which `otherwise` does."""

    def test(attributes: Attributes) -> bool:
        value = attributes.get(name)
        return (value in texts) is wanted if value.__class__ is str else otherwise(attributes)

    return test
