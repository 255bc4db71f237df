"""A tree as Python closures: each takes an event's attributes and gives a value, or raises Failure. Pure.

Compiled once. What is known of types by then (3.7: the right operand decides where an operator has several meanings) is
settled here; only attributes bring types along at run time. `shortcuts` has the closures of the commonest comparisons.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from eventing.filters.cesql import shortcuts
from eventing.filters.cesql.casts import (
    INTEGER_MAX,
    INTEGER_MIN,
    Type,
    Value,
    cast,
    in_range,
    to_boolean,
    to_integer,
    type_of,
)
from eventing.filters.cesql.errors import ErrorKind, EvaluationError, Failure
from eventing.filters.cesql.functions import Functions, call
from eventing.filters.cesql.like import compile_like
from eventing.filters.cesql.shortcuts import Attributes, Closure, Test
from eventing.filters.cesql.tokens import TokenKind
from eventing.filters.cesql.tree import Attribute, Binary, Call, Exists, In, Like, Literal, Logic, Node, Unary

_ORDERS: Final[dict[TokenKind, Callable[[int, int], bool]]] = {
    TokenKind.LESS: operator.lt,
    TokenKind.LESS_OR_EQUAL: operator.le,
    TokenKind.GREATER: operator.gt,
    TokenKind.GREATER_OR_EQUAL: operator.ge,
}
_EQUALITIES: Final = {TokenKind.EQUAL: True, TokenKind.NOT_EQUAL: False, TokenKind.LESS_GREATER: False}
_REQUIRED: Final = frozenset({"specversion", "id", "source", "type"})  # attributes that every event has


def static_type(node: Node, functions: Functions) -> Type:
    """The type of the node's value as far as it does not depend on the event."""
    if isinstance(node, Literal):
        return type_of(node.value)
    if isinstance(node, Attribute):
        return Type.ANY
    if isinstance(node, Call):
        function = functions.find(node.function, len(node.arguments))
        return function.returns if function else Type.BOOLEAN
    if isinstance(node, Unary):
        return Type.BOOLEAN if node.operator is TokenKind.NOT else Type.INTEGER
    return Type.INTEGER if isinstance(node, Binary) and node.operator in _ARITHMETIC else Type.BOOLEAN


def compile_value(node: Node, functions: Functions) -> Closure:
    """The closure of a node, whatever its type."""
    match node:
        case Literal(value):
            return lambda attributes: value
        case Attribute(name):
            return shortcuts.read(name)
        case Exists(name):
            return (lambda attributes: True) if name in _REQUIRED else (lambda attributes: name in attributes)
        case Call():
            return _call(node, functions)
        case Unary():
            return _unary(node, functions)
        case Like():
            return _like(node, functions)
        case In():
            return _in(node, functions)
        case Logic():
            return _logic(node, functions)
    return _binary(node, functions)


def compile_test(node: Node, functions: Functions) -> Test:
    """The closure of a node, its value cast to Boolean."""
    closure = compile_value(node, functions)
    if static_type(node, functions) is Type.BOOLEAN:
        return closure  # type: ignore[return-value]  # it gives nothing else
    return lambda attributes: to_boolean(closure(attributes))


def _call(node: Call, functions: Functions) -> Closure:
    function = functions.find(node.function, len(node.arguments))
    if function is None:
        count = len(node.arguments)
        message = f"there is no function {node.function} of {count} argument{'' if count == 1 else 's'}"
        error = EvaluationError(ErrorKind.MISSING_FUNCTION, message)

        def missing(attributes: Attributes) -> Value:
            raise Failure(error)

        return missing
    arguments = [
        _as_type(argument, function.parameter(index), functions) for index, argument in enumerate(node.arguments)
    ]
    return lambda attributes: call(function, [argument(attributes) for argument in arguments], node)


def _as_type(node: Node, target: Type, functions: Functions) -> Closure:
    closure = compile_value(node, functions)
    if target in (Type.ANY, static_type(node, functions)):
        return closure
    return lambda attributes: cast(closure(attributes), target)


def _unary(node: Unary, functions: Functions) -> Closure:
    if node.operator is TokenKind.NOT:
        test = compile_test(node.operand, functions)
        return lambda attributes: not test(attributes)
    operand = compile_value(node.operand, functions)
    return lambda attributes: _within_32_bits(-to_integer(operand(attributes)), node)


def _like(node: Like, functions: Functions) -> Closure:
    matches, wanted = compile_like(node.pattern), not node.negated
    if isinstance(node.operand, Attribute):
        return shortcuts.like(node.operand.name, matches, wanted)
    operand = _as_type(node.operand, Type.STRING, functions)
    return lambda attributes: matches(operand(attributes)) is wanted  # type: ignore[arg-type]  # cast to str


def _in(node: In, functions: Functions) -> Closure:
    operand = compile_value(node.operand, functions)
    members = [compile_value(member, functions) for member in node.members]
    wanted = not node.negated

    def is_in(attributes: Attributes) -> bool:
        value = operand(attributes)
        target = type_of(value)
        return any(value == cast(member(attributes), target) for member in members) is wanted

    texts = [member.value for member in node.members if isinstance(member, Literal) and isinstance(member.value, str)]
    if isinstance(node.operand, Attribute) and len(texts) == len(members):
        return shortcuts.is_one_of(node.operand.name, frozenset(texts), wanted, is_in)
    return is_in


def _binary(node: Binary, functions: Functions) -> Closure:
    if node.operator in _EQUALITIES:
        return _equality(node, functions)
    left, right = compile_value(node.left, functions), compile_value(node.right, functions)
    if (order := _ORDERS.get(node.operator)) is not None:

        def ordered(attributes: Attributes) -> bool:
            x, y = left(attributes), right(attributes)
            return order(to_integer(x), to_integer(y))

        return ordered
    calculate = _ARITHMETIC[node.operator]

    def calculated(attributes: Attributes) -> int:
        x, y = left(attributes), right(attributes)
        return calculate(to_integer(x), to_integer(y), node)

    return calculated


def _equality(node: Binary, functions: Functions) -> Closure:
    wanted = _EQUALITIES[node.operator]
    if isinstance(node.left, Attribute) and isinstance(node.right, Literal) and isinstance(node.right.value, str):
        return shortcuts.equals(node.left.name, node.right.value, wanted)
    left, right = compile_value(node.left, functions), compile_value(node.right, functions)

    def equal(attributes: Attributes) -> bool:
        x, y = left(attributes), right(attributes)
        return (cast(x, type_of(y)) == y) is wanted

    return equal


def _logic(node: Logic, functions: Functions) -> Closure:
    tests = [compile_test(operand, functions) for operand in node.operands]
    if all(each is TokenKind.AND for each in node.operators):
        return _conjunction(tests)
    if all(each is TokenKind.OR for each in node.operators):
        return lambda attributes: any(test(attributes) for test in tests)
    *leading, last = tests
    steps = list(zip(leading, node.operators, strict=True))

    def mixed(attributes: Attributes) -> bool:
        """`a op (b op (c …))`: AND and OR either end it or come to what follows, XOR turns what follows."""
        turned = False
        for test, logic in steps:
            value = test(attributes)
            if logic is TokenKind.XOR:
                turned ^= value
            elif value is (logic is TokenKind.OR):
                return value ^ turned
        return last(attributes) ^ turned

    return mixed


def _conjunction(tests: Sequence[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda attributes: first(attributes) and second(attributes)
    return lambda attributes: all(test(attributes) for test in tests)


def _within_32_bits(number: int, node: Node) -> int:
    if in_range(number):
        return number
    nearest = INTEGER_MAX if number > 0 else INTEGER_MIN
    raise Failure(EvaluationError(ErrorKind.MATH, f"{number} is beyond 32 bits"), nearest, node)


def _divide(x: int, y: int, node: Node) -> int:
    """Rounded toward 0, which Python's own division is not."""
    if y == 0:
        raise Failure(EvaluationError(ErrorKind.MATH, f"{x} is divided by 0"), 0, node)
    quotient = abs(x) // abs(y)
    return _within_32_bits(quotient if (x < 0) == (y < 0) else -quotient, node)


def _remainder(x: int, y: int, node: Node) -> int:
    """With the sign of the dividend, which Python's own has not."""
    if y == 0:
        raise Failure(EvaluationError(ErrorKind.MATH, f"{x} is divided by 0"), 0, node)
    return abs(x) % abs(y) * (-1 if x < 0 else 1)


_ARITHMETIC: Final[dict[TokenKind, Callable[[int, int, Any], int]]] = {
    TokenKind.PLUS: lambda x, y, node: _within_32_bits(x + y, node),
    TokenKind.MINUS: lambda x, y, node: _within_32_bits(x - y, node),
    TokenKind.STAR: lambda x, y, node: _within_32_bits(x * y, node),
    TokenKind.DIVIDE: _divide,
    TokenKind.MODULE: _remainder,
}
