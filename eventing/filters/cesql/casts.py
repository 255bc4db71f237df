"""The three types of the language (3.1) and the casts between them (3.7). Pure."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, TypeAlias

from eventing.event import text_of
from eventing.filters.cesql.errors import ErrorKind, EvaluationError, Failure

Value: TypeAlias = str | int | bool

INTEGER_MIN: Final = -(2**31)
INTEGER_MAX: Final = 2**31 - 1
_INTEGER: Final = re.compile(r"([+-]?)0*([0-9]{1,10})")  # 32 bits have ten digits at most
_DIGITS: Final = re.compile(r"[+-]?[0-9]+")


class Type(StrEnum):
    STRING = "String"
    INTEGER = "Integer"
    BOOLEAN = "Boolean"
    ANY = "Any"
    """Of attributes, before there is an event; of parameters that take every type."""


ZERO: Final[dict[Type, Value]] = {Type.STRING: "", Type.INTEGER: 0, Type.BOOLEAN: False, Type.ANY: False}


def type_of(value: Value) -> Type:
    if isinstance(value, str):
        return Type.STRING
    return Type.BOOLEAN if isinstance(value, bool) else Type.INTEGER


def cast(value: Value, target: Type) -> Value:
    """The value as one of that type. Failure, if it cannot be."""
    if target is Type.STRING:
        return text_of(value)
    if target is Type.INTEGER:
        return to_integer(value)
    return to_boolean(value) if target is Type.BOOLEAN else value


def to_integer(value: Value) -> int:
    if not isinstance(value, str):
        return int(value)
    if (match := _INTEGER.fullmatch(value)) and in_range(number := int(match[1] + match[2])):
        return number
    too_big = _DIGITS.fullmatch(value)
    raise _cast_failure(f"{_shown(value)} is {'beyond 32 bits' if too_big else 'not an integer'}")


def to_boolean(value: Value) -> bool:
    if not isinstance(value, str):
        return bool(value)
    lower = value.lower()
    if lower == "true":
        return True
    if lower == "false":
        return False
    raise _cast_failure(f"{_shown(value)} is neither true nor false")


def in_range(number: int) -> bool:
    return INTEGER_MIN <= number <= INTEGER_MAX


def _cast_failure(message: str) -> Failure:
    return Failure(EvaluationError(ErrorKind.CAST, message))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
