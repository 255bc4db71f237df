"""Sets of fields, as `metadata.managedFields` holds them (structured-merge-diff, fieldpath).

A set is a tree of path elements in their wire form: `f:name` a field, `k:{"name":"a"}` an item of a list by its keys,
`v:"x"` a member of a set. Operations never change their arguments, and share subtrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import orjson

from core.resources.meta import Json
from core.resources.schema import Node, Shape

FIELD, KEY, VALUE, INDEX = "f:", "k:", "v:", "i:"


class FieldSet:
    """`member`: the place itself is in the set. No child is empty; the member flag of a root means nothing."""

    __slots__ = ("children", "member")

    def __init__(self, member: bool = False, children: Mapping[str, FieldSet] | None = None) -> None:
        self.member = member
        self.children: Mapping[str, FieldSet] = children or {}

    def __bool__(self) -> bool:
        return self.member or bool(self.children)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSet) and self.member == other.member and self.children == other.children

    __hash__ = None  # type: ignore[assignment]  # it is compared by what it holds, and no key

    def __or__(self, other: FieldSet) -> FieldSet:
        if not other or self is other:
            return self
        if not self:
            return other
        children = dict(self.children)
        for element, child in other.children.items():
            mine = children.get(element)
            children[element] = child if mine is None else mine | child
        return FieldSet(self.member or other.member, children)

    def __and__(self, other: FieldSet) -> FieldSet:
        return self._filtered(other, FieldSet.__and__, self.member and other.member, keep=False)

    def __sub__(self, other: FieldSet) -> FieldSet:
        """Place by place: a child stays when its parent goes."""
        return self._filtered(other, FieldSet.__sub__, self.member and not other.member, keep=True)

    def without_below(self, other: FieldSet) -> FieldSet:
        """Without the members of `other` and everything below them."""
        rest = {element: child for element, child in self.children.items() if not _is_member(other, element)}
        return FieldSet(self.member, rest)._filtered(
            other, FieldSet.without_below, self.member and not other.member, keep=True
        )

    def _filtered(self, other: FieldSet, combine: _Combine, member: bool, *, keep: bool) -> FieldSet:
        children: dict[str, FieldSet] = {}
        for element, child in self.children.items():
            theirs = other.children.get(element)
            if theirs is None:
                if keep:
                    children[element] = child
            elif rest := combine(child, theirs):
                children[element] = rest
        return FieldSet(member, children)

    def paths(self) -> Iterator[str]:
        """Each member as people read it: `.spec.containers[name="a"].image`."""
        for element in sorted(self.children):
            if self.children[element].member:
                yield _readable(element)
        for element in sorted(self.children):
            for path in self.children[element].paths():
                yield _readable(element) + path

    def to_json(self) -> Json:
        """The `fieldsV1` of this set."""
        fields = {element: child.to_json() for element, child in sorted(self.children.items())}
        return {".": {}, **fields} if self.member and fields else fields


_Combine: TypeAlias = Callable[[FieldSet, FieldSet], FieldSet]

EMPTY = FieldSet()
LEAF_SET = FieldSet(member=True)


def from_json(fields: Any) -> FieldSet:
    """The set that a `fieldsV1` stands for. ValueError."""
    return FieldSet(False, _read(fields).children)


def _read(fields: Any) -> FieldSet:
    if not isinstance(fields, dict):
        raise ValueError("fieldsV1 is made of objects")
    children = {_normal(element): _read(child) for element, child in fields.items() if element != "."}
    return FieldSet("." in fields or not children, children) if children else LEAF_SET


def _normal(element: str) -> str:
    """The element as this module writes it, whoever wrote it."""
    if element.startswith(FIELD):
        return element
    if element.startswith((KEY, VALUE)):
        return element[:2] + orjson.dumps(orjson.loads(element[2:]), option=orjson.OPT_SORT_KEYS).decode()
    if element.startswith(INDEX):
        return element
    raise ValueError(f"{element!r} is no path element")


def paths_set(*paths: tuple[str, ...]) -> FieldSet:
    """The set of some named fields, each given by its names."""
    found = EMPTY
    for path in paths:
        one = LEAF_SET
        for name in reversed(path):
            one = FieldSet(False, {FIELD + name: one})
        found = found | one
    return found


def with_named_parents(fields: FieldSet, node: Node) -> FieldSet:
    """With every declared field on the way to a member: who owns `spec.a` holds on to `spec`."""
    return FieldSet(fields.member, _with_named(fields, node))


def _with_named(fields: FieldSet, node: Node) -> dict[str, FieldSet]:
    children: dict[str, FieldSet] = {}
    for element, child in fields.children.items():
        named = element.startswith(FIELD)
        declared = named and node.shape is Shape.STRUCT and element[2:] in node.fields
        inner = node.child(element[2:] if named else "")
        children[element] = FieldSet(child.member or declared, _with_named(child, inner) if child.children else None)
    return children


def key_element(node: Node, item: Any) -> str | None:
    """The element of an item of a keyed list; None where it lacks a key that has no default."""
    if not isinstance(item, dict):
        return None
    keys = {}
    for key in node.keys:
        value = item.get(key, node.key_defaults.get(key))
        if value is None:
            return None
        keys[key] = value
    return KEY + orjson.dumps(keys).decode()


def value_element(item: Any) -> str:
    """The element of a member of a set."""
    return VALUE + orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()


def _is_member(fields: FieldSet, element: str) -> bool:
    child = fields.children.get(element)
    return child is not None and child.member


def _readable(element: str) -> str:
    kind, content = element[:2], element[2:]
    if kind == FIELD:
        return f".{content}"
    if kind == KEY:
        keys = orjson.loads(content)
        return "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in keys.items()) + "]"
    return f"[={content}]" if kind == VALUE else f"[{content}]"
