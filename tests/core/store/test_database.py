from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.errors import StoreFull
from core.store.database import Database, Row

ROW = Row("books.test.dev", "default", "emma", 1, b"{}")


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    database = Database(path)
    assert database.open(0.0, 100).rows == []
    second = Row("books.test.dev", "default", "persuasion", 2, b'{"a":"\xc3\xbc"}')
    database.commit([ROW, second], None)
    database.commit([Row(ROW.kind, ROW.namespace, ROW.name, 3, b"[]")], None)
    database.commit([Row(second.kind, second.namespace, second.name, 4, None)], None)
    database.close(7)
    contents = Database(path).open(0.0, 100)
    assert contents.rows == [Row("books.test.dev", "default", "emma", 3, b"[]")]
    assert contents.resource_version == 7


def test_without_a_clean_close_the_whole_range_is_used_up(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Database(path).open(0.0, 100)
    assert Database(path).open(0.0, 100).resource_version == 100
    assert Database(path).open(0.0, 100).resource_version == 200


def test_a_commit_is_whole_or_not_at_all(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    database.open(0.0, 100)
    broken = Row("books.test.dev", "default", None, 2, b"{}")  # type: ignore[arg-type]
    with pytest.raises(StoreFull, match="nothing was written"):
        database.commit([ROW, broken], None)
    database.commit([Row("books.test.dev", "default", "next", 3, b"{}")], None)
    database.close(3)
    assert [row.name for row in Database(tmp_path / "store.db").open(0.0, 100).rows] == ["next"]


def test_another_program_may_read_but_a_writer_that_stays_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.store.database._BUSY_S", 0.05)
    database = Database(tmp_path / "store.db")
    database.open(0.0, 100)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("begin")
    assert other.execute("select count(*) from objects").fetchone() == (0,)
    database.commit([ROW], None)
    other.execute("commit")
    other.execute("begin immediate")
    with pytest.raises(StoreFull, match=r"locked.*no other program holds the file"):
        database.commit([ROW], None)
    other.execute("commit")
    database.commit([ROW], None)


@pytest.mark.parametrize(
    ("label", "page", "costs_rows"), [("not of objects", 3, False), ("in the middle", 20, True), ("the last", -1, True)]
)
def test_torn_pages_cost_what_stood_on_them(label: str, page: int, costs_rows: bool, tmp_path: Path) -> None:
    """`core/store/salvage.py`: the file is kept aside, and every row that can be read is served."""
    path = tmp_path / "store.db"
    database = Database(path)
    database.open(0.0, 100)
    rows = [Row("books.test.dev", "default", f"b{n}", n + 1, b"x" * 500) for n in range(500)]
    database.commit(rows, None)
    database.close(1000)
    content = bytearray(path.read_bytes())
    start = page * 4096 if page > 0 else len(content) - 4096
    content[start : start + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    database = Database(path)
    contents = database.open(1.5, 100)
    assert contents.aside == tmp_path / "store.db.damaged-1"
    assert contents.aside.read_bytes()[start : start + 4096] == b"\xff" * 4096
    assert 480 <= len(contents.rows) <= 500
    assert (len(contents.rows) < 500) == costs_rows, label
    assert {row.name for row in contents.rows} <= {row.name for row in rows}
    assert contents.resource_version > 1000
    database.close(contents.resource_version)
    again = Database(path).open(2.0, 100)
    assert again.aside is None
    assert len(again.rows) == len(contents.rows)


def test_each_commit_is_synced(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    database.open(0.0, 100)
    connection = database._open_connection()
    assert connection.execute("pragma synchronous").fetchone() == (2,), "FULL: NORMAL does not sync the WAL at commit"
    assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
