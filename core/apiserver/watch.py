"""The watch verb: a stream of lines, one change each, from a resource version on.

Objects enter and leave a selector's sight as ADDED and DELETED, whatever happened to them. A watch begins with the
present state where no resource version is given, tells its progress in bookmarks where the client allows them, and ends
after `timeoutSeconds`; one that cannot go on without a gap says so with an ERROR event, code 410
(k8s.io/apiserver/pkg/endpoints/handlers/watch.go, storage/cacher).
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from core.apiserver.backend import Backend, Call, Stream, Write
from core.apiserver.negotiation import View
from core.apiserver.paging import Snapshot, parsed
from core.apiserver.reading import SLICE, Selection, invalid_options, selection_of, take_snapshot, version_of
from core.apiserver.status import failure
from core.apiserver.table import make_table, metadata_only
from core.errors import ApiError
from core.resources.meta import Json, Kind
from core.store.base import EventType, Watch, WatchEvent

TIMEOUT_S = 1800.0  # for clients that do not say (kube-apiserver: --min-request-timeout)
BOOKMARK_INTERVAL_S = 60.0
MATCH = "resourceVersionMatch"
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


def watch(backend: Backend, call: Call, kind: Kind[Any]) -> Stream:
    """A stream that is ready to run. BadRequest and Invalid for options that contradict each other."""
    since, selection = version_of(call), selection_of(call, kind)
    initial = _initial_events(call, since)
    timeout = call.seconds("timeoutSeconds")
    bookmarks = call.flag("allowWatchBookmarks")
    lines = _Lines(backend, call, kind)
    deadline_s = float(timeout) if timeout else TIMEOUT_S

    async def run(write: Write) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                await _follow(_Session(backend, call, kind, selection, lines, write), since, initial, bookmarks)
        except TimeoutError:
            pass  # the client asked for no more
        except ApiError as error:
            await write(lines.error(error))

    return Stream(run)


def _initial_events(call: Call, since: int | None) -> bool:
    """Whether the state comes before the changes: asked for (`sendInitialEvents`), or because no version is given."""
    match = call.query.get(MATCH, "")
    if "sendInitialEvents" not in call.query:
        if match:
            raise invalid_options(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided", MATCH
            )
        return not since
    if match != "NotOlderThan":
        raise invalid_options("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan", MATCH)
    return call.flag("sendInitialEvents")


class _Lines:
    """Events as text, in the form that the client asked for. The first Table line alone carries the columns."""

    def __init__(self, backend: Backend, call: Call, kind: Kind[Any]) -> None:
        self._backend = backend
        self._form = call.form
        self._include = call.query.get("includeObject", "")
        self._kind = kind
        self._header = True

    def error(self, error: ApiError) -> bytes:
        return orjson.dumps({"type": "ERROR", "object": failure(error)}) + b"\n"

    def of(self, type: str, obj: Json) -> bytes:
        view = self._form.view
        if view is View.TABLE:
            now = self._backend.clock.wall()
            rows = [] if type == EventType.BOOKMARK else [obj]
            document = make_table(
                self._kind, rows, version=self._form.version, include=self._include, now=now, header=self._header
            )
            document["metadata"] = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            self._header = False
        elif view is not View.OBJECT:
            document = metadata_only(obj, self._form.version)
        else:
            document = obj
        return orjson.dumps({"type": type, "object": document}) + b"\n"


class _Session:
    """One watch on its way: what may be shown, and where it goes."""

    def __init__(
        self, backend: Backend, call: Call, kind: Kind[Any], selection: Selection, lines: _Lines, write: Write
    ) -> None:  # fmt: skip
        self.backend = backend
        self.namespace = call.target.namespace or None
        self.kind = kind
        self.selection = selection
        self._lines = lines
        self._write = write

    async def state(self, snapshot: Snapshot) -> None:
        """Every object there is, as ADDED."""
        for index, entry in enumerate(snapshot.entries):
            obj = parsed(entry)
            if not self.selection or self.selection.matches(obj):
                await self._write(self._lines.of(EventType.ADDED, obj))
            elif index % SLICE == SLICE - 1:
                await asyncio.sleep(0)

    async def bookmark(self, resource_version: int, *, initial_end: bool = False) -> None:
        metadata: Json = {"resourceVersion": str(resource_version), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        obj = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}
        await self._write(self._lines.of(EventType.BOOKMARK, obj))

    async def changes(self, watch: Watch) -> None:
        try:
            async for event in watch:
                seen = as_seen(event, self.selection)
                if seen is not None:
                    await self._write(self._lines.of(*seen))
        except ApiError as error:
            await self._write(self._lines.error(error))


async def _follow(session: _Session, since: int | None, initial: bool, bookmarks: bool) -> None:
    """The present state where it is wanted, then changes until the client or the server has had enough."""
    backend, kind = session.backend, session.kind
    if initial:
        snapshot = await take_snapshot(backend, kind, session.namespace or "")
        since = snapshot.resource_version
    name = session.selection.name if session.namespace or not kind.namespaced else ""
    async with backend.store.watch(kind, session.namespace, since or None, name) as watch:
        if initial:
            await session.state(snapshot)
            if bookmarks:
                await session.bookmark(snapshot.resource_version, initial_end=True)
        async with asyncio.TaskGroup() as group:
            beat = group.create_task(_beat(session, watch, bookmarks), name="watch:bookmarks")
            await session.changes(watch)
            beat.cancel()


async def _beat(session: _Session, watch: Watch, bookmarks: bool) -> None:
    while bookmarks:
        await session.backend.clock.sleep(BOOKMARK_INTERVAL_S)
        await session.bookmark(watch.resource_version)


def as_seen(event: WatchEvent, selection: Selection) -> tuple[str, Json] | None:
    """The event as someone sees it who only sees what matches; None where nothing changed for them."""
    obj = event.object
    if not selection:
        return event.type, obj
    before = event.old is not None and selection.matches(event.old)
    if event.type is EventType.DELETED:
        return (event.type, obj) if before or selection.matches(obj) else None
    after = selection.matches(obj)
    if after:
        return (EventType.MODIFIED if before else EventType.ADDED), obj
    if before and event.old is not None:
        metadata = {**event.old["metadata"], "resourceVersion": str(event.resource_version)}
        return EventType.DELETED, {**event.old, "metadata": metadata}
    return None
