"""The sentences of field errors, worded as Kubernetes words them (apimachinery/pkg/util/validation/field)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from core.errors import FieldError, FieldProblem


def required(path: str, detail: str = "") -> FieldError:
    return FieldError(path, f"Required value: {detail}" if detail else "Required value", FieldProblem.REQUIRED)


def invalid(path: str, found: Any, detail: str) -> FieldError:
    return FieldError(path, f"Invalid value: {shown(found)}: {detail}", FieldProblem.INVALID)


def not_supported(path: str, found: Any, allowed: Iterable[str]) -> FieldError:
    values = ", ".join(f'"{value}"' for value in sorted(allowed))
    return FieldError(
        path, f"Unsupported value: {shown(found)}: supported values: {values}", FieldProblem.NOT_SUPPORTED
    )


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError(path, f"Forbidden: {detail}", FieldProblem.FORBIDDEN)


def duplicate(path: str, found: Any) -> FieldError:
    return FieldError(path, f"Duplicate value: {shown(found)}", FieldProblem.DUPLICATE)


def check_allowed(value: Any, allowed: Iterable[str], path: str) -> list[FieldError]:
    """Nothing where the value is one of `allowed` or is not there."""
    choices = tuple(allowed)
    return [] if value is None or value in choices else [not_supported(path, value, choices)]


def shown(value: Any, chars_max: int = 512) -> str:
    """A value as it stands in a message: JSON, cut short where it is long."""
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= chars_max else f"{text[:chars_max]}…"
