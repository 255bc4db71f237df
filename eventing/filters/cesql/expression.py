"""A parsed expression: what callers hold. Text in here, values and errors out. Pure."""

from __future__ import annotations

from typing import NamedTuple

from eventing.filters.cesql.casts import ZERO, Type, Value
from eventing.filters.cesql.errors import EvaluationError, Failure, ParseError, Unparsable
from eventing.filters.cesql.evaluate import compile_value, static_type
from eventing.filters.cesql.functions import BUILT_IN, Functions
from eventing.filters.cesql.parser import parse_tree
from eventing.filters.cesql.shortcuts import Attributes
from eventing.filters.cesql.tokens import TokenKind
from eventing.filters.cesql.tree import Call, Logic, Node, walk


class Result(NamedTuple):
    """There always is a value; with an error it is the one that the specification wants beside it."""

    value: Value
    error: EvaluationError | None


class Expression:
    """`type` is Type.ANY where it depends on the event: of an attribute alone."""

    __slots__ = ("_value", "functions", "text", "tree", "type")

    def __init__(self, text: str, tree: Node, functions: Functions) -> None:
        self.text = text
        self.tree = tree
        self.functions = functions
        self.type: Type = static_type(tree, functions)
        self._value = compile_value(tree, functions)

    def evaluate(self, attributes: Attributes) -> Result:
        """The value, and the first error on the way to it."""
        try:
            return Result(self._value(attributes), None)
        except Failure as failure:
            own = failure.value if failure.origin is self.tree else None
            return Result(ZERO[self.type] if own is None else own, failure.error)

    def passes(self, attributes: Attributes) -> bool:
        """The answer as a filter (1.2): true, without an error. Other values than a Boolean do not pass."""
        try:
            return self._value(attributes) is True
        except Failure:
            return False

    def source_of(self, node: Node) -> str:
        """The part of the text that became the node."""
        return self.text[slice(*node.span)]

    def unknown_calls(self) -> list[Call]:
        """Calls of functions that there are not: each is an error whenever it is evaluated."""
        calls = [node for node in walk(self.tree) if isinstance(node, Call)]
        return [node for node in calls if self.functions.find(node.function, len(node.arguments)) is None]

    def mixed_logic(self) -> str | None:
        """How the first chain of different logic operators is read, for people who expect AND before OR."""
        for node in walk(self.tree):
            if isinstance(node, Logic) and len(set(node.operators)) > 1:
                return _grouped([self.source_of(operand) for operand in node.operands], list(node.operators))
        return None

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def parse(text: str, functions: Functions = BUILT_IN) -> Expression | ParseError:
    """The expression that the text is, or why and where it is none."""
    try:
        return Expression(text, parse_tree(text), functions)
    except Unparsable as problem:
        return ParseError(problem.message, text, problem.position)


def _grouped(operands: list[str], operators: list[TokenKind]) -> str:
    """Parenthesized wherever the operator changes."""
    text = operands[0]
    closing = 0
    for index, operator in enumerate(operators):
        opens = index + 1 < len(operators) and operators[index + 1] is not operator
        text += f" {operator} {'(' if opens else ''}{operands[index + 1]}"
        closing += opens
    return text + ")" * closing
