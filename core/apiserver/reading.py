"""The reading verbs: get, and list with selectors, pages and resource versions.

A list is cut from a snapshot of the store. Objects are parsed only where a selector or a Table needs to look into them;
otherwise their stored text is joined as it is. Long work yields to the loop every `SLICE` objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.apiserver.backend import Answer, Backend, Call, write_json
from core.apiserver.negotiation import Form, View
from core.apiserver.paging import INCONSISTENT, Entry, Snapshot, Token, expired, parsed, position
from core.apiserver.selectors import FieldSelector, parse_fields, parse_labels
from core.apiserver.table import make_table, metadata_only
from core.errors import BadRequest, Expired, FieldError, FieldProblem, Invalid, ResourceVersionTooLarge
from core.resources.meta import Json, Kind, key_of
from core.resources.selectors import LabelSelector
from core.store.base import ByteLister

SLICE = 200  # objects between two turns of the event loop: about a millisecond of parsing
MATCHES = ("", "Exact", "NotOlderThan")


@dataclass(frozen=True, slots=True)
class Selection:
    """The label and field selectors of a list, watch or collection."""

    labels: LabelSelector | None
    fields: FieldSelector | None

    def __bool__(self) -> bool:
        return self.labels is not None or self.fields is not None

    @property
    def name(self) -> str:
        """The one that an object must have; empty where it may have any."""
        return "" if self.fields is None else self.fields.value_of("metadata", "name")

    def matches(self, obj: Json) -> bool:
        metadata = obj.get("metadata", {})
        if self.labels is not None and not self.labels.matches(metadata.get("labels") or {}):
            return False
        return self.fields is None or self.fields.matches(obj)


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that one answer shows."""

    entries: Sequence[Entry]
    resource_version: int
    token: str = ""
    remaining: int | None = None


def selection_of(call: Call, kind: Kind[Any]) -> Selection:
    """BadRequest for a selector that cannot be read. A name in the path selects that one object."""
    labels, fields = call.query.get("labelSelector", ""), call.query.get("fieldSelector", "")
    if call.target.name:
        fields = ",".join(filter(None, (fields, f"metadata.name={call.target.name}")))
    return Selection(parse_labels(labels) if labels else None, parse_fields(fields, kind) if fields else None)


async def get(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    obj = await backend.store.get(kind, call.target.name, call.target.namespace)
    return show(backend, call, kind, obj)


async def list_objects(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    page = await take_page(backend, call, kind)
    metadata: Json = {"resourceVersion": str(page.resource_version)}
    if page.token:
        metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    form = call.form
    if form.view is View.TABLE:
        return write_json({**await _table(backend, call, kind, page.entries), "metadata": metadata}, form)
    head: Json = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata}
    if form.view in (View.METADATA, View.METADATA_LIST):
        head |= {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{form.version}"}
        items = [metadata_only(obj, form.version) for obj in await parse_all(page.entries)]
        return write_json({**head, "items": items}, form)
    if form.yaml:
        return write_json({**head, "items": await parse_all(page.entries)}, form)
    return Answer(orjson.dumps(head)[:-1] + b',"items":[' + b",".join(await _texts(page.entries)) + b"]}")


def show(
    backend: Backend, call: Call, kind: Kind[Any], obj: Json, code: int = 200, warnings: Sequence[str] = ()
) -> Answer:
    """One object in the form that the client asked for."""
    form = call.form
    if form.view is View.TABLE:
        include = call.query.get("includeObject", "")
        table = make_table(kind, [obj], version=form.version, include=include, now=backend.clock.wall())
        table["metadata"] = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return write_json(table, form, code, warnings)
    if form.view is View.METADATA:
        return write_json(metadata_only(obj, form.version), form, code, warnings)
    return write_json(obj, Form(yaml=form.yaml), code, warnings)


async def take_page(backend: Backend, call: Call, kind: Kind[Any]) -> Page:
    """The objects of one list answer. BadRequest, Expired, ResourceVersionTooLarge."""
    limit, token, selection = call.seconds("limit") or 0, call.query.get("continue", ""), selection_of(call, kind)
    if token:
        if call.query.get("resourceVersion", "") not in ("", "0"):
            raise BadRequest("specifying resource version is not allowed when using continue")
        snapshot, start = await _resume(backend, call, kind, Token.decode(token))
    else:
        snapshot, start = await _begin(backend, call, kind), 0
    chosen, end = await _choose(snapshot, start, limit, selection)
    if end >= len(snapshot.entries):
        return Page(chosen, snapshot.resource_version)
    backend.snapshots.keep(kind, call.target.namespace, snapshot, backend.clock.monotonic())
    last = key_of(parsed(snapshot.entries[end - 1]))
    following = Token(snapshot.resource_version, last.namespace, last.name).encode()
    return Page(chosen, snapshot.resource_version, following, None if selection else len(snapshot.entries) - end)


async def parse_all(entries: Sequence[Entry]) -> list[Json]:
    objects: list[Json] = []
    for index, entry in enumerate(entries):
        if index % SLICE == SLICE - 1:
            await asyncio.sleep(0)
        objects.append(parsed(entry))
    return objects


async def take_snapshot(backend: Backend, kind: Kind[Any], namespace: str) -> Snapshot:
    """The store as it is now."""
    if isinstance(backend.store, ByteLister):
        texts = await backend.store.list_bytes(kind, namespace or None)
        return Snapshot(texts.items, texts.resource_version)
    listing = await backend.store.list(kind, namespace or None)
    return Snapshot(listing.items, listing.resource_version)


async def _begin(backend: Backend, call: Call, kind: Kind[Any]) -> Snapshot:
    """The first page's snapshot, as new as `resourceVersion` and `resourceVersionMatch` want it."""
    wanted, match = version_of(call), call.query.get("resourceVersionMatch", "")
    if match not in MATCHES:
        raise invalid_options(f'Unsupported value: "{match}"', "resourceVersionMatch")
    if match and wanted is None:
        raise invalid_options("it is forbidden unless resourceVersion is provided", "resourceVersionMatch")
    if match == "Exact" and wanted == 0:
        raise invalid_options('"Exact" is forbidden for resourceVersion "0"', "resourceVersionMatch")
    snapshot = await take_snapshot(backend, kind, call.target.namespace)
    current = snapshot.resource_version
    if wanted is None or wanted == 0:
        return snapshot
    if wanted > current:
        message = f"Too large resource version: {wanted}, current: {current}"
        raise ResourceVersionTooLarge(message, retry_after_s=1)
    if match == "Exact" and wanted != current:
        kept = backend.snapshots.find(kind, call.target.namespace, wanted, backend.clock.monotonic())
        if kept is None:
            raise Expired(f"The resourceVersion for the provided list is too old: {wanted} (current: {current})")
        return kept
    return snapshot


async def _resume(backend: Backend, call: Call, kind: Kind[Any], token: Token) -> tuple[Snapshot, int]:
    namespace, version = call.target.namespace, token.resource_version
    snapshot = backend.snapshots.find(kind, namespace, version, backend.clock.monotonic())
    if snapshot is None:
        snapshot = await take_snapshot(backend, kind, namespace)
        if version not in (INCONSISTENT, snapshot.resource_version):
            raise expired(token)
    return snapshot, position(snapshot, token)


async def _choose(snapshot: Snapshot, start: int, limit: int, selection: Selection) -> tuple[Sequence[Entry], int]:
    """Up to `limit` (0: all) entries from `start` that match, and the index after the last that was looked at."""
    entries = snapshot.entries
    if not selection:
        end = min(start + limit, len(entries)) if limit else len(entries)
        return entries[start:end], end
    chosen: list[Entry] = []
    for index in range(start, len(entries)):
        if limit and len(chosen) == limit:
            return chosen, index
        if index % SLICE == SLICE - 1:
            await asyncio.sleep(0)
        obj = parsed(entries[index])
        if selection.matches(obj):
            chosen.append(obj)
    return chosen, len(entries)


async def _table(backend: Backend, call: Call, kind: Kind[Any], entries: Sequence[Entry]) -> Json:
    version, include, now = call.form.version, call.query.get("includeObject", ""), backend.clock.wall()
    table = make_table(kind, (), version=version, include=include, now=now)
    for start in range(0, len(entries), SLICE):
        objects = [parsed(entry) for entry in entries[start : start + SLICE]]
        table["rows"] += make_table(kind, objects, version=version, include=include, now=now, header=False)["rows"]
        await asyncio.sleep(0)
    return table


async def _texts(entries: Sequence[Entry]) -> list[bytes]:
    texts: list[bytes] = []
    for index, entry in enumerate(entries):
        if isinstance(entry, bytes):
            texts.append(entry)
            continue
        if index % SLICE == SLICE - 1:
            await asyncio.sleep(0)
        texts.append(orjson.dumps(entry))
    return texts


def version_of(call: Call) -> int | None:
    """`resourceVersion` of the query; None where it is not given. BadRequest."""
    text = call.query.get("resourceVersion", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(f'Invalid value: "{text}": resource version is not a number that was given out here')
    return int(text)


def invalid_options(message: str, path: str, kind: str = "ListOptions") -> Invalid:
    error = Invalid(
        f'{kind}.meta.k8s.io "" is invalid: {path}: {message}',
        causes=[FieldError(path, message, FieldProblem.INVALID)],
    )
    error.about = ("meta.k8s.io", kind, "")
    return error
