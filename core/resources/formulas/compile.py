"""A tree into a function of the triggers' values. Pure.

What a part is (a number, yes or no, …) is found out on the way where it does not depend on values, so that
`a + (b > 1)` is refused when the document is applied and not when it first matters.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from core.resources.formulas import values
from core.resources.formulas.parser import PREDICATES
from core.resources.formulas.tokens import Unreadable
from core.resources.formulas.tree import (
    Array,
    Binary,
    Call,
    Condition,
    Item,
    Let,
    Literal,
    Name,
    Node,
    Pointer,
    Unary,
)
from core.resources.formulas.values import FUNCTIONS, Unsolvable, Value, truth

DEPTH_MAX: Final = 120  # of nested parts, a long sum being one: half of what is left of Python's stack
ENVIRONMENT: Final = "$env"


class Type(StrEnum):
    """The value is what a message calls it."""

    NUMBER = "a number"
    TRUTH = "yes or no"
    STRING = "a string"
    LIST = "a list"
    NIL = "nil"
    ANY = "anything"


@dataclass(slots=True)
class Frame:
    """One evaluation: the triggers' values, and what `let` and predicates have named."""

    triggers: Mapping[str, float | None]
    slots: list[Value]


Evaluate: TypeAlias = Callable[[Frame], Value]


@dataclass(frozen=True, slots=True)
class Part:
    """A compiled node."""

    evaluate: Evaluate
    type: Type = Type.ANY


@dataclass(slots=True)
class Scope:
    """What names mean at a place; `slots` counts those that are taken anywhere."""

    names: Collection[str]
    lets: dict[str, tuple[int, Type]] = field(default_factory=dict)
    pointers: dict[str, int] = field(default_factory=dict)
    slots: list[None] = field(default_factory=list)
    depth: int = 0

    def slot(self) -> int:
        self.slots.append(None)
        return len(self.slots) - 1

    def inside(self, pointers: Mapping[str, int] | None = None) -> Scope:
        """The scope of a part that sees more names."""
        return Scope(self.names, dict(self.lets), {**self.pointers, **(pointers or {})}, self.slots, self.depth)


def compile_tree(node: Node, names: Collection[str]) -> tuple[Part, int]:
    """The part, and how many slots its frame needs. Unreadable, where it can have no value."""
    scope = Scope(names)
    return _compile(node, scope), len(scope.slots)


def _compile(node: Node, scope: Scope) -> Part:
    scope.depth += 1
    if scope.depth > DEPTH_MAX:
        raise Unreadable(f"this is nested more than {DEPTH_MAX} levels deep, a long sum included", node.at)
    part = _COMPILERS[type(node)](node, scope)
    scope.depth -= 1
    return part


def _literal(node: Literal, scope: Scope) -> Part:
    value = node.value
    return Part(lambda frame: value, _type_of(value))


def _name(node: Name, scope: Scope) -> Part:
    name = node.name
    if name in scope.lets:
        slot, type_ = scope.lets[name]
        return Part(lambda frame: frame.slots[slot], type_)
    if name not in scope.names and not _numbered(name, scope.names):
        raise Unreadable(_unknown(name, scope.names), node.at)
    return _trigger(name, node.at)


def _trigger(name: str, at: int) -> Part:
    def evaluate(frame: Frame) -> Value:
        try:
            return frame.triggers[name]
        except KeyError:
            raise Unsolvable(f"the value of {name} is not known", at) from None

    return Part(evaluate, Type.NUMBER)


def _pointer(node: Pointer, scope: Scope) -> Part:
    slot = scope.pointers.get(node.name)
    if slot is None:
        raise Unreadable(f"`#{node.name}` has no meaning in this predicate", node.at)
    return Part(lambda frame: frame.slots[slot])


def _array(node: Array, scope: Scope) -> Part:
    parts = [_compile(each, scope).evaluate for each in node.items]
    return Part(lambda frame: [part(frame) for part in parts], Type.LIST)


def _item(node: Item, scope: Scope) -> Part:
    if isinstance(node.list, Name) and node.list.name == ENVIRONMENT:
        if not isinstance(node.index, Literal) or not isinstance(node.index.value, str):
            raise Unreadable('$env is asked for a trigger by name: $env["a-b"]', node.at)
        if node.index.value not in scope.names:
            raise Unreadable(_unknown(node.index.value, scope.names), node.index.at)
        return _trigger(node.index.value, node.index.at)
    listed, index = _compile(node.list, scope), _compile(node.index, scope)
    _need(listed, (Type.LIST,), "`[]`", node.list)
    return Part(_placed(lambda frame: values.item(listed.evaluate(frame), index.evaluate(frame)), node.at))


def _let(node: Let, scope: Scope) -> Part:
    if node.name in scope.names or node.name in FUNCTIONS:
        raise Unreadable(f"let cannot rename {node.name}", node.at)
    value, slot, inner = _compile(node.value, scope), scope.slot(), scope.inside()
    inner.lets[node.name] = (slot, value.type)
    rest = _compile(node.rest, inner)

    def evaluate(frame: Frame) -> Value:
        frame.slots[slot] = value.evaluate(frame)
        return rest.evaluate(frame)

    return Part(evaluate, rest.type)


def _condition(node: Condition, scope: Scope) -> Part:
    test, then, otherwise = (_compile(each, scope) for each in (node.test, node.then, node.otherwise))
    _need(test, (Type.TRUTH,), "a condition", node.test)

    def evaluate(frame: Frame) -> Value:
        chosen = then if truth(test.evaluate(frame), "a condition") else otherwise
        return chosen.evaluate(frame)

    return Part(_placed(evaluate, node.at), then.type if then.type is otherwise.type else Type.ANY)


def _unary(node: Unary, scope: Scope) -> Part:
    operand = _compile(node.operand, scope)
    inner = operand.evaluate
    if node.operator == "not":
        _need(operand, (Type.TRUTH,), "`not`", node.operand, "; put the comparison in parentheses: not (a > 1)")
        return Part(_placed(lambda frame: not truth(inner(frame), "`not`"), node.at), Type.TRUTH)
    _need(operand, (Type.NUMBER,), f"`{node.operator}`", node.operand)
    sign = -1 if node.operator == "-" else 1
    return Part(_placed(lambda frame: sign * values.number(inner(frame), "a sign"), node.at), Type.NUMBER)


def _binary(node: Binary, scope: Scope) -> Part:
    left, right = _compile(node.left, scope), _compile(node.right, scope)
    operator, who = node.operator, f"`{node.operator}`"
    a, b = left.evaluate, right.evaluate
    if operator in ("and", "or"):
        for side, part in ((node.left, left), (node.right, right)):
            _need(part, (Type.TRUTH,), who, side)
        return Part(_placed(_logic(operator, a, b), node.at), Type.TRUTH)
    if operator == "??":
        return Part(_coalesce(a, b), left.type if left.type is right.type else Type.ANY)
    if operator == "in":
        _need(right, (Type.LIST,), who, node.right)
        return Part(_placed(lambda frame: values.contains(a(frame), b(frame)), node.at), Type.TRUTH)
    if operator in ("==", "!="):
        same = operator == "=="
        return Part(lambda frame: values.equal(a(frame), b(frame)) is same, Type.TRUTH)
    allowed = (Type.NUMBER, Type.STRING) if operator in ("+", "<", "<=", ">", ">=") else (Type.NUMBER,)
    for side, part in ((node.left, left), (node.right, right)):
        _need(part, allowed, who, side)
    if Type.ANY not in (left.type, right.type) and left.type is not right.type:
        raise Unreadable(f"{who} of {left.type} and {right.type}", node.at)
    type_ = Type.TRUTH if operator in ("<", "<=", ">", ">=") else left.type
    return Part(_placed(_arithmetic(operator, a, b), node.at), type_)


def _logic(operator: str, a: Evaluate, b: Evaluate) -> Evaluate:
    """The second side is not looked at where the first decides."""
    who = f"`{operator}`"
    if operator == "and":
        return lambda frame: truth(a(frame), who) and truth(b(frame), who)
    return lambda frame: truth(a(frame), who) or truth(b(frame), who)


def _coalesce(a: Evaluate, b: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> Value:
        value = a(frame)
        return b(frame) if value is None else value

    return evaluate


def _arithmetic(operator: str, a: Evaluate, b: Evaluate) -> Evaluate:
    if operator == "+":
        return lambda frame: values.add(a(frame), b(frame))
    if operator in ("<", "<=", ">", ">="):
        compare = values.order(operator)
        return lambda frame: compare(a(frame), b(frame))
    apply, who = _ON_NUMBERS[operator], f"`{operator}`"
    return lambda frame: apply(values.number(a(frame), who), values.number(b(frame), who))


_ON_NUMBERS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": values.divide,
    "%": values.remainder,
    "**": values.power,
}


def _call(node: Call, scope: Scope) -> Part:
    if node.function in PREDICATES:
        return _with_predicate(node, scope)
    function = FUNCTIONS.get(node.function)
    if function is None:
        known = sorted((*FUNCTIONS, *PREDICATES))
        raise Unreadable(f"there is no function {node.function}{_meant(node.function, known)}", node.at)
    given = len(node.arguments)
    if given < function.least or (function.most is not None and given > function.most):
        raise Unreadable(f"{node.function} takes {function.least} argument, not {given}", node.at)
    parts = [_compile(each, scope).evaluate for each in node.arguments]
    call = function.call
    type_ = {"sort": Type.LIST, "first": Type.ANY, "last": Type.ANY}.get(node.function, Type.NUMBER)
    return Part(_placed(lambda frame: call(*(part(frame) for part in parts)), node.at), type_)


def _with_predicate(node: Call, scope: Scope) -> Part:
    """`count([a, b], # > 1)`: for each item, `#` is the item and `#index` its place; in reduce `#acc` what came out."""
    name, given = node.function, len(node.arguments)
    least, most = (1 if name in ("count", "sum") else 2), (3 if name == "reduce" else 2)
    if not least <= given <= most:
        raise Unreadable(f"{name} takes a list and a predicate", node.at)
    listed = _compile(node.arguments[0], scope)
    _need(listed, (Type.LIST,), name, node.arguments[0])
    slots = (scope.slot(), scope.slot(), scope.slot())
    inner = scope.inside({"": slots[0], "index": slots[1], **({"acc": slots[2]} if name == "reduce" else {})})
    of = _compile(node.arguments[1], inner).evaluate if given > 1 else None
    if name == "reduce":
        initial = _compile(node.arguments[2], scope).evaluate if given > 2 else None
        return Part(_placed(_reduce(listed.evaluate, of or listed.evaluate, initial, slots), node.at))
    apply, type_ = _WITH_PREDICATE[name]

    def evaluate(frame: Frame) -> Value:
        items = values.items(listed.evaluate(frame), name)
        if of is None:
            return apply(items, items)
        answers = []
        for place, item in enumerate(items):
            frame.slots[slots[0]], frame.slots[slots[1]] = item, place
            answers.append(of(frame))
        return apply(items, answers)

    return Part(_placed(evaluate, node.at), type_)


def _reduce(listed: Evaluate, of: Evaluate, initial: Evaluate | None, slots: tuple[int, int, int]) -> Evaluate:
    def evaluate(frame: Frame) -> Value:
        rest = list(enumerate(values.items(listed(frame), "reduce")))
        if initial is None and not rest:
            raise Unsolvable("reduce of an empty list")
        result = rest.pop(0)[1] if initial is None else initial(frame)
        for place, item in rest:
            frame.slots[slots[0]], frame.slots[slots[1]], frame.slots[slots[2]] = item, place, result
            result = of(frame)
        return result

    return evaluate


def _yes(answers: list[Value]) -> int:
    return sum(truth(answer, "a predicate") for answer in answers)


def _chosen(items: list[Value], answers: list[Value]) -> list[Value]:
    return [item for item, answer in zip(items, answers, strict=True) if truth(answer, "a predicate")]


_WITH_PREDICATE: Final[Mapping[str, tuple[Callable[[list[Value], list[Value]], Value], Type]]] = {
    "all": (lambda items, answers: _yes(answers) == len(items), Type.TRUTH),
    "any": (lambda items, answers: _yes(answers) > 0, Type.TRUTH),
    "none": (lambda items, answers: _yes(answers) == 0, Type.TRUTH),
    "one": (lambda items, answers: _yes(answers) == 1, Type.TRUTH),
    "count": (lambda items, answers: _yes(answers), Type.NUMBER),
    "sum": (lambda items, answers: sum(values.number(answer, "sum") for answer in answers), Type.NUMBER),
    "filter": (_chosen, Type.LIST),
    "map": (lambda items, answers: answers, Type.LIST),
    "find": (lambda items, answers: next(iter(_chosen(items, answers)), None), Type.ANY),
}


def _placed(evaluate: Evaluate, at: int) -> Evaluate:
    """Says where there is no value."""

    def placed(frame: Frame) -> Value:
        try:
            return evaluate(frame)
        except Unsolvable as trouble:
            if trouble.at < 0:
                trouble.at = at
            raise

    return placed


def _need(part: Part, allowed: tuple[Type, ...], who: str, node: Node, hint: str = "") -> None:
    if part.type not in (*allowed, Type.ANY):
        needed = " or ".join(allowed)
        raise Unreadable(f"{who} needs {needed}, and this is {part.type}{hint}", node.at)


def _type_of(value: Value) -> Type:
    if value is None:
        return Type.NIL
    if isinstance(value, bool):
        return Type.TRUTH
    return Type.STRING if isinstance(value, str) else Type.NUMBER


def _numbered(name: str, names: Collection[str]) -> bool:
    """`orders01`: the second metric of the trigger `orders`."""
    return bool(re.fullmatch(r".+\d\d", name)) and name[:-2] in names


def _unknown(name: str, names: Collection[str]) -> str:
    there = f"there are {', '.join(names)}" if names else "no trigger has a name"
    return f"no trigger is named {name}{_meant(name, names)}; {there}"


def _meant(name: str, names: Collection[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f": did you mean {close[0]}?" if close else ""


_COMPILERS: Final[Mapping[type, Callable[..., Part]]] = {
    Literal: _literal,
    Name: _name,
    Pointer: _pointer,
    Array: _array,
    Item: _item,
    Let: _let,
    Condition: _condition,
    Unary: _unary,
    Binary: _binary,
    Call: _call,
}
