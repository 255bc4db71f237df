"""The built-in functions (3.5), and how a function of one's own is declared. Pure.

A function is found by name and number of arguments; its arguments arrive cast to the declared types. A body that cannot
do what it is asked raises `FunctionFailed`, with the value that the specification wants returned all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eventing.filters.cesql.casts import INTEGER_MAX, INTEGER_MIN, Type, Value, cast, in_range, type_of
from eventing.filters.cesql.errors import ErrorKind, EvaluationError, Failure


class FunctionFailed(Exception):
    """Raised by a function's body. Without a value, the zero value of the function's type is returned."""

    def __init__(
        self, message: str, value: Value | None = None, kind: ErrorKind = ErrorKind.FUNCTION_EVALUATION
    ) -> None:
        super().__init__(message)
        self.error = EvaluationError(kind, message)
        self.value = value


@dataclass(frozen=True, slots=True)
class Function:
    """`rest`, if given, is the type of any number of arguments behind `parameters` (the function is variadic)."""

    name: str  # in capitals
    parameters: tuple[Type, ...]
    returns: Type
    body: Callable[..., Value]
    rest: Type | None = None

    def parameter(self, index: int) -> Type:
        return self.parameters[index] if index < len(self.parameters) or self.rest is None else self.rest


class Functions:
    """A set of functions in which every call means one of them at most."""

    def __init__(self, functions: Iterable[Function] = ()) -> None:
        self._fixed: Mapping[tuple[str, int], Function] = {}
        self._variadic: Mapping[str, Function] = {}
        for function in functions:
            self._add(function)

    def find(self, name: str, arguments: int) -> Function | None:
        if function := self._fixed.get((name, arguments)):
            return function
        function = self._variadic.get(name)
        return function if function and len(function.parameters) <= arguments else None

    def extended(self, *functions: Function) -> Functions:
        """These and those. ValueError where a call could then mean two of them."""
        return Functions([*self._fixed.values(), *self._variadic.values(), *functions])

    def named(self, name: str) -> list[Function]:
        every = (*self._fixed.values(), *self._variadic.values())
        return [function for function in every if function.name == name]

    def _add(self, function: Function) -> None:
        others = self.named(function.name)
        arity = len(function.parameters)
        fixed = [len(other.parameters) for other in others if other.rest is None]
        variadic = [len(other.parameters) for other in others if other.rest is not None]
        if function.rest is not None:
            if variadic or any(arity <= other for other in fixed):
                raise ValueError(f"{function.name}: a variadic overload must be the only one, and the longest")
            self._variadic = {**self._variadic, function.name: function}
        else:
            if arity in fixed or any(arity >= other for other in variadic):
                raise ValueError(f"{function.name}: there is another overload for {arity} arguments")
            self._fixed = {**self._fixed, (function.name, arity): function}


def call(function: Function, arguments: Iterable[Value], origin: object) -> Value:
    """The function's value. Failure with that of `FunctionFailed`, or where the body keeps no word about its type."""
    try:
        value = function.body(*arguments)
    except FunctionFailed as failed:
        raise Failure(failed.error, failed.value, origin) from None
    if type_of(value) is function.returns and (function.returns is not Type.INTEGER or in_range(int(value))):
        return value
    message = f"{function.name} gave {value!r}, which is not of type {function.returns}"
    raise Failure(EvaluationError(ErrorKind.FUNCTION_EVALUATION, message), None, origin)


# Unicode's property White_Space. Python's own `strip` also takes the control characters U+001C to U+001F.
_WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000"
)


def _concat_ws(delimiter: str, *texts: str) -> str:
    return delimiter.join(texts)


def _left(text: str, count: int) -> str:
    if count < 0:
        raise FunctionFailed(f"LEFT was asked for {count} characters", text)
    return text[:count]


def _right(text: str, count: int) -> str:
    if count < 0:
        raise FunctionFailed(f"RIGHT was asked for {count} characters", text)
    return text[max(0, len(text) - count) :]


def _substring(text: str, position: int, length: int = INTEGER_MAX) -> str:
    """Positions count from 1, or from the end if negative; 0 is nowhere, which is no error."""
    if abs(position) > len(text):
        raise FunctionFailed(f"SUBSTRING begins at {position} in a string of length {len(text)}", "")
    if length < 0:
        raise FunctionFailed(f"SUBSTRING was asked for {length} characters", "")
    if position == 0:
        return ""
    begin = position - 1 if position > 0 else len(text) + position
    return text[begin : begin + length]


def _abs(number: int) -> int:
    if number == INTEGER_MIN:
        raise FunctionFailed(f"the absolute value of {INTEGER_MIN} is beyond 32 bits", INTEGER_MAX, ErrorKind.MATH)
    return abs(number)


def _casting(target: Type) -> Callable[[Value], Value]:
    return lambda value: cast(value, target)


def _castable(target: Type) -> Callable[[Value], bool]:
    def is_castable(value: Value) -> bool:
        try:
            cast(value, target)
        except Failure:
            return False
        return True

    return is_castable


def _function(name: str, parameters: tuple[Type, ...], returns: Type, body: Any, rest: Type | None = None) -> Function:
    return Function(name, parameters, returns, body, rest)


_STRING, _INTEGER, _BOOLEAN, _ANY = Type.STRING, Type.INTEGER, Type.BOOLEAN, Type.ANY

BUILT_IN: Final = Functions(
    [
        _function("LENGTH", (_STRING,), _INTEGER, len),
        _function("CONCAT", (), _STRING, lambda *texts: "".join(texts), rest=_STRING),
        _function("CONCAT_WS", (_STRING,), _STRING, _concat_ws, rest=_STRING),
        _function("LOWER", (_STRING,), _STRING, str.lower),
        _function("UPPER", (_STRING,), _STRING, str.upper),
        _function("TRIM", (_STRING,), _STRING, lambda text: text.strip(_WHITE_SPACE)),
        _function("LEFT", (_STRING, _INTEGER), _STRING, _left),
        _function("RIGHT", (_STRING, _INTEGER), _STRING, _right),
        _function("SUBSTRING", (_STRING, _INTEGER), _STRING, _substring),
        _function("SUBSTRING", (_STRING, _INTEGER, _INTEGER), _STRING, _substring),
        _function("ABS", (_INTEGER,), _INTEGER, _abs),
        _function("INT", (_ANY,), _INTEGER, _casting(_INTEGER)),
        _function("BOOL", (_ANY,), _BOOLEAN, _casting(_BOOLEAN)),
        _function("STRING", (_ANY,), _STRING, _casting(_STRING)),
        _function("IS_INT", (_ANY,), _BOOLEAN, _castable(_INTEGER)),
        _function("IS_BOOL", (_ANY,), _BOOLEAN, _castable(_BOOLEAN)),
    ]
)
