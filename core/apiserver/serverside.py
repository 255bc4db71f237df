"""Server-side apply, and the bookkeeping of who owns which field under all other writes.

By the rules of structured-merge-diff: an applier owns what it sends; a field that another manager owns is changed only
by force; a field that is no longer sent goes, unless somebody else owns it too. The verbs call `apply` for an apply
patch and `track_update`, with the admitted object, after every other write.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import orjson

from core.apiserver.fieldsets import EMPTY, FieldSet, paths_set, with_named_parents
from core.apiserver.managed_fields import APPLY, UPDATE, Entry, Managed, Manager, capped, read_entries, write_entries
from core.apiserver.structured import Comparison, check_keys, compare, fields_of, merge, remove
from core.errors import BadRequest, Conflict, FieldError, FieldProblem
from core.resources.meta import Json, Kind
from core.resources.schema import Node, schema_of

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"
"""The manager of `kubectl apply --server-side`: the one that takes over from its own client-side apply."""

BEFORE_FIRST_APPLY = "before-first-apply"
"""Owns what was there when an object that nobody tracked is applied to for the first time."""

_NEVER_OWNED = paths_set(
    ("apiVersion",),
    ("kind",),
    ("metadata",),
    *(
        ("metadata", name)
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
)
_STATUS = paths_set(("status",))
_ALL_BUT_STATUS = paths_set(("spec",), ("metadata",))


def apply(kind: Kind[Any], live: Json | None, applied: Json, manager: str, force: bool, now: str) -> Json:
    """The object after `manager` applied `applied` to it; `live` itself where that changes nothing.

    `live` is None where there is no object yet; `now` is an RFC 3339 time. BadRequest; Conflict with one cause for each
    field that somebody else owns.
    """
    config = {name: value for name, value in applied.items() if not (kind.status and name == "status")}
    return _apply(_Write(kind, _STATUS if kind.status else EMPTY, now), live, config, Manager(manager, APPLY), force)


def apply_status(kind: Kind[Any], live: Json, applied: Json, manager: str, force: bool, now: str) -> Json:
    """Like `apply`, for a write to `/status`: nothing else of `applied` counts."""
    config = {name: value for name, value in applied.items() if name in ("apiVersion", "kind", "status")}
    config["metadata"] = {k: v for k, v in (applied.get("metadata") or {}).items() if k in ("name", "namespace")}
    return _apply(_Write(kind, _ALL_BUT_STATUS, now), live, config, Manager(manager, APPLY, "", "status"), force)


def track_update(kind: Kind[Any], old: Json | None, new: Json, manager: str, now: str, subresource: str) -> Json:
    """`new` with the managedFields that follow from the change: who changes a field owns it, alone.

    `old` is None for a create. Objects that were never tracked (controllers write past the API server) stay so until
    they are applied to.
    """
    managed = _entries_in_force(old, new, subresource)
    if old is not None and not managed:
        return _with_managed(new, managed)
    ignored = _ALL_BUT_STATUS if subresource == "status" else _STATUS if kind.status else EMPTY
    writer = Manager(manager, UPDATE, kind.api_version, subresource)
    return _with_managed(new, _after_update(_Write(kind, ignored, now), old or {}, new, writer, managed))


@dataclass(frozen=True, slots=True)
class _Write:
    """What is the same for every step of one write."""

    kind: Kind[Any]
    ignored: FieldSet  # what this way of writing cannot change
    now: str

    @property
    def schema(self) -> Node:
        return schema_of(self.kind)

    def compared(self, old: Json, new: Json) -> Comparison:
        return compare(_untracked(old), _untracked(new), self.schema).without(self.ignored)


def _apply(write: _Write, live: Json | None, config: Json, manager: Manager, force: bool) -> Json:
    config = _checked(write.kind, config)
    managed = read_entries(live["metadata"].get("managedFields")) if live else {}
    if live and not managed:
        before = Manager(BEFORE_FIRST_APPLY, UPDATE, write.kind.api_version)
        managed = _after_update(write, {}, live, before, {})
    fields = fields_of(config, write.schema)
    merged = _merged(write.schema, live or {}, config, fields, _owned_elsewhere(managed, manager))
    change = write.compared(live or {}, merged)
    if not force:
        _refuse_conflicts(write, live or {}, change, manager, managed)
    after = _after_apply(write, fields, change, manager, managed)
    if manager.name == KUBECTL and not manager.subresource:
        _renew_last_applied(merged, config)
    if live and after == managed and merged == _untracked(live):
        return live
    return _with_managed(merged, after)


@dataclass(frozen=True, slots=True)
class _Holdings:
    """What the applier held before this apply, and what all others hold."""

    last: FieldSet
    others: FieldSet


def _owned_elsewhere(managed: Managed, manager: Manager) -> _Holdings:
    others = EMPTY
    for other, entry in managed.items():
        if other != manager:
            others = others | entry.fields
    return _Holdings(managed[manager].fields if manager in managed else EMPTY, others)


def _merged(schema: Node, live: Json, config: Json, fields: FieldSet, holdings: _Holdings) -> Json:
    """The object with `config` in it, and without what only the last apply held (merge.Updater.prune).

    A parent that goes takes along what nobody owns in it; anything else that nobody owns stays.
    """
    merged: Json = merge(_untracked(live), config, schema)
    if not holdings.last:
        return merged
    last = with_named_parents(holdings.last, schema)
    everything = with_named_parents(fields_of(merged, schema), schema)
    without_last = with_named_parents(fields_of(remove(merged, last, schema), schema), schema)
    unowned = everything - (without_last | with_named_parents(fields | holdings.others, schema))
    left = with_named_parents(fields_of(remove(merged, unowned, schema), schema), schema)
    pruned: Json = remove(merged, (everything - left) & last, schema)
    return pruned


def _after_apply(write: _Write, fields: FieldSet, change: Comparison, manager: Manager, managed: Managed) -> Managed:
    """The managers once `manager` holds `fields`, and nobody else what it changed."""
    after = _without_changed(managed, manager, change)
    owned = fields.without_below(write.ignored) - _NEVER_OWNED
    before = after.pop(manager, None)
    if owned:
        same = before is not None and before.fields == owned and not change
        after[manager] = before if before and same else Entry(owned, write.kind.api_version, write.now)
    return after


def _refuse_conflicts(write: _Write, live: Json, change: Comparison, manager: Manager, managed: Managed) -> None:
    """Conflict, where the change touches fields of others."""
    changed = change.modified | change.added
    conflicts = {other: entry.fields & changed for other, entry in managed.items() if other != manager}
    conflicts = {other: fields for other, fields in conflicts.items() if fields}
    if conflicts and manager.name == KUBECTL and not manager.subresource:
        conflicts = _without_client_side(write, live, conflicts)
    if conflicts:
        raise _conflict(conflicts)


def _without_client_side(write: _Write, live: Json, conflicts: dict[Manager, FieldSet]) -> dict[Manager, FieldSet]:
    """Less what kubectl's own client-side apply wrote, and nobody changed since: kubectl may take that over."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        last = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        last = None
    if not isinstance(last, dict) or last.get("apiVersion") != write.kind.api_version:
        return conflicts
    difference = compare(last, _untracked(live), write.schema)
    own = fields_of(last, write.schema) - difference.modified - difference.added - difference.removed
    rest = {other: fields - own for other, fields in conflicts.items()}
    return {other: fields for other, fields in rest.items() if fields}


def _conflict(conflicts: dict[Manager, FieldSet]) -> Conflict:
    ordered = sorted(conflicts.items(), key=lambda pair: str(pair[0]))
    causes = [
        FieldError(path, f"conflict with {manager}", FieldProblem.MANAGER_CONFLICT)
        for manager, fields in ordered
        for path in fields.paths()
    ]
    if len(causes) == 1:
        return Conflict(f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].path}", causes=causes)
    lines = []
    for manager, fields in ordered:
        lines += [f"conflicts with {manager}:", *(f"- {path}" for path in fields.paths())]
    return Conflict(f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines), causes=causes)


def _after_update(write: _Write, old: Json, new: Json, manager: Manager, managed: Managed) -> Managed:
    change = write.compared(old, new)
    if not change:
        return managed
    after = _without_changed(managed, None, change)
    taken = ((change.modified | change.added) - change.removed) - _NEVER_OWNED
    if taken:
        known = after.get(manager)
        fields = taken | known.fields if known else taken
        after[manager] = Entry(fields, write.kind.api_version, write.now)
    return capped(after)


def _without_changed(managed: Managed, but: Manager | None, change: Comparison) -> Managed:
    """Everybody else's entries, less what has changed under them."""
    touched = change.modified | change.added | change.removed
    after: Managed = {}
    for manager, entry in managed.items():
        fields = entry.fields if manager == but else entry.fields - touched
        if fields:
            after[manager] = entry if fields == entry.fields else Entry(fields, entry.api_version, entry.time)
    return after


def _entries_in_force(old: Json | None, new: Json, subresource: str) -> Managed:
    """A client may write managedFields itself: an empty list clears them, one that cannot be read is ignored."""
    kept = read_entries(old["metadata"].get("managedFields")) if old is not None else {}
    given = new["metadata"].get("managedFields")
    if subresource or given is None:
        return kept
    if given in ([], [{}]):
        return {}
    return read_entries(given) or kept


def _checked(kind: Kind[Any], applied: Json) -> Json:
    """A private copy of what was applied, without nulls: they ask for nothing."""
    version = applied.get("apiVersion")
    if version != kind.api_version:
        found = f"Specified patch version: {version}, expected: {kind.api_version}"
        raise BadRequest(f"Incorrect version specified in apply patch. {found}")
    metadata = applied.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    config: Json = _without_nulls(applied)
    check_keys(config, schema_of(kind))
    return config


def _renew_last_applied(merged: Json, config: Json) -> None:
    """Keeps the annotation of client-side apply in step, where there is one."""
    annotations = (merged.get("metadata") or {}).get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return
    written = copy.deepcopy(config)
    (written.get("metadata", {}).get("annotations") or {}).pop(LAST_APPLIED, None)
    text = orjson.dumps(written, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
    merged["metadata"] = {**merged["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}


def _untracked(obj: Json) -> Json:
    """The object without its managedFields."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def _with_managed(obj: Json, managed: Managed) -> Json:
    plain = _untracked(obj)
    if not managed:
        return plain
    return {**plain, "metadata": {**plain.get("metadata", {}), "managedFields": write_entries(managed)}}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
