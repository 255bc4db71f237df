"""What formulas calculate with, and the functions they may call: numbers, yes or no, strings, lists, nil. Pure.

Numbers are whole or not, as in expr: `/`, `**` and trigger values are not. Every function here takes plain values and
raises Unsolvable where it has no answer; a number that is no number (infinite, NaN) is no answer either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

Value: TypeAlias = Any  # float | int | bool | str | list[Value] | None: what an expression may be
Numbers: TypeAlias = list[float]


class Unsolvable(Exception):
    """There is no value. `nil`: because a trigger without a value was calculated with."""

    def __init__(self, message: str, at: int = -1, *, nil: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.nil = nil


def is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: Value, who: str) -> float:
    """The value, if it is a number."""
    if value.__class__ is float or value.__class__ is int:
        return cast(float, value)
    raise Unsolvable(f"{who} needs a number and has {told(value)}", nil=value is None)


def truth(value: Value, who: str) -> bool:
    if value is True or value is False:
        return value is True
    raise Unsolvable(f"{who} needs yes or no, such as a comparison, and has {told(value)}", nil=value is None)


def told(value: Value) -> str:
    """What a value is, in words."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else f"{value:g}"


def divide(left: float, right: float) -> float:
    if right == 0:
        raise Unsolvable("division by zero")
    return left / right


def remainder(left: float, right: float) -> float:
    """With the sign of the left side, as in Go."""
    if right == 0:
        raise Unsolvable("division by zero")
    rest = math.fmod(left, right)
    return int(rest) if isinstance(left, int) and isinstance(right, int) else rest


def power(left: float, right: float) -> float:
    try:
        result: float | complex = float(left) ** float(right)
    except (OverflowError, ZeroDivisionError):
        raise Unsolvable("the power is too large") from None
    if isinstance(result, complex):
        raise Unsolvable("a negative number has no such power")
    return result


def add(left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return number(left, "`+`") + number(right, "`+`")


def order(operator: str) -> Callable[[Value, Value], bool]:
    """`<`, `<=`, `>`, `>=` of numbers, or of strings."""
    compare = {"<": _lt, "<=": _le, ">": _gt, ">=": _ge}[operator]

    def apply(left: Value, right: Value) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        return compare(number(left, f"`{operator}`"), number(right, f"`{operator}`"))

    return apply


def equal(left: Value, right: Value) -> bool:
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def contains(item: Value, listed: Value) -> bool:
    return any(equal(item, each) for each in items(listed, "`in`"))


def items(value: Value, who: str) -> list[Value]:
    if isinstance(value, list):
        return value
    raise Unsolvable(f"{who} needs a list, as [a, b], and has {told(value)}", nil=value is None)


def item(listed: Value, index: Value) -> Value:
    place = number(index, "`[]`")
    try:
        return items(listed, "`[]`")[int(place)]
    except IndexError:
        raise Unsolvable(f"the list has no item {place:g}") from None


def _lt(left: Any, right: Any) -> bool:
    return bool(left < right)


def _le(left: Any, right: Any) -> bool:
    return bool(left <= right)


def _gt(left: Any, right: Any) -> bool:
    return bool(left > right)


def _ge(left: Any, right: Any) -> bool:
    return bool(left >= right)


def _float(value: Value) -> float:
    return float(_parsed(value, "float"))


def _int(value: Value) -> int:
    return int(_parsed(value, "int"))


def _parsed(value: Value, who: str) -> float:
    if not isinstance(value, str):
        return number(value, who)
    try:
        return float(value)
    except ValueError:
        raise Unsolvable(f"{who} cannot read {value!r} as a number") from None


def _round(value: Value) -> float:
    """Half away from zero."""
    found = number(value, "round")
    return math.copysign(math.floor(abs(found) + 0.5), found)


def _len(value: Value) -> int:
    return len(value) if isinstance(value, str) else len(items(value, "len"))


def _spread(arguments: Sequence[Value], who: str) -> Numbers:
    """Numbers, and those in lists: `max(a, [b, c])`."""
    found: Numbers = []
    for each in arguments:
        found += [number(inner, who) for inner in each] if isinstance(each, list) else [number(each, who)]
    return found


def _median(numbers: Numbers) -> float:
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass(frozen=True, slots=True)
class Function:
    """`most` None: as many arguments as one likes."""

    call: Callable[..., Value]
    least: int = 1
    most: int | None = 1


def _of_many(name: str, fold: Callable[[Numbers], float]) -> Function:
    def call(*arguments: Value) -> float:
        numbers = _spread(arguments, name)
        if not numbers:
            raise Unsolvable(f"{name} of an empty list")
        return fold(numbers)

    return Function(call, 1, None)


def _end(name: str, place: int) -> Function:
    def call(value: Value) -> Value:
        listed = items(value, name)
        return listed[place] if listed else None

    return Function(call)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "abs": Function(lambda value: abs(number(value, "abs"))),
    "ceil": Function(lambda value: float(math.ceil(number(value, "ceil")))),
    "floor": Function(lambda value: float(math.floor(number(value, "floor")))),
    "round": Function(_round),
    "int": Function(_int),
    "float": Function(_float),
    "len": Function(_len),
    "max": _of_many("max", max),
    "min": _of_many("min", min),
    "mean": _of_many("mean", lambda numbers: sum(numbers) / len(numbers)),
    "median": _of_many("median", _median),
    "first": _end("first", 0),
    "last": _end("last", -1),
    "sort": Function(lambda value: sorted(number(each, "sort") for each in items(value, "sort"))),
}
"""By the names that formulas call them. Those with predicates are in `compile`."""
