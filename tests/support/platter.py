"""A disk for the event log that dies between any two writes, tears, lies about its syncs, refuses, and flips bits.

SQLite does its real work on real files; what a crash leaves is computed from what they held before and after the write
that it interrupts. A sector (512 bytes) is written whole or torn, and bytes beside those that are written stay as they
are (SQLite counts on that: "powersafe overwrite"); everything else about an interrupted write is left to chance.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

from eventing.log.database import Disk

SECTOR = 512
_WAL_HEADER = 32
FILES = ("events.db", "events.db-wal")
Image = dict[str, bytes]


class Crash(Exception):
    """The process is dead: nothing it does from here on happens."""


class Moment(StrEnum):
    """When a crash interrupts a commit."""

    BEFORE = "before the commit"
    WITHIN = "within the commit"
    CHECKPOINT = "within the checkpoint after it"
    AFTER = "after the sync, before anybody heard of it"


class Inline(Executor):
    """Does everything at once, so that a seed replays exactly."""

    def submit(self, call: Callable[..., Any], /, *values: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*values, **named))
        except BaseException as error:
            future.set_exception(error)
        return future


class Platter:
    """The folder of the current life, and what is to go wrong with it."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self.chance = chance
        self.crash_at: Moment | None = None
        self.refusals = 0  # commits to refuse
        self.dead = False
        self.died: Callable[[], None] = lambda: None
        self.refused: Callable[[], None] = lambda: None
        self.checkpoint_pages = chance.choice((3, 10, 40, 1000))
        self._root = folder
        self._life = 0
        self._honest: Image | None = None  # what was on it when it began to lie
        self.folder = self._next_folder()

    @property
    def path(self) -> Path:
        return self.folder / FILES[0]

    @property
    def lies(self) -> bool:
        return self._honest is not None

    def disk(self) -> Disk:
        return Disk(connection=type("Connection", (_Connection,), {"platter": self}), executor=lambda _: Inline())

    def lie(self) -> None:
        """From now on no sync does anything, until the next crash."""
        self._honest = self._honest or self._image()

    def die(self, power: bool = False) -> None:
        """Ends the process now. With `power` what was not truly synced is at risk."""
        now = self._image()
        self._bury(self._mixed(self._honest, now) if power and self._honest is not None else now)

    def live_again(self) -> None:
        """The machine is up again, on what the crash has left."""
        self.dead = False
        self.crash_at = None
        self.refusals = 0
        self._honest = None

    def flip_a_bit(self) -> str:
        """Of what is at rest, in the main file or in SQLite's log; says which."""
        name = self.chance.choice([name for name, data in self._image().items() if len(data) > 4096])
        data = bytearray((self.folder / name).read_bytes())
        bit = self.chance.randrange(4096 * 8 if name == FILES[0] else 0, len(data) * 8)  # page 1 is the schema
        data[bit // 8] ^= 1 << bit % 8
        (self.folder / name).write_bytes(data)
        return f"bit {bit} of {name}"

    def flip_an_event(self) -> str:
        """A bit of one of the newest groups of events, at rest; says which."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            newest = connection.execute("select number, data from groups order by number desc limit 3").fetchall()
            if not newest:
                return "no bit"
            number, data = self.chance.choice(newest)
            flipped = bytearray(data)
            bit = self.chance.randrange(len(data) * 8)
            flipped[bit // 8] ^= 1 << bit % 8
            connection.execute("update groups set data = ? where number = ?", (bytes(flipped), number))
        return f"bit {bit} of group {number}"

    def commit(self, do: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        if self.refusals:
            self.refusals -= 1
            self.refused()
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_WRITE"
            raise error
        if self.crash_at is None or not self.path.exists():  # there: while the file is mended beside it
            return do()
        before = self._image()
        if self.crash_at is not Moment.BEFORE:
            do()
        after = self._image()
        wal, db = FILES[1], FILES[0]
        if self.crash_at is Moment.WITHIN:  # the log is written first; the main file only when that is synced
            after = {db: before[db], wal: self._mix(self._with_header(before[wal], after[wal]), after[wal])}
        elif self.crash_at is Moment.CHECKPOINT:
            after = {db: self._mix(before[db], after[db]), wal: after[wal]}
        if self._honest is not None and self.chance.random() < 0.5:
            after = self._mixed(self._honest, after)
        self._bury(after)
        raise Crash

    def _with_header(self, old: bytes, new: bytes) -> bytes:
        """A log that begins anew gets its header synced before any frame is overwritten."""
        return new[:_WAL_HEADER] + old[_WAL_HEADER:]

    def _mixed(self, old: Image, new: Image) -> Image:
        return {name: self._mix(old[name], new[name]) for name in FILES}

    def _mix(self, old: bytes, new: bytes) -> bytes:
        """What may be there when the way from `old` to `new` is cut off."""
        sectors = range(0, max(len(old), len(new)), SECTOR)
        changed = [at for at in sectors if old[at : at + SECTOR] != new[at : at + SECTOR]]
        kind = self.chance.choice(("none", "all", "in order", "in order", "torn", "any order"))
        if kind == "none" or not changed:
            return old
        if kind == "all":
            return new
        if kind == "any order":
            kept = {at for at in changed if self.chance.random() < 0.5}
        else:
            kept = set(changed[: self.chance.randrange(len(changed) + 1)])
        size = len(new) if len(new) < len(old) else max([len(old), *(min(at + SECTOR, len(new)) for at in kept)])
        mixed = bytearray(old.ljust(size, b"\0")[:size])
        for at in kept:
            mixed[at : at + SECTOR] = new[at : at + SECTOR]
        if kind == "torn" and kept:  # what was being written last is garbage; what stood beside it is not
            for at in range(max(kept), min(max(kept) + SECTOR, len(mixed))):
                if at >= len(old) or old[at] != mixed[at]:
                    mixed[at] = self.chance.randrange(256)
        return bytes(mixed)

    def _image(self) -> Image:
        files = {name: self.folder / name for name in FILES}
        return {name: file.read_bytes() if file.exists() else b"" for name, file in files.items()}

    def _bury(self, image: Image) -> None:
        self.dead = True
        self.died()
        self.folder = self._next_folder()
        for name, data in image.items():
            if data:
                (self.folder / name).write_bytes(data)

    def _next_folder(self) -> Path:
        self._life += 1
        folder = self._root / str(self._life)
        folder.mkdir()
        return folder


class _Connection(sqlite3.Connection):
    """SQLite's own, except at commits. The platter does the syncing, so the real disk need not."""

    platter: Platter

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if self.platter.dead:
            raise Crash
        if sql == "pragma synchronous = full":
            super().execute(f"pragma wal_autocheckpoint = {self.platter.checkpoint_pages}")
            return super().execute("pragma synchronous = off")
        if sql == "commit":
            return self.platter.commit(lambda: super(_Connection, self).execute("commit"))
        return super().execute(sql, parameters)

    def executemany(self, sql: str, rows: Any, /) -> sqlite3.Cursor:
        if self.platter.dead:
            raise Crash
        return super().executemany(sql, rows)
