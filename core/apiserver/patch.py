"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386) as functions from document to document.

The verbs call them for `kubectl patch --type=json|merge` and everything that client libraries send. Neither changes
its arguments. Strategic merge patch is in `core.apiserver.strategic`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from core.errors import BadRequest, FieldError, Invalid, TooLarge
from core.resources.meta import Json
from core.resources.problems import shown

OPERATIONS_MAX = 10_000
"""As in the API server (endpoints/handlers/patch.go): a longer patch costs more than it can be worth."""

COPIED_NODES_MAX = 1_000_000
"""What `copy` operations may add in all: they can double a document each time."""

_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")  # no list is longer, and int() refuses what has thousands of digits
_Operation: TypeAlias = Callable[[Any, Json], Any]


def merge_patch(doc: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(doc) if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(doc: Any, operations: Any) -> Any:
    """RFC 6902. BadRequest for what is no patch, Invalid for one that does not fit the document, TooLarge."""
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch is a list of operations")
    if len(operations) > OPERATIONS_MAX:
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}")
    patched = copy.deepcopy(doc)
    copied = 0
    for operation in operations:
        name = operation.get("op") if isinstance(operation, dict) else None
        run = _OPERATIONS.get(name) if isinstance(name, str) else None
        if run is None:
            raise BadRequest(f"{shown(operation)}: op must be one of {', '.join(_OPERATIONS)}")
        if name == "copy":
            copied += _nodes(_find(patched, _pointer(operation, "from")))
            if copied > COPIED_NODES_MAX:
                raise TooLarge("the copy operations of this JSON patch make the document too large")
        patched = run(patched, operation)
    return patched


def _add(doc: Any, operation: Json) -> Any:
    return _insert(doc, _pointer(operation, "path"), copy.deepcopy(_value(operation)))


def _remove(doc: Any, operation: Json) -> Any:
    return _take(doc, _pointer(operation, "path"))[0]


def _replace(doc: Any, operation: Json) -> Any:
    path, value = _pointer(operation, "path"), copy.deepcopy(_value(operation))
    _find(doc, path)
    if not path:
        return value
    holder, key = _find(doc, path[:-1]), path[-1]
    holder[int(key) if isinstance(holder, list) else key] = value
    return doc


def _move(doc: Any, operation: Json) -> Any:
    source, target = _pointer(operation, "from"), _pointer(operation, "path")
    if len(source) < len(target) and target[: len(source)] == source:
        raise BadRequest(f"cannot move {operation['from']} into itself ({operation['path']})")
    doc, value = _take(doc, source)
    return _insert(doc, target, value)


def _copy(doc: Any, operation: Json) -> Any:
    value = copy.deepcopy(_find(doc, _pointer(operation, "from")))
    return _insert(doc, _pointer(operation, "path"), value)


def _test(doc: Any, operation: Json) -> Any:
    found, expected = _find(doc, _pointer(operation, "path")), _value(operation)
    if not same_json(found, expected):
        raise _unfit(operation["path"], f"the test failed: found {shown(found)}, expected {shown(expected)}")
    return doc


_OPERATIONS: Mapping[str, _Operation] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def same_json(a: Any, b: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same_json(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _pointer(operation: Json, field: str) -> list[str]:
    """The parts of a JSON Pointer (RFC 6901)."""
    text = operation.get(field)
    if not isinstance(text, str):
        raise BadRequest(f"{shown(operation)}: {field} is missing")
    if text and not text.startswith("/"):
        raise BadRequest(f"{shown(operation)}: {field} must be empty or start with '/'")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _value(operation: Json) -> Any:
    if "value" not in operation:
        raise BadRequest(f"{shown(operation)}: value is missing")
    return operation["value"]


def _find(doc: Any, path: list[str]) -> Any:
    value = doc
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and _ARRAY_INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            raise _no_path(path)
    return value


def _insert(doc: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    holder, key = _find(doc, path[:-1]), path[-1]
    if isinstance(holder, dict):
        holder[key] = value
    elif isinstance(holder, list) and key == "-":
        holder.append(value)
    elif isinstance(holder, list) and _ARRAY_INDEX.fullmatch(key) and int(key) <= len(holder):
        holder.insert(int(key), value)
    else:
        raise _no_path(path)
    return doc


def _take(doc: Any, path: list[str]) -> tuple[Any, Any]:
    """The document without the value at `path`, and that value."""
    value = _find(doc, path)
    if not path:
        return None, value
    holder, key = _find(doc, path[:-1]), path[-1]
    del holder[int(key) if isinstance(holder, list) else key]
    return doc, value


def _no_path(path: list[str]) -> Invalid:
    text = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    return _unfit(text, "the document has no such path")


def _unfit(path: str, message: str) -> Invalid:
    """With a cause: of an error about an object, kubectl prints nothing else."""
    return Invalid(f"{path}: {message}", causes=[FieldError(path, message)])


def _nodes(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(_nodes(item) for item in value.values())
    return 1 + sum(_nodes(item) for item in value) if isinstance(value, list) else 1
