"""An expression as the parser leaves it: one node per operation, parentheses gone. Pure.

`span` is where the node stands in the text; `depth` how many nodes are below each other in it, which the parser bounds
so that no recursion over a tree can run out of stack. A chain of AND, OR and XOR is one node however long it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from eventing.filters.cesql.casts import Value
from eventing.filters.cesql.tokens import TokenKind

Span: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Literal:
    value: Value
    span: Span
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    span: Span
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Exists:
    name: str
    span: Span
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Call:
    function: str  # in capitals
    arguments: tuple[Node, ...]
    span: Span
    depth: int


@dataclass(frozen=True, slots=True)
class Unary:
    operator: TokenKind  # NOT or MINUS
    operand: Node
    span: Span
    depth: int


@dataclass(frozen=True, slots=True)
class Like:
    operand: Node
    pattern: str
    negated: bool
    span: Span
    depth: int


@dataclass(frozen=True, slots=True)
class In:
    operand: Node
    members: tuple[Node, ...]
    negated: bool
    span: Span
    depth: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic or a comparison."""

    operator: TokenKind
    left: Node
    right: Node
    span: Span
    depth: int


@dataclass(frozen=True, slots=True)
class Logic:
    """`a op b op c`, meaning `a op (b op c)`: there is one operator less than operands."""

    operands: tuple[Node, ...]
    operators: tuple[TokenKind, ...]  # AND, OR, XOR
    span: Span
    depth: int


Node: TypeAlias = Literal | Attribute | Exists | Call | Unary | Like | In | Binary | Logic


def children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Call):
        return node.arguments
    if isinstance(node, Unary | Like):
        return (node.operand,)
    if isinstance(node, In):
        return (node.operand, *node.members)
    if isinstance(node, Binary):
        return (node.left, node.right)
    return node.operands if isinstance(node, Logic) else ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, as they stand in the text."""
    yield node
    for child in children(node):
        yield from walk(child)
