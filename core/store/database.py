"""The disk of the SQLite store: rows in, rows out, every commit synced before it returns.

It blocks, so only the store's writer thread calls it. It knows rows, not objects: no kind, no watcher, no conflict.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import PermanentError, StoreFull
from core.store.salvage import read_what_is_left, set_file_aside

SCHEMA = Path(__file__).with_name("schema.sql")
FORMAT = 1  # of the file; a newer one is refused
APPLICATION_ID = 0x50494C54  # "PILT", so that file(1) and we know the file
# Another program that reads the file may hold it for a moment (a backup); longer than that is an error.
_BUSY_S = 5.0
# What the WAL may keep on disk after a checkpoint; SQLite never shrinks it otherwise.
_WAL_BYTES = 8 * 1024 * 1024

# Rows are read once, when the file is opened; afterwards SQLite needs the pages that a write touches, and no more.
_CACHE_KIB = 256

_COLUMNS = "kind, namespace, name, version, data, checksum"
_PUT = """
insert into objects (kind, namespace, name, version, data, checksum) values (?, ?, ?, ?, ?, ?)
on conflict (kind, namespace, name) do update
set version = excluded.version, data = excluded.data, checksum = excluded.checksum
"""
_REMOVE = "delete from objects where kind = ? and namespace = ? and name = ?"
_COUNT = "insert into counters values ('resource_versions', ?) on conflict (name) do update set value = excluded.value"


@dataclass(frozen=True, slots=True)
class Row:
    """One object to write; `data` None removes it."""

    kind: str
    namespace: str
    name: str
    version: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """What was set aside, as far as it could be read."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Contents:
    """A file as it was found: whole rows, rows set aside, and the last resource version that may have been given."""

    rows: list[Row]
    damaged: list[DamagedRow]
    resource_version: int
    aside: Path | None = None  # where the whole file was put, when pages of it could not be read


class Database:
    """One SQLite file in WAL mode with `synchronous=FULL`: NORMAL would not sync at commit."""

    def __init__(self, path: Path, bytes_max: int | None = None) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._connection: sqlite3.Connection | None = None

    def open(self, now: float, version_range: int) -> Contents:
        """Makes or reads the file and sets a range of resource versions aside; `now` in epoch seconds.

        PermanentError, StoreFull.
        """
        try:
            contents = self._open_or_mend(now, version_range)
            self.commit((), contents.resource_version + version_range)
            return contents
        except sqlite3.DatabaseError as error:
            self._drop()
            if _is_about_space(error):
                raise _refused(self._path, error) from error
            message = f"{self._path} cannot be read ({error}): move it away to start empty, or put a copy in its place"
            raise PermanentError(message, reason="StoreUnreadable") from error
        except BaseException:
            self._drop()
            raise

    def commit(self, rows: Sequence[Row], resource_version: int | None) -> None:
        """Writes all of it and syncs, or nothing of it. StoreFull."""
        connection = self._open_connection()
        try:
            connection.execute("begin immediate")
            for row in rows:
                if row.data is None:
                    connection.execute(_REMOVE, (row.kind, row.namespace, row.name))
                else:
                    checksum = _checksum(row.kind, row.namespace, row.name, row.data)
                    connection.execute(_PUT, (row.kind, row.namespace, row.name, row.version, row.data, checksum))
            if resource_version is not None:
                connection.execute(_COUNT, (resource_version,))
            connection.execute("commit")
        except sqlite3.DatabaseError as error:
            _roll_back(connection)
            raise _refused(self._path, error) from error

    def close(self, resource_version: int) -> None:
        """Notes the last resource version given, so that the next start goes on from there, and closes the file."""
        try:
            self.commit((), resource_version)
        except StoreFull:
            pass  # the range that was set aside still holds: the next start only skips some numbers
        finally:
            self._drop()

    def _open_or_mend(self, now: float, version_range: int) -> Contents:
        try:
            self._connection = _connect(self._path, self._bytes_max)
            return self._read(now)
        except sqlite3.DatabaseError as error:
            self._drop()
            left = [] if _is_about_space(error) else [*read_what_is_left(self._path, "objects", _COLUMNS)]
            if not left:
                raise
        aside = set_file_aside(self._path, now)
        self._connection = _connect(self._path, self._bytes_max)
        self._connection.execute("begin immediate")
        for _, *values in left:
            kind, namespace, name, version, data, checksum = values
            self._connection.execute(_PUT, (kind, namespace, name, version, data, checksum))
        self._connection.execute("commit")
        contents = self._read(now)
        # The counter may be lost with its page: far beyond whatever was given since the newest row was written.
        return replace(contents, resource_version=contents.resource_version + 100 * version_range, aside=aside)

    def _read(self, now: float) -> Contents:
        connection = self._open_connection()
        if (verdict := connection.execute("pragma quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(verdict)  # a torn page that a later write would only then stumble over
        rows: list[Row] = []
        aside: list[int] = []
        damaged: list[DamagedRow] = []
        for rowid, kind, namespace, name, version, data, checksum in _stored(connection):
            if isinstance(data, bytes) and _checksum(kind, namespace, name, data) == checksum:
                rows.append(Row(kind, namespace, name, version, data))
            else:
                aside.append(rowid)
                damaged.append(DamagedRow(str(kind), str(namespace), str(name)))
        if aside:
            _set_aside(connection, aside, now)
        counted = connection.execute("select value from counters where name = 'resource_versions'").fetchone()
        newest = max((row.version for row in rows), default=0)
        return Contents(rows, damaged, max(counted[0] if counted else 0, newest))

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError(f"{self._path} is not open")
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(path: Path, bytes_max: int | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        found = connection.execute("pragma user_version").fetchone()[0]
        if found > FORMAT:
            message = f"{path} was written by a newer Pilotlight (format {found}, this one reads {FORMAT}): upgrade"
            raise PermanentError(message, reason="StoreTooNew")
        journal = ("journal_mode = wal", "synchronous = full", f"journal_size_limit = {_WAL_BYTES}")
        for pragma in (*journal, f"cache_size = -{_CACHE_KIB}"):
            connection.execute(f"pragma {pragma}")
        if bytes_max is not None:
            page_bytes = connection.execute("pragma page_size").fetchone()[0]
            connection.execute(f"pragma max_page_count = {max(bytes_max // page_bytes, 1)}")
        connection.executescript(SCHEMA.read_text())
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute(f"pragma user_version = {FORMAT}")
    except BaseException:
        connection.close()
        raise
    return connection


def _stored(connection: sqlite3.Connection) -> Iterator[tuple[int, str, str, str, int, bytes, int]]:
    # Text that is no longer UTF-8 must not end the read: it is a damaged row like any other.
    connection.text_factory = lambda text: text.decode(errors="replace")
    yield from connection.execute(f"select rowid, {_COLUMNS} from objects order by rowid")
    connection.text_factory = str


def _set_aside(connection: sqlite3.Connection, rowids: Sequence[int], now: float) -> None:
    connection.execute("begin immediate")
    for rowid in rowids:
        connection.execute(
            "insert into damaged select ?, kind, namespace, name, version, data, checksum from objects where rowid = ?",
            (now, rowid),
        )
        connection.execute("delete from objects where rowid = ?", (rowid,))
    connection.execute("commit")


def _checksum(kind: str, namespace: str, name: str, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(f"{kind}\0{namespace}\0{name}\0".encode()))


def _roll_back(connection: sqlite3.Connection) -> None:
    """SQLite has often rolled back by itself when the disk refused; where it has not, the next begin would fail."""
    try:
        if connection.in_transaction:
            connection.execute("rollback")
    except sqlite3.DatabaseError:
        return  # the next commit meets the same fault and reports it


def _is_about_space(error: sqlite3.DatabaseError) -> bool:
    name: str = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_FULL", "SQLITE_IOERR"))


def _refused(path: Path, error: sqlite3.DatabaseError) -> StoreFull:
    remedy = "free space there" if _is_about_space(error) else "see that no other program holds the file"
    message = f"nothing was written: the store {path} refused it ({error}); {remedy}, then try again"
    return StoreFull(message, retry_after_s=5)
