"""Events that no further try will be made for, with every attempt's history, until somebody redrives or drops them.

Dispatchers of every broker class put them here, in one transaction with the acknowledgement where the log has the
position; the command line and the sender to dead letter sinks read them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from zlib import crc32

import orjson

from core.clock import Clock
from eventing.event import Event
from eventing.log.base import Attempt, DeadLetter, Fate
from eventing.log.commits import Commits, Write
from eventing.log.cursors import Cursor
from eventing.log.records import decode, encode

Rows: TypeAlias = list[tuple[Any, ...]]
Ask: TypeAlias = Callable[..., Coroutine[Any, Any, Rows]]
"""Rows of a query with its values, off the disk."""

_COLUMNS = "number, subscription, stream, offset, time_ms, reason, attempts, event, checksum, fate"
_PUT = f"insert into dead_letters ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = f"select {_COLUMNS} from dead_letters"
_REASON_LENGTH = 4096


class DeadLetters:
    """The dead letters of all subscriptions, of every broker class."""

    def __init__(self, commits: Commits, ask: Ask, clock: Clock) -> None:
        self._commits = commits
        self._ask = ask
        self._clock = clock
        self.last = 0  # the highest number ever given

    def keep(self, letter: DeadLetter, acks: Sequence[tuple[Cursor, int, int]] = ()) -> asyncio.Future[int]:
        """Keeps one, with these acknowledgements or not at all; its number, after the sync. StoreFull.

        `number` and `time_ms` are given here, whatever the letter has.
        """
        self.last += 1
        time_ms = int(self._clock.wall() * 1000)
        row = _row(replace(letter, number=self.last, time_ms=time_ms, reason=letter.reason[:_REASON_LENGTH]))
        return self._commits.write(Write([(_PUT, [row])], self.last, acks))

    async def list(self, subscription: str | None = None, after: int = 0, count_max: int = 100) -> list[DeadLetter]:
        """Those with a number above `after`, ascending."""
        if subscription is None:
            rows = await self._ask(f"{_SELECT} where number > ? order by number limit ?", after, count_max)
        else:
            query = f"{_SELECT} where subscription = ? and number > ? order by number limit ?"
            rows = await self._ask(query, subscription, after, count_max)
        return [_letter(row) for row in rows]

    async def of_event(self, stream: str, offset: int) -> Sequence[DeadLetter]:
        """What became dead letters of one record, by any subscription."""
        rows = await self._ask(f"{_SELECT} where stream = ? and offset = ? order by number", stream, offset)
        return [_letter(row) for row in rows]

    async def find(self, id: str, count_max: int = 100) -> Sequence[DeadLetter]:
        """Those whose event has this id, the newest first. It looks at all of them: for people, not for the way."""
        mark = b'"id":' + orjson.dumps(id)
        rows = await self._ask(f"{_SELECT} where instr(event, ?) > 0 order by number desc limit ?", mark, count_max)
        letters = [_letter(row) for row in rows]
        return [letter for letter in letters if letter.event is not None and letter.event.id == id]

    async def get(self, number: int) -> DeadLetter | None:
        rows = await self._ask(f"{_SELECT} where number = ?", number)
        return _letter(rows[0]) if rows else None

    async def count(self, subscription: str) -> int:
        """How many wait for somebody."""
        query = "select count(*) from dead_letters where subscription = ? and fate = ?"
        return int((await self._ask(query, subscription, Fate.WAITING.value))[0][0])

    def mark(self, numbers: Sequence[int], fate: Fate) -> asyncio.Future[int]:
        """Says what has become of them. StoreFull."""
        rows = [(fate.value, number) for number in numbers]
        return self._commits.write(Write([("update dead_letters set fate = ? where number = ?", rows)], len(numbers)))

    def drop(self, numbers: Sequence[int]) -> asyncio.Future[int]:
        """Deletes them. StoreFull."""
        rows = [(number,) for number in numbers]
        return self._commits.write(Write([("delete from dead_letters where number = ?", rows)], len(numbers)))


def _row(letter: DeadLetter) -> tuple[Any, ...]:
    event = None if letter.event is None else encode(letter.event)
    tried = [(attempt.number, attempt.time_ms, attempt.code, attempt.reason) for attempt in letter.attempts]
    return (
        *(letter.number, letter.subscription, letter.stream, letter.offset, letter.time_ms, letter.reason),
        *(orjson.dumps(tried).decode(), event, None if event is None else crc32(event), letter.fate.value),
    )


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    number, subscription, stream, offset, time_ms, reason, tried, payload, checksum, fate = row
    event: Event | None = None
    if payload is not None:
        if isinstance(payload, bytes) and crc32(payload) == checksum:
            event = decode(payload)
        else:
            reason = f"{reason} (the kept event is damaged: its checksum does not match)"
    attempts: tuple[Attempt, ...] = ()
    try:
        attempts, fate = tuple(Attempt(*values) for values in orjson.loads(tried)), Fate(fate)
    except (TypeError, ValueError):
        fate, reason = Fate.WAITING, f"{reason} (its history is damaged)"
    return DeadLetter(number, subscription, stream, offset, time_ms, reason, attempts, event, fate)
