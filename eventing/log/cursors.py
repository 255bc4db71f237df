"""One subscription's way through its stream.

A dispatcher calls it, on the loop. Acknowledgements and failed attempts count at once and are written with a later
commit; a dead letter counts when it is synced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from eventing.event import Event
from eventing.log.base import Attempt, DeadLetter
from eventing.log.database import Statement
from eventing.log.positions import AHEAD_MAX, Position, TooFarAhead
from eventing.log.rows import subscription_values
from eventing.log.streams import Stream

_REASON_LENGTH = 1024
_PUT_POSITION = "update subscriptions set position = ?, checksum = ? where number = ?"
_PUT_ATTEMPT = """
insert or replace into attempts (subscription, offset, number, time_ms, code, reason) values (?, ?, ?, ?, ?, ?)
"""
_FORGET_ATTEMPTS = "delete from attempts where subscription = ? and offset = ?"


class Commits(Protocol):
    """What a cursor asks of group commit."""

    def touch(self, cursor: Cursor) -> None:
        """It has something new to write, which nobody waits for."""


class Letters(Protocol):
    """What a cursor asks of the dead letters."""

    def keep(self, letter: DeadLetter, acks: Sequence[tuple[Cursor, int, int]] = ()) -> asyncio.Future[int]:
        """Keeps one, with these acknowledgements or not at all."""


class Cursor:
    """`missed` counts the events that retention had taken before a released subscription came back."""

    __slots__ = (
        *("missed", "number", "position", "subscription"),
        *("_attempts", "_commits", "_deleting", "_forgotten", "_letters", "_stored", "_stream", "_unstored"),
    )

    def __init__(
        self, number: int, subscription: str, stream: Stream, position: Position, commits: Commits, letters: Letters
    ) -> None:
        self.number = number
        self.subscription = subscription
        self.position = position
        self.missed = 0
        self._stream = stream
        self._commits = commits
        self._letters = letters
        self._attempts: dict[int, list[Attempt]] = {}
        self._stored: set[int] = set()  # offsets whose attempts have rows
        self._unstored: list[tuple[int, Attempt]] = []
        self._forgotten: list[int] = []
        self._deleting: list[int] = []  # forgotten with the commit under way

    @property
    def stream(self) -> str:
        return self._stream.name

    @property
    def backlog(self) -> int:
        """Events not yet acknowledged, exactly."""
        return max(self._stream.tail - self.position.low - self.position.acked_above, 0)

    def ack(self, offset: int, end: int | None = None) -> None:
        """Acknowledges [offset, end), or the one; synced with a later commit, so a crash may repeat it. TooFarAhead."""
        end = offset + 1 if end is None else end
        if end > self._stream.tail:
            raise ValueError(f"{self.stream} ends before offset {self._stream.tail}: {end - 1} cannot be acknowledged")
        self.position.ack(offset, end)
        if self._attempts:
            for failed in _within(self._attempts, [(offset, end)]):
                self._forget(failed)
        self._commits.touch(self)

    def fail(self, offset: int, attempt: Attempt) -> None:
        """Notes a failed attempt; on disk with a later commit, forgotten with the acknowledgement."""
        if self.position.is_acked(offset):
            return
        attempt = Attempt(attempt.number, attempt.time_ms, attempt.code, attempt.reason[:_REASON_LENGTH])
        self._attempts.setdefault(offset, []).append(attempt)
        self._unstored.append((offset, attempt))
        self._commits.touch(self)

    def attempts(self, offset: int) -> Sequence[Attempt]:
        """The failed attempts at an unacknowledged event, also those before a restart."""
        return self._attempts.get(offset, ())

    def forget(self, offset: int) -> None:
        """The event has ended where another broker keeps it: what had failed is no longer of interest."""
        if offset in self._attempts:
            self._forget(offset)
            self._commits.touch(self)

    @property
    def failing(self) -> Mapping[int, Sequence[Attempt]]:
        """All unacknowledged events that have failed attempts."""
        return self._attempts

    def dead_letter(self, offset: int, event: Event | None, reason: str, end: int | None = None) -> asyncio.Future[int]:
        """Moves the event to the dead letters with its attempts and acknowledges it, in one transaction.

        With `end` it acknowledges [offset, end): damaged records, or what nobody wanted behind this one. The result is
        the dead letter's number, after the sync. TooFarAhead; StoreFull: nothing has changed, call again.
        """
        end = offset + 1 if end is None else end
        if offset > self.position.low and end > self.position.low + AHEAD_MAX:
            raise TooFarAhead(f"offset {end - 1} is too far above {self.position.low}")
        attempts = tuple(self.attempts(offset))
        letter = DeadLetter(0, self.subscription, self.stream, offset, 0, reason, attempts, event)
        return self._letters.keep(letter, [(self, offset, end)])

    # -- for the log ---------------------------------------------------------------------------------------------------

    def skip_to(self, head: int) -> None:
        """Passes what retention has taken, and counts what was missed by it."""
        position = self.position
        if position.low < head:
            self.missed = head - position.low - position.acked_below(head)
            position.ack(position.low, head)

    def restore(self, attempts: Mapping[int, list[Attempt]]) -> None:
        """What the file holds of failed attempts."""
        self._attempts = {offset: some for offset, some in attempts.items() if not self.position.is_acked(offset)}
        self._stored = set(self._attempts)
        self._forgotten = [offset for offset in attempts if offset not in self._attempts]

    def statements(self, with_acked: Sequence[tuple[int, int]]) -> list[Statement]:
        """What brings the file to here, and further: to where these ranges are acknowledged, too."""
        position = self.position
        if with_acked:
            position = position.copy()
            for first, end in with_acked:
                position.ack(first, end)
        statements: list[Statement] = [(_PUT_POSITION, [(*self.values(position), self.number)])]
        if rows := [
            (self.number, offset, attempt.number, attempt.time_ms, attempt.code, attempt.reason)
            for offset, attempt in self._unstored
            if not position.is_acked(offset)
        ]:
            statements.append((_PUT_ATTEMPT, rows))
            self._stored.update(row[1] for row in rows)
        self._deleting = [*self._forgotten, *_within(self._stored, with_acked)]
        if self._deleting:
            statements.append((_FORGET_ATTEMPTS, [(self.number, offset) for offset in self._deleting]))
        self._unstored, self._forgotten = [], []
        return statements

    def values(self, position: Position) -> tuple[bytes, int]:
        """The columns `position` and `checksum`."""
        return subscription_values(self.number, self.subscription, self._stream.number, position)

    def synced(self) -> None:
        """The commit with the last `statements` is on disk."""
        self._stored.difference_update(self._deleting)
        self._deleting = []

    def acked(self, first: int, end: int) -> None:
        """A dead letter has been synced, and its acknowledgement with it."""
        self.position.ack(first, end)
        for offset in _within(self._attempts, [(first, end)]):
            del self._attempts[offset]

    def refused(self) -> None:
        """The commit with the last `statements` failed: all that may have been in it is written again."""
        self._unstored = [(offset, attempt) for offset, some in self._attempts.items() for attempt in some]
        self._forgotten = [offset for offset in self._stored if offset not in self._attempts]

    def _forget(self, offset: int) -> None:
        del self._attempts[offset]
        self._unstored = [(failed, attempt) for failed, attempt in self._unstored if failed != offset]
        if offset in self._stored:
            self._forgotten.append(offset)


def _within(offsets: Iterable[int], ranges: Sequence[tuple[int, int]]) -> list[int]:
    return [offset for offset in offsets if any(first <= offset < end for first, end in ranges)]
