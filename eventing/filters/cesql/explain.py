"""Why an event does not pass an expression, for the person who wrote it. Pure."""

from __future__ import annotations

from core.resources.problems import shown
from eventing.filters.cesql.casts import Type, Value, type_of
from eventing.filters.cesql.evaluate import compile_test
from eventing.filters.cesql.expression import Expression
from eventing.filters.cesql.shortcuts import Attributes
from eventing.filters.cesql.tokens import TokenKind
from eventing.filters.cesql.tree import Attribute, Exists, Logic, Node, walk

_SHOWN_MAX = 80


def why_not(expression: Expression, attributes: Attributes) -> str | None:
    """None if the event passes; else the part that decided, and what the event has where that part looks."""
    value, error = expression.evaluate(attributes)
    if error is not None:
        return f"`{expression.text}` has an error: {error}"
    if value is True:
        return None
    if value is not False:
        kind = f"{'an' if type_of(value) is Type.INTEGER else 'a'} {type_of(value)}"
        return f"`{expression.text}` gives {shown(value, _SHOWN_MAX)}, {kind}: a filter must give a Boolean"
    part = _decisive(expression, expression.tree, attributes)
    names = dict.fromkeys(node.name for node in walk(part) if isinstance(node, Attribute | Exists))
    seen = ", ".join(described(name, attributes.get(name)) for name in names)
    return f"`{expression.source_of(part)}` is false" + (f": {seen}" if seen else "")


def described(name: str, value: Value | None) -> str:
    return f"{name} is missing" if value is None else f"{name} is {shown(value, _SHOWN_MAX)}"


def _decisive(expression: Expression, node: Node, attributes: Attributes) -> Node:
    """The first operand that is false of a chain of ANDs, and so on inside it."""
    while isinstance(node, Logic) and all(operator is TokenKind.AND for operator in node.operators):
        node = next(each for each in node.operands if not compile_test(each, expression.functions)(attributes))
    return node
