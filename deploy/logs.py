"""`kubectl logs`: reads what `runtimes/logfile` wrote, of one container, oldest line first.

The API server's log handler calls `PodLogs.open`; where the Pod stands it learns from the store. Pieces of one line (P)
are put together again, and rotated files are read as one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from core.apiserver.logs import LogLine, LogQuery
from core.clock import Clock
from core.errors import BadRequest, NotFound
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.timestamps import epoch_of
from core.stats import InstanceKey
from core.store.base import Store
from deploy.podplan import LOGS, Places
from deploy.runtimes.logfile import LOG_FILES

FOLLOW_POLL_S = 0.1
READ_BYTES = 256 << 10
LINES_AT_ONCE = 256  # then others on the event loop get their turn: a log may have 30 MiB
STREAMS = (b"stdout", b"stderr")
LINE_BYTES_MAX = 1 << 20  # a longer line is told in parts
_STAMP_CHARS = len("2016-10-06T00:17:09.669794202Z")


class PodLogs:
    """`core.apiserver.logs.LogSource` over the node's folders."""

    def __init__(self, store: Store, clock: Clock, places: Places) -> None:
        self._store, self._clock, self._places = store, clock, places

    async def open(self, pod: Json, query: LogQuery) -> AsyncIterator[LogLine]:
        metadata = pod["metadata"]
        instance = InstanceKey(metadata["namespace"], metadata["name"], metadata["uid"])
        name = f"{query.container}.previous.log" if query.previous else f"{query.container}.log"
        path = self._places.of_pod(instance) / LOGS / name
        if not path.exists():
            who = f'container "{query.container}" in pod "{metadata["name"]}"'
            if query.previous:
                raise BadRequest(f"previous terminated {who} not found")
            waiting = ((_status_of(pod, query.container) or {}).get("state") or {}).get("waiting")
            if waiting is not None:
                raise BadRequest(f"{who} is waiting to start: {waiting['reason']}")
        return self._read(pod, path, query)

    async def _read(self, pod: Json, path: Path, query: LogQuery) -> AsyncIterator[LogLine]:
        tail = _Tail(path)
        last: deque[LogLine] = deque(maxlen=query.tail_lines)
        try:
            for number, line in enumerate(tail.read_all(), 1):
                if number % LINES_AT_ONCE == 0:
                    await asyncio.sleep(0)  # also where nothing of it is asked for
                if query.since is not None and line.at < query.since:
                    continue
                if query.tail_lines is None:
                    yield line
                else:
                    last.append(line)
            for line in last:
                yield line
            is_over = not query.follow or query.previous
            while not is_over:
                is_over = await self._is_over(pod, query.container)
                for line in tail.read_new():
                    yield line
                if not is_over:
                    await self._clock.sleep(FOLLOW_POLL_S)
        finally:
            tail.close()

    async def _is_over(self, pod: Json, container: str) -> bool:
        """Whether the container has ended for this time: kubectl follows one run, not the next."""
        metadata = pod["metadata"]
        try:
            now = await self._store.get(POD, metadata["name"], metadata["namespace"])
        except NotFound:
            return True
        if now["metadata"]["uid"] != metadata["uid"]:
            return True
        before, status = _status_of(pod, container) or {}, _status_of(now, container) or {}
        return "terminated" in (status.get("state") or {}) or (
            "containerID" in before and status.get("containerID") != before["containerID"]
        )


class _Tail:
    """A log that is written meanwhile: remembers how far it has read, through rotations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._pieces: dict[bytes, bytes] = {}  # stream → the beginning of a line whose end is not there yet

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def read_all(self) -> Iterator[LogLine]:
        """Everything so far, the rotated files first."""
        for number in range(LOG_FILES - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            try:
                with older.open("rb") as file:
                    yield from self._parse(file)
            except FileNotFoundError:
                continue
        yield from self.read_new()
        yield from self._unfinished()

    def read_new(self) -> Iterator[LogLine]:
        """What has been written since."""
        while True:
            if self._file is None:
                try:
                    self._file = self._path.open("rb")
                except FileNotFoundError:
                    return
            yield from self._parse(self._file)
            if not self._was_rotated(self._file):
                return
            yield from self._parse(self._file)  # written between the last read and the rotation
            self._file.close()
            self._file = None

    def _was_rotated(self, file: BinaryIO) -> bool:
        try:
            here = self._path.stat()
        except FileNotFoundError:
            return False
        there = Path(f"/proc/self/fd/{file.fileno()}").stat()
        return (here.st_ino, here.st_dev) != (there.st_ino, there.st_dev)

    def _parse(self, file: BinaryIO) -> Iterator[LogLine]:
        while data := file.read(READ_BYTES):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                found = self._line(line)
                if found is not None:
                    yield found

    def _line(self, line: bytes) -> LogLine | None:
        parts = line.split(b" ", 3)
        if len(parts) < 4 or parts[1] not in STREAMS:
            return None  # the disk was full in the middle of it
        stamp, stream, flag, text = parts
        text = self._pieces.pop(stream, b"") + text
        if flag == b"P" and len(text) < LINE_BYTES_MAX:
            self._pieces[stream] = text
            self._last_stamp = stamp
            return None
        return LogLine(_epoch(stamp), text)

    def _unfinished(self) -> Iterator[LogLine]:
        """A last line without its end, as `docker logs` shows a prompt."""
        for text in self._pieces.values():
            yield LogLine(_epoch(self._last_stamp), text)
        self._pieces.clear()


def _epoch(stamp: bytes) -> float:
    """Of a time with nanoseconds, which datetime does not read."""
    text = stamp.decode(errors="replace")
    if len(text) != _STAMP_CHARS:
        return 0.0
    return (epoch_of(text[:19] + "Z") or 0.0) + int(text[20:29]) / 1e9


def _status_of(pod: Json, container: str) -> Json | None:
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses"):
        for each in status.get(field) or ():
            if each["name"] == container:
                found: Json = each
                return found
    return None
