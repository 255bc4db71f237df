"""`metadata.managedFields`: who owns which fields, read and written (apimachinery/pkg/util/managedfields)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from core.apiserver.fieldsets import FieldSet, from_json
from core.resources.meta import Json

APPLY, UPDATE = "Apply", "Update"

UPDATERS_MAX = 10
"""Managers that only ever update are merged, oldest first, above this number; as upstream."""

ANCIENT = "ancient-changes"


@dataclass(frozen=True, slots=True)
class Manager:
    """Whose entry it is. An applier is the same one in every API version."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """As conflicts name it."""
        part = f' with subresource "{self.subresource}"' if self.subresource else ""
        using = f" using {self.api_version}" if self.operation == UPDATE else ""
        return f'"{self.name}"{part}{using}'


@dataclass(frozen=True, slots=True)
class Entry:
    fields: FieldSet
    api_version: str
    time: str = ""


Managed: TypeAlias = dict[Manager, Entry]


def read_entries(entries: Sequence[Any] | None) -> Managed:
    """The entries by manager; none at all where one of them cannot be read, as upstream."""
    managed: Managed = {}
    try:
        for entry in entries or ():
            operation, version = entry["operation"], entry["apiVersion"]
            if operation not in (APPLY, UPDATE) or entry["fieldsType"] != "FieldsV1" or not version:
                return {}
            manager = Manager(
                entry.get("manager", ""),
                operation,
                version if operation == UPDATE else "",
                entry.get("subresource", ""),
            )
            managed[manager] = Entry(from_json(entry.get("fieldsV1") or {}), version, entry.get("time", ""))
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
    return managed


def write_entries(managed: Managed) -> list[Json]:
    """Appliers first, then by time."""
    ordered = sorted(managed.items(), key=lambda pair: (pair[0].operation, pair[1].time, pair[0].name, str(pair[0])))
    return [_write(manager, entry) for manager, entry in ordered]


def _write(manager: Manager, entry: Entry) -> Json:
    written: Json = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": entry.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": entry.fields.to_json(),
    }
    if entry.time:
        written["time"] = entry.time
    if manager.subresource:
        written["subresource"] = manager.subresource
    return written


def capped(managed: Managed) -> Managed:
    """With the oldest updaters merged into one, once there are too many."""
    updaters = sorted((m for m in managed if m.operation == UPDATE), key=lambda m: (managed[m].time, str(m)))
    kept = dict(managed)
    while len(updaters) > UPDATERS_MAX:
        first, second = updaters[0], updaters[1]
        older, newer = kept.pop(first), kept.pop(second)
        bucket = Manager(ANCIENT, UPDATE, second.api_version)
        known = kept.get(bucket)
        fields = older.fields | newer.fields | (known.fields if known else FieldSet())
        kept[bucket] = Entry(fields, newer.api_version, newer.time)
        updaters = [bucket, *(m for m in updaters[2:] if m != bucket)]
    return kept
