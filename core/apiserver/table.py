"""`meta.k8s.io` Tables: the columns and rows of `kubectl get`, from the columns that a kind declares.

Lists, single reads and watches call it when a client asked for a Table. Rows carry the metadata of their object (or the
whole, or nothing: `includeObject`), which is where kubectl takes labels and namespaces from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

from core.errors import BadRequest
from core.resources.ages import age_of
from core.resources.meta import Column, Json, Kind

NAME = Column("Name", "metadata.name", description="The name of the object; unique in its namespace, for its lifetime.")
AGE = Column("Age", "metadata.creationTimestamp", "date", description="How long ago the object was made.")

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(?:'([^']*)'|(\d+)|([^=\]]+)=([^\]]*))\]")


def columns_of(kind: Kind[Any]) -> tuple[Column, ...]:
    """A kind's columns with the name first; with the age last where the kind declares none at all."""
    columns = kind.columns or (AGE,)
    return columns if any(column.name == NAME.name for column in columns) else (NAME, *columns)


def make_table(
    kind: Kind[Any], items: Iterable[Json], *, version: str, include: str, now: float, header: bool = True
) -> Json:
    """`version`: of the Table's own API; `include`: None, Metadata or Object; `now`: seconds since the epoch."""
    if include not in ("", "None", "Metadata", "Object"):
        raise BadRequest(f'unrecognized includeObject value: "{include}"')
    columns = columns_of(kind)
    table: Json = {"kind": "Table", "apiVersion": f"meta.k8s.io/{version}", "metadata": {}}
    table["columnDefinitions"] = [_definition(column) for column in columns] if header else []
    table["rows"] = [
        {"cells": [cell(column, obj, now) for column in columns], "object": _row_object(obj, include, version)}
        for obj in items
    ]
    return table


def metadata_only(obj: Json, version: str) -> Json:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata", {}),
    }


def _definition(column: Column) -> Json:
    form = "name" if column.name == NAME.name else ""
    return {
        "name": column.name,
        "type": column.type,
        "format": form,
        "description": column.description or f"The value of `{column.path}`.",
        "priority": column.priority,
    }


def _row_object(obj: Json, include: str, version: str) -> Json | None:
    if include == "None":
        return None
    return obj if include == "Object" else metadata_only(obj, version)


def cell(column: Column, obj: Json, now: float) -> Any:
    """What stands in the column, in a form that prints well; None prints as nothing."""
    if column.told:
        return column.told(obj, now)
    found = column.value(obj) if column.value else find(column.path, obj)
    if column.type == "date":
        return age_of(found if isinstance(found, str) else None, now)
    if found is None:
        return None
    if column.type == "integer":
        return found if isinstance(found, int) else None
    if column.type == "boolean":
        return found if isinstance(found, bool) else None
    if isinstance(found, bool | list | dict):
        return orjson.dumps(found).decode()
    return found if isinstance(found, str) else str(found)


def find(path: str, obj: Any) -> Any:
    """The value at a dotted path with `[type=Ready]`, `[0]` and `['key.with.dots']`; None where there is none."""
    for key, wanted in _steps(path):
        if isinstance(key, int):
            obj = obj[key] if isinstance(obj, list) and key < len(obj) else None
        elif wanted is not None:
            candidates = obj if isinstance(obj, list) else []
            obj = next((each for each in candidates if isinstance(each, dict) and each.get(key) == wanted), None)
        else:
            obj = obj.get(key) if isinstance(obj, dict) else None
        if obj is None:
            return None
    return obj


@lru_cache(maxsize=512)
def _steps(path: str) -> tuple[tuple[str | int, str | None], ...]:
    """(key, None) for a member, (index, None) for an element, (key, value) to pick an element by a member of it."""
    steps: list[tuple[str | int, str | None]] = []
    for match in _STEP.finditer(path):
        member, quoted, index, key, wanted = match.groups()
        if index is not None:
            steps.append((int(index), None))
        elif key is not None:
            steps.append((key, wanted))
        else:
            steps.append((member if member is not None else quoted, None))
    return tuple(steps)
