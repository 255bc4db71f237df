"""Knative's own wording of what is wrong with a field (knative.dev/pkg/apis/field_error.go).

`kn`, Knative's tests and years of forum posts know these sentences, so every rule over a Knative kind speaks through
them. A rule returns errors with paths relative to what it was given; `via` puts the way there in front. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import orjson

from core.errors import FieldError, FieldProblem

Errors: TypeAlias = list[FieldError]


def missing(*paths: str) -> Errors:
    return [FieldError(path, "missing field(s)", FieldProblem.REQUIRED) for path in paths]


def disallowed(*paths: str) -> Errors:
    return [FieldError(path, "must not set the field(s)", FieldProblem.FORBIDDEN) for path in paths]


def neither_of(*paths: str) -> Errors:
    return [FieldError(path, "expected exactly one, got neither", FieldProblem.REQUIRED) for path in paths]


def both_of(*paths: str) -> Errors:
    return [FieldError(path, "expected exactly one, got both") for path in paths]


def invalid(value: Any, path: str, detail: str = "") -> Errors:
    return [FieldError(path, f"invalid value: {go(value)}", detail=detail)]


def out_of_bounds(value: Any, lower: Any, upper: Any, path: str) -> Errors:
    return [FieldError(path, f"expected {go(lower)} <= {go(value)} <= {go(upper)}")]


def invalid_key(key: str, path: str, detail: str = "") -> Errors:
    return [FieldError(path, f'invalid key name "{key}"', detail=detail)]


def generic(message: str, *paths: str, detail: str = "") -> Errors:
    """A sentence of the rule's own."""
    return [FieldError(path, message, detail=detail) for path in paths or ("",)]


def via(prefix: str, errors: Iterable[FieldError]) -> Errors:
    """The same errors, seen from outside: `via("spec", …)` makes `spec.traffic[0]` of `traffic[0]`."""
    return [FieldError(join(prefix, e.path), e.message, e.problem, e.detail) for e in errors]


def via_index(field: str, index: int, errors: Iterable[FieldError]) -> Errors:
    return via(f"{field}[{index}]", errors)


def join(prefix: str, path: str) -> str:
    if not prefix or not path:
        return prefix or path
    first = path.partition(".")[0]  # as upstream, a key with dots in it is no index
    return f"{prefix}{path}" if first.startswith("[") and first.endswith("]") else f"{prefix}.{path}"


def sentences(errors: Iterable[FieldError]) -> str:
    """The whole refusal as Knative prints it: `message: path, path`, one line each, equal messages merged, sorted."""
    merged: dict[tuple[str, str], list[str]] = {}
    for error in errors:
        paths = merged.setdefault((error.message, error.detail), [])
        if error.path not in paths:
            paths.append(error.path)
    lines = []
    for (message, detail), paths in sorted(merged.items()):
        line = f"{message}: {', '.join(sorted(paths))}"
        lines.append(f"{line}\n{detail}" if detail else line)
    return "\n".join(lines)


def go(value: Any) -> str:
    """A value as Go's `%v` prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + " ".join(go(item) for item in value) + "]"
    return str(value)


def quoted(value: Any) -> str:
    """As the document has it."""
    return orjson.dumps(value).decode()
