"""What a formula consists of. Each node knows where in the text it stands. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Constant: TypeAlias = float | int | bool | str | None


@dataclass(frozen=True, slots=True)
class Literal:
    value: Constant
    at: int


@dataclass(frozen=True, slots=True)
class Name:
    """A trigger, or what `let` has named."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """`#`, `#index` or `#acc` in a predicate."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    operand: Node
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Condition:
    test: Node
    then: Node
    otherwise: Node
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function; its second argument may be a predicate, evaluated for each item of the first."""

    function: str
    arguments: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Let:
    name: str
    value: Node
    rest: Node
    at: int


@dataclass(frozen=True, slots=True)
class Item:
    """`list[0]`, the last with -1."""

    list: Node
    index: Node
    at: int


Node: TypeAlias = Literal | Name | Pointer | Array | Unary | Binary | Condition | Call | Let | Item
