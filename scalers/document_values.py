"""Numbers inside documents: what a location in JSON or YAML leads to, as triggers name it. Pure.

What it leads to is a number, or a text that is a quantity (`1k`); anything else is an error, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import yaml

from core.resources.quantities import parse_quantity
from scalers.gjson_paths import look, parse_path

Read = Callable[[bytes], Any]
"""LookupError: it leads to nothing. ValueError says what is wrong with the document."""


def json_reader(location: str) -> Read:
    """By a path of GJSON; ValueError: it is none."""
    path = parse_path(location)

    def read(body: bytes) -> Any:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ValueError("cannot be looked up: the answer is no JSON") from None
        return look(document, path)

    return read


def yaml_reader(location: str) -> Read:
    """By keys with dots between."""

    def read(body: bytes) -> Any:
        try:
            document = yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError:
            raise ValueError("cannot be looked up: the answer is no YAML") from None
        return by_keys(document, location.split("."))

    return read


def by_keys(document: Any, keys: Sequence[str]) -> Any:
    """LookupError."""
    for key in keys:
        if isinstance(document, list):
            document = {str(index): value for index, value in enumerate(document)}
        if not isinstance(document, dict):
            raise LookupError
        document = {str(name): value for name, value in document.items()}[key]
    return document


def number_found(found: Any) -> float:
    """ValueError says what was found instead."""
    if isinstance(found, str):
        try:
            return float(parse_quantity(found.strip()))
        except ValueError:
            raise ValueError("leads to a text that is neither a number nor a quantity such as 1k") from None
    if isinstance(found, bool) or not isinstance(found, int | float):
        sorts = {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
        raise ValueError(f"leads to {sorts.get(type(found), 'something else')}, must lead to a number")
    if not math.isfinite(found):
        raise ValueError(f"leads to {found}, which is no number")
    return float(found)
