"""What can still be read of a SQLite file with torn pages, row by row.

`core/store/database.py` and the event log call it when a file cannot be read from end to end; checking what the rows
hold is their own business.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def set_file_aside(path: Path, now: float) -> Path:
    """Renames the file with its log, so that nothing writes to it again; returns the new name. `now` in epoch s."""
    aside = path.with_name(f"{path.name}.damaged-{int(now)}")
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(aside.with_name(aside.name + suffix))
    return path.rename(aside)


def read_what_is_left(path: Path, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows of the table that can be read: rowid, then `columns`; none where even the table cannot be found."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = lambda text: text.decode(errors="replace")
    select = f"select rowid, {columns} from {table}"
    try:
        seen: set[int] = set()
        # From both ends up to the first torn page, then one by one between the two.
        for order in ("asc", "desc"):
            for row in _until_torn(connection, f"{select} order by rowid {order}", ()):
                if row[0] in seen:
                    return
                seen.add(row[0])
                yield row
        for rowid in range(1, max(seen, default=0)):
            if rowid not in seen:
                yield from _until_torn(connection, f"{select} where rowid = ?", (rowid,))
    finally:
        connection.close()


def read_until_torn(path: Path, query: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a query up to the first torn page."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield from _until_torn(connection, query, ())
    finally:
        connection.close()


def _until_torn(connection: sqlite3.Connection, query: str, values: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
    try:
        yield from connection.execute(query, values)
    except sqlite3.DatabaseError:
        return
