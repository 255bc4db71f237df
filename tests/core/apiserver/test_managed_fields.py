"""The entries of metadata.managedFields."""

from __future__ import annotations

from typing import Any

import pytest

from core.apiserver.fieldsets import from_json
from core.apiserver.managed_fields import ANCIENT, UPDATERS_MAX, Entry, Manager, capped, read_entries, write_entries
from core.resources.meta import Json


def entry(manager: str, operation: str = "Update", **fields: Any) -> Json:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}},
        **fields,
    }


def test_entries_are_read_and_written_again_appliers_first() -> None:
    entries = [
        entry("z", "Apply", time="2026-01-02T00:00:00Z"),
        entry("a", time="2026-01-01T00:00:00Z"),
        entry("a", time="2026-01-03T00:00:00Z", subresource="status"),
    ]
    assert write_entries(read_entries(list(reversed(entries)))) == entries


@pytest.mark.parametrize(
    "broken",
    [
        entry("a", "Patch"),
        entry("a", apiVersion=""),
        entry("a", fieldsType="FieldsV2"),
        entry("a", fieldsV1={"x": {}}),
        {"manager": "a"},
        "a",
    ],
)
def test_what_cannot_be_read_is_nothing(broken: Any) -> None:
    assert read_entries([entry("b"), broken]) == {}


def test_an_applier_is_the_same_in_every_version_and_an_updater_is_not() -> None:
    entries = [entry("a", "Apply"), entry("a", "Apply", apiVersion="v2"), entry("a"), entry("a", apiVersion="v2")]
    assert [manager.api_version for manager in read_entries(entries)] == ["", "v1", "v2"]


def test_managers_are_named_as_in_conflicts() -> None:
    assert str(Manager("a", "Apply")) == '"a"'
    assert str(Manager("a", "Update", "apps/v1", "scale")) == '"a" with subresource "scale" using apps/v1'


def test_the_oldest_updaters_become_one() -> None:
    managed = {
        Manager(f"m{n:02}", "Update", "v1"): Entry(from_json({f"f:{n}": {}}), "v1", f"2026-01-{n:02}")
        for n in range(1, UPDATERS_MAX + 4)
    }
    managed[Manager("x", "Apply")] = Entry(from_json({"f:x": {}}), "v1")
    kept = capped(managed)
    assert len([m for m in kept if m.operation == "Update"]) == UPDATERS_MAX
    ancient = kept[Manager(ANCIENT, "Update", "v1")]
    assert sorted(ancient.fields.children) == ["f:1", "f:2", "f:3", "f:4"]
    assert Manager("x", "Apply") in kept
    again = capped({**kept, Manager("new", "Update", "v1"): Entry(from_json({"f:n": {}}), "v1", "2026-02")})
    assert sorted(again[Manager(ANCIENT, "Update", "v1")].fields.children) == ["f:1", "f:2", "f:3", "f:4", "f:5"]
