"""What `events` and `dlq` print of the console's documents."""

from __future__ import annotations

from datetime import datetime

import pytest

from core.resources.meta import Json
from pilotlight.cli import event_lines as told

WALL = datetime(2026, 1, 2, 3, 4, 5, 678000).timestamp()
EVENT: Json = {"specversion": "1.0", "type": "com.example.order", "id": "17", "source": "/shop"}
TRIED: Json = {"number": 1, "time": WALL, "code": 503, "reason": "said 503"}
SILENT: Json = {"number": 2, "time": WALL, "code": None, "reason": "nobody"}
LETTER: Json = {
    "number": 4,
    "subscription": "trigger/n/t",
    "stream": "broker/n/b",
    "offset": 7,
    "time": WALL,
    "reason": "gave up " * 20,
    "fate": "waiting",
    "attempts": [TRIED, SILENT],
    "event": {**EVENT, "data": {"items": []}},
}


@pytest.mark.parametrize(
    ("happening", "line"),
    [
        (
            {"what": "delivered", "about": "trigger/n/t", "offset": 7, "code": 200, "text": ""},
            "03:04:05.678  delivered    trigger/n/t@7  com.example.order 17  200",
        ),
        (
            {"what": "accepted", "about": "broker/n/b", "offset": None, "code": None, "text": "for trigger/n/t"},
            "03:04:05.678  accepted     broker/n/b  com.example.order 17  for trigger/n/t",
        ),
        ({"what": "missed", "count": 3}, "… 3 more that were told faster than they were read"),
    ],
)
def test_happenings(happening: Json, line: str) -> None:
    assert told.happening_line({"time": WALL, "event": EVENT, **happening}) == line


def test_why_tells_each_subscription_with_its_attempts() -> None:
    verdicts = [
        {"subscription": "trigger/n/a", "state": "delivered", "time": WALL, "text": "answered 200", "attempts": []},
        {"subscription": "trigger/n/longer", "state": "retrying", "time": None, "text": "later", "attempts": [TRIED]},
    ]
    found = {"stream": "broker/n/b", "offset": 7, "time": WALL, "event": EVENT, "subscriptions": verdicts}
    assert list(told.why_lines({"found": [found], "deadLetters": []})) == [
        "com.example.order 17 from /shop",
        "broker/n/b, offset 7, accepted 2026-01-02 03:04:05",
        "  trigger/n/a       delivered    03:04:05.678  answered 200",
        "  trigger/n/longer  retrying                   later",
        "      1  03:04:05.678  503  said 503",
        "",
    ]
    alone = {**found, "subscriptions": []}
    assert list(told.why_lines({"found": [alone], "deadLetters": []}))[2] == "  no subscription"


def test_a_letter_as_a_row_and_whole() -> None:
    row = told.letter_row(LETTER)
    assert row[:8] == ("4", "trigger/n/t", "com.example.order", "17", "2026-01-02 03:04:05", "2", "", "waiting")
    assert len(row[8]) == 60
    assert len(row) == len(told.LETTER_HEADER)
    assert told.letter_row({**LETTER, "event": None, "attempts": []})[2:4] == ("(damaged)", "")
    lines = list(told.letter_lines(LETTER))
    assert "Stream:        broker/n/b, offset 7" in lines
    assert "    2  03:04:05.678  -  nobody" in lines
    assert '  data: {"items": []}' in lines


def test_standing_and_progress() -> None:
    standing = {
        "namespace": "n",
        "kind": "trigger",
        "name": "t",
        "stream": "broker/n/b",
        "backlog": 5,
        "inFlight": 1,
        "retrying": 2,
        "deadLetters": 3,
        "state": "running",
    }
    row = told.standing_row(standing)
    assert row == ("n", "trigger/t", "broker/n/b", "5", "1", "2", "3", "running")
    assert len(row) == len(told.STANDING_HEADER)
    counts = {"delivered": 1, "failed": 2, "matched": 3, "lost": 0}
    assert told.progress_text(counts) == "1 delivered, 2 failed of 3 that match"
    assert told.progress_text({**counts, "lost": 4}).endswith(", 4 damaged")
