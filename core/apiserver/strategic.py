"""Strategic merge patch: a merge patch that knows which lists merge, and by which key (apimachinery strategicpatch).

`kubectl apply`, `edit`, `label`, `annotate` and `kubectl patch` without `--type` send it for built-in kinds. Its
directives: `$patch: replace|delete|merge`, `$retainKeys`, `$deleteFromPrimitiveList/<field>` and
`$setElementOrder/<field>`.
"""

from __future__ import annotations

import copy
from typing import Any

from core.errors import BadRequest
from core.resources.meta import Json, Kind
from core.resources.problems import shown
from core.resources.schema import Node, schema_of, seen_as

PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM_LIST = "$deleteFromPrimitiveList/"
SET_ORDER = "$setElementOrder/"


def strategic_merge(kind: Kind[Any], doc: Json, patch: Json) -> Json:
    """The document with the patch in it; neither is changed. BadRequest for a patch that makes no sense."""
    return _merge_object(copy.deepcopy(doc), copy.deepcopy(patch), schema_of(kind))


def _merge_object(original: Json, patch: Json, node: Node) -> Json:
    """Merges in place; both arguments are ours."""
    match patch.pop(PATCH, "merge"):
        case "merge":
            pass
        case "replace":
            return {key: _cleaned(value) for key, value in patch.items() if value is not None}
        case "delete":
            return {}
        case other:
            raise BadRequest(f"unknown patch type {shown(other)} in map: allowed are replace, delete and merge")
    _retain_keys(original, patch)
    for key in [key for key in patch if key.startswith(SET_ORDER)]:
        _merge_in_order(original, patch, key, node)
    for key, value in patch.items():
        if key.startswith(DELETE_FROM_LIST):
            field = key.removeprefix(DELETE_FROM_LIST)
            if field in original:
                gone = _as_list(value, key)
                original[field] = [item for item in _as_list(original[field], field) if item not in gone]
        elif value is None:
            original.pop(key, None)
        else:
            original[key] = _merge_value(original.get(key), value, node.child(key))
    return original


def _merge_value(original: Any, patch: Any, node: Node) -> Any:
    """Where there is nothing to merge with, what remains of the patch once its directives have worked on nothing."""
    if isinstance(patch, dict):
        return _merge_object(original if isinstance(original, dict) else {}, patch, seen_as(node, patch))
    if isinstance(patch, list):
        if node.merges:
            return _merge_list(original if isinstance(original, list) else [], patch, node)
        return [_cleaned(item) for item in patch]
    return patch


def _merge_list(original: list[Any], patch: list[Any], node: Node) -> list[Any]:
    if not _holds_objects(original, patch):
        merged = list(dict.fromkeys([*original, *patch]))
        return _ordered(merged, patch, original, "")
    kept, plain, replaced = _special_items(original, patch, node.merge_key)
    if replaced:
        return [_merge_object({}, item, node.child("")) for item in plain]
    by_key = {item[node.merge_key]: index for index, item in enumerate(kept) if _has(item, node.merge_key)}
    merged = list(kept)
    for item in plain:
        key = _key_of(item, node.merge_key)
        if key in by_key:
            merged[by_key[key]] = _merge_object(merged[by_key[key]], item, node.child(""))
        else:
            by_key[key] = len(merged)
            merged.append(_merge_object({}, item, node.child("")))
    return _ordered(merged, plain, kept, node.merge_key)


def _special_items(original: list[Json], patch: list[Json], merge_key: str) -> tuple[list[Json], list[Json], bool]:
    """What the directives among the items leave of the original, the other items, and whether those replace all."""
    kept, plain, replaced = list(original), [], False
    for item in patch:
        if PATCH not in item:
            plain.append(item)
            continue
        match item[PATCH]:
            case "delete":
                key = _key_of(item, merge_key)
                kept = [other for other in kept if other.get(merge_key) != key]
            case "replace":
                replaced = True
            case "merge":
                raise BadRequest("merging lists cannot yet be specified in the patch")
            case other:
                raise BadRequest(f"unknown patch type {shown(other)} in {shown(item)}")
    return kept, plain, replaced


def _retain_keys(original: Json, patch: Json) -> None:
    """`$retainKeys: [a, b]` takes every other key from the original, and the patch may set no others."""
    retained = patch.pop(RETAIN_KEYS, None)
    if retained is None:
        return
    keys = {str(key) for key in _as_list(retained, RETAIN_KEYS)}
    for key, value in patch.items():
        if value is not None and key not in keys and not key.startswith((DELETE_FROM_LIST, SET_ORDER)):
            raise BadRequest(f"{RETAIN_KEYS} of {shown(sorted(keys))} does not name {shown(key)}, which the patch sets")
    for key in [key for key in original if key not in keys]:
        del original[key]


def _merge_in_order(original: Json, patch: Json, directive: str, node: Node) -> None:
    """Merges the list that a `$setElementOrder/<field>` is about, sorts it, and takes both from the patch."""
    order = _as_list(patch.pop(directive), directive)
    field = directive.removeprefix(SET_ORDER)
    child = node.child(field)
    live = _as_list(original.get(field, []), field)
    if field in patch:
        if patch[field] is None:
            return
        changes = _as_list(patch.pop(field), field)
        _check_order(changes, order, child.merge_key, directive)
        merged = _merge_value(live, changes, child)
    elif field in original:
        merged = live
    else:
        return
    key = child.merge_key if _holds_objects(merged) else ""
    original[field] = _ordered(merged, order, live, key)


def _check_order(changes: list[Any], order: list[Any], merge_key: str, directive: str) -> None:
    """What the patch sets must be in the order list, and in its order."""
    if not changes or not order:
        return
    wanted = [_identity(item, merge_key) for item in order]
    at = 0
    for item in changes:
        if isinstance(item, dict) and PATCH in item:
            continue
        identity = _identity(item, merge_key)
        if identity not in wanted[at:]:
            raise BadRequest(f"the order of the patch does not match {directive}: {shown(item)} is out of place")
        at = wanted.index(identity, at) + 1


def _ordered(merged: list[Any], order: list[Any], live: list[Any], merge_key: str) -> list[Any]:
    """Items that `order` names in its order, the others in live order, woven so that live neighbors stay in place."""
    places: dict[Any, int] = {}
    for item in order:
        places.setdefault(_identity(item, merge_key), len(places))
    live_places = {_identity(item, merge_key): index for index, item in enumerate(live)}
    named = [item for item in merged if _identity(item, merge_key) in places]
    named.sort(key=lambda item: places[_identity(item, merge_key)])
    others = [item for item in merged if _identity(item, merge_key) not in places]
    others.sort(key=lambda item: live_places.get(_identity(item, merge_key), len(live_places)))
    woven: list[Any] = []
    while named and others:
        left = live_places.get(_identity(others[0], merge_key))
        right = live_places.get(_identity(named[0], merge_key))
        woven.append(others.pop(0) if left is not None and right is not None and left < right else named.pop(0))
    return [*woven, *others, *named]


def _identity(item: Any, merge_key: str) -> Any:
    if isinstance(item, list):
        raise BadRequest("lists of lists do not merge")
    return _key_of(item, merge_key) if isinstance(item, dict) else item


def _key_of(item: Json, merge_key: str) -> Any:
    if not merge_key or merge_key not in item or isinstance(item[merge_key], dict | list):
        raise BadRequest(f"map: {shown(item)} does not contain declared merge key: {merge_key}")
    return item[merge_key]


def _has(item: Any, merge_key: str) -> bool:
    return isinstance(item, dict) and merge_key in item


def _holds_objects(*lists: list[Any]) -> bool:
    """Whether the items are objects; a mixture has no meaning."""
    kinds = {isinstance(item, dict) for items in lists for item in items}
    if len(kinds) > 1 or any(isinstance(item, list) for items in lists for item in items):
        raise BadRequest("list element types are not identical")
    return kinds == {True}


def _as_list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadRequest(f"{field} must be a list, found {shown(value)}")
    return value


def _cleaned(value: Any) -> Any:
    """Without nulls and directives, which mean nothing where there is nothing to merge with."""
    if isinstance(value, dict):
        return {
            key: _cleaned(item)
            for key, item in value.items()
            if item is not None and not key.startswith((PATCH, RETAIN_KEYS, DELETE_FROM_LIST, SET_ORDER))
        }
    return [_cleaned(item) for item in value] if isinstance(value, list) else value
