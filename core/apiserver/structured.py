"""Documents compared, merged and cut down along a kind's schema (structured-merge-diff, typed).

The steps that server-side apply is made of. Atomic maps and lists, and whatever is neither map nor list, are leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.apiserver.fieldsets import EMPTY, FIELD, LEAF_SET, FieldSet, key_element, value_element
from core.errors import BadRequest
from core.resources.meta import Json
from core.resources.schema import ListKind, Node, Shape, seen_as

_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became different from one document to the next. No place is in two of the sets."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet

    def without(self, ignored: FieldSet) -> Comparison:
        below = FieldSet.without_below
        return Comparison(below(self.added, ignored), below(self.modified, ignored), below(self.removed, ignored))

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed)


def fields_of(value: Any, node: Node) -> FieldSet:
    """What a writer of `value` owns: leaves, items of lists and maps, and containers that it leaves empty."""
    return FieldSet(False, _fields_of(value, node).children)


def _fields_of(value: Any, node: Node) -> FieldSet:
    node = seen_as(node, value)
    if _is_leaf(value, node):
        return LEAF_SET
    children: dict[str, FieldSet] = {}
    if isinstance(value, dict):
        declared = node.fields
        for name, item in value.items():
            inner = _fields_of(item, node.child(name))
            if name not in declared and not inner.member:
                inner = FieldSet(True, inner.children)
            if inner:
                children[FIELD + name] = inner
        return FieldSet(not value, children)
    for element, item in _items(value, node):
        children[element] = FieldSet(True, _fields_of(item, node.child("")).children)
    return FieldSet(not value, children)


def compare(old: Any, new: Any, node: Node) -> Comparison:
    """The places that differ; containers that come or go count as places too."""
    sets = _compare(old, new, node)
    return Comparison(*(FieldSet(False, part.children) for part in sets))


_SAME = (EMPTY, EMPTY, EMPTY)


def _compare(old: Any, new: Any, node: Node) -> tuple[FieldSet, FieldSet, FieldSet]:
    if old is _MISSING:
        return _everything(new, node), EMPTY, EMPTY
    if new is _MISSING:
        return EMPTY, EMPTY, _everything(old, node)
    if old == new:
        return _SAME
    node = seen_as(node, new)
    if _is_leaf(old, node) or _is_leaf(new, node) or not (old or new):
        return EMPTY, LEAF_SET, EMPTY
    before, after = _children(old, node), _children(new, node)
    parts: tuple[dict[str, FieldSet], ...] = ({}, {}, {})
    for element in before.keys() | after.keys():
        inner = node.child(element[2:] if element.startswith(FIELD) else "")
        found = _compare(before.get(element, _MISSING), after.get(element, _MISSING), inner)
        for part, fields in zip(parts, found, strict=True):
            if fields:
                part[element] = fields
    added, modified, removed = (FieldSet(False, part) for part in parts)
    return added, modified, removed


def _everything(value: Any, node: Node) -> FieldSet:
    """Every place of a value, containers included."""
    node = seen_as(node, value)
    if _is_leaf(value, node) or not value:
        return LEAF_SET
    children = {
        element: _everything(item, node.child(element[2:] if element.startswith(FIELD) else ""))
        for element, item in _children(value, node).items()
    }
    return FieldSet(True, children)


def merge(live: Any, config: Any, node: Node) -> Any:
    """`config` laid over `live`: nothing is removed, lists keep the order of both as far as that can be."""
    if live is _MISSING or config is _MISSING:
        return live if config is _MISSING else config
    node = seen_as(node, config)
    if _is_leaf(config, node) or _is_leaf(live, node) or not (live or config):
        return config
    if isinstance(config, dict):
        merged = dict(live)
        for name, item in config.items():
            merged[name] = merge(live.get(name, _MISSING), item, node.child(name))
        return merged
    return _merge_items(live, dict(_items(config, node)), node)


def _merge_items(live: list[Any], config: dict[str, Any], node: Node) -> list[Any]:
    """Items of both in the order of `config`, those of `live` alone before the shared item that they stood before.

    `live` may hold twins: those that `config` does not name are kept as they are, the others become one.
    """
    left = [(_element(item, node), item) for item in live]
    known = dict(_items(live, node))
    turns = iter([element for element in config if element in known])
    turn = next(turns, None)
    right = list(config)
    merged: list[Any] = []
    while left or right:
        if left and left[0][0] not in config:
            merged.append(left.pop(0)[1])
        elif left and left[0][0] != turn:
            left.pop(0)  # shared, and its place in `config` is elsewhere
        else:
            element = right.pop(0)
            merged.append(merge(known.get(element, _MISSING), config[element], node.child("")))
            if element == turn:
                turn = next(turns, None)
                left = left[1:]
    return merged


def remove(value: Any, fields: FieldSet, node: Node) -> Any:
    """`value` without the members of `fields`. A container that this empties stays, unless it is a member itself."""
    if not fields.children:
        return value
    node = seen_as(node, value)
    if _is_leaf(value, node):
        return value
    if isinstance(value, dict):
        kept: Json = {}
        for name, item in value.items():
            gone = fields.children.get(FIELD + name, EMPTY)
            if not gone.member:
                kept[name] = remove(item, gone, node.child(name))
        return kept
    left = []
    for item in value:
        gone = fields.children.get(_element(item, node) or "", EMPTY)
        if not gone.member:
            left.append(remove(item, gone, node.child("")))
    return left


def check_keys(value: Any, node: Node, path: str = "") -> None:
    """Items that an applier sends must be told apart. BadRequest."""
    node = seen_as(node, value)
    if _is_leaf(value, node):
        return
    if isinstance(value, dict):
        for name, item in value.items():
            check_keys(item, node.child(name), f"{path}.{name}")
        return
    seen = set()
    for index, item in enumerate(value):
        element = _element(item, node)
        if element is None:
            wanted = ", ".join(f'"{key}"' for key in node.keys if key not in node.key_defaults)
            raise BadRequest(
                f"{path}: element {index}: associative list with keys has an element that omits key field {wanted}"
            )
        if element in seen:
            text = next(FieldSet(False, {element: LEAF_SET}).paths())
            raise BadRequest(f"{path}: duplicate entries for key {text}")
        seen.add(element)
        check_keys(item, node.child(""), f"{path}[{index}]")


def _is_leaf(value: Any, node: Node) -> bool:
    """Whether the place is owned as one: an atomic one, a scalar, or a value of another shape than declared."""
    if isinstance(value, dict):
        return node.atomic or node.shape not in (Shape.STRUCT, Shape.MAP)
    if isinstance(value, list):
        return node.shape is not Shape.LIST or node.list_kind is ListKind.ATOMIC
    return True


def _children(value: Any, node: Node) -> dict[str, Any]:
    """What a container holds, by path element."""
    if isinstance(value, dict):
        return {FIELD + name: item for name, item in value.items()}
    return dict(_items(value, node))


def _items(value: list[Any], node: Node) -> Iterator[tuple[str, Any]]:
    """Items with their elements; of twins the first counts, and one without its key belongs to nobody."""
    seen = set()
    for item in value:
        element = _element(item, node)
        if element is not None and element not in seen:
            seen.add(element)
            yield element, item


def _element(item: Any, node: Node) -> str | None:
    return value_element(item) if node.list_kind is ListKind.SET else key_element(node, item)
