"""Who reads which stream, and from where: cursors made, kept, let go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import structlog

from eventing.log.base import Attempt, Origin, Start
from eventing.log.commits import Commits, Write
from eventing.log.cursors import Cursor
from eventing.log.database import PUT_STREAM, PUT_SUBSCRIPTION, Contents, Statement
from eventing.log.dead_letters import DeadLetters
from eventing.log.positions import Position
from eventing.log.rows import SubscriptionRow, stream_values
from eventing.log.streams import Stream, Streams

log = structlog.get_logger()

_DELETE = "delete from subscriptions where number = ?"
_DELETE_ATTEMPTS = "delete from attempts where subscription = ?"


class Subscriptions:
    """All cursors. One that is *held* keeps retention from what it has not acknowledged; a released one does not."""

    def __init__(self, streams: Streams, commits: Commits, letters: DeadLetters) -> None:
        self._streams = streams
        self._commits = commits
        self._letters = letters
        self._held: dict[str, Cursor] = {}
        self._released: dict[str, Cursor] = {}
        self._last = 0

    def get(self, subscription: str) -> Cursor | None:
        return self._held.get(subscription)

    def of(self, stream: str) -> list[str]:
        """The names of all, also of those that were let go of with their positions."""
        cursors = (*self._held.values(), *self._released.values())
        return [cursor.subscription for cursor in cursors if cursor.stream == stream]

    def restore(self, contents: Contents) -> None:
        """What the file holds of cursors and of failed attempts."""
        streams = {stream.number: stream for stream in self._streams}
        attempts: defaultdict[int, defaultdict[int, list[Attempt]]] = defaultdict(lambda: defaultdict(list))
        for subscription, offset, number, time_ms, code, reason in contents.attempts:
            attempts[subscription][offset].append(Attempt(number, time_ms, code, reason))
        for stored in contents.subscriptions:
            self._last = max(self._last, stored.number)
            if (stream := streams.get(stored.stream)) is None:
                log.error("subscription of a lost stream", subscription=stored.name)
                continue
            self._restore_one(stored, stream, attempts[stored.number])

    def _restore_one(self, stored: SubscriptionRow, stream: Stream, attempts: Mapping[int, list[Attempt]]) -> None:
        position = stored.position
        if position is None:
            log.error("damaged position: everything kept is delivered again", subscription=stored.name)
            position = Position(stream.head)
        if position.top > stream.tail:
            log.error("events at the end of a stream are lost", stream=stream.name, count=position.top - stream.tail)
            stream.tail = position.top  # no offset that was acknowledged may be given to another event
        cursor = self._cursor(stored.number, stored.name, stream, position)
        if stored.held and position.low < stream.head:  # only a damaged file has such a thing
            cursor.skip_to(stream.head)
            log.error("a position was lost", subscription=stored.name, passed=cursor.missed)
        cursor.restore(attempts)
        if stored.held:
            self._hold(cursor, stream)
        else:
            self._released[stored.name] = cursor

    async def subscribe(self, subscription: str, stream_name: str, start: Start, offset: int) -> Cursor:
        """`offset` is where `start` of time or offset leads. StoreFull."""
        if (cursor := self._held.get(subscription)) is not None:
            if cursor.stream == stream_name:
                return cursor
            await self.unsubscribe(subscription, keep_position=False)
        stream = self._streams.get_or_make(stream_name)
        if (cursor := self._released.get(subscription)) is None or cursor.stream != stream_name:
            self._last += 1
            cursor = self._cursor(self._last, subscription, stream, _begin(stream, start, offset))
        else:
            cursor.skip_to(stream.head)
        statements: list[Statement] = [] if stream.stored else [(PUT_STREAM, [stream_values(stream.row)])]
        self._hold(cursor, stream)  # from now on, so that retention takes nothing from under it
        try:
            await self._commits.write(Write([*statements, _row(cursor, stream, held=True)]))
        except BaseException:
            self._let_go(cursor, stream)
            raise
        stream.stored = True
        self._released.pop(subscription, None)
        return cursor

    async def unsubscribe(self, subscription: str, keep_position: bool) -> None:
        """StoreFull: nothing has changed."""
        cursor = self._held.get(subscription) or self._released.get(subscription)
        if cursor is None:
            return
        stream = self._streams.get_or_make(cursor.stream)
        if keep_position:
            await self._commits.write(Write([_row(cursor, stream, held=False)], with_acks=True))
            self._released[subscription] = cursor
        else:
            self._commits.forget(cursor)
            number = [(cursor.number,)]
            await self._commits.write(Write([(_DELETE, number), (_DELETE_ATTEMPTS, number)]))
            self._released.pop(subscription, None)
        self._let_go(cursor, stream)

    async def drop_all(self, stream: str) -> None:
        """All subscriptions of the stream. StoreFull."""
        for name, cursor in [*self._held.items(), *self._released.items()]:
            if cursor.stream == stream:
                await self.unsubscribe(name, keep_position=False)

    def _cursor(self, number: int, subscription: str, stream: Stream, position: Position) -> Cursor:
        return Cursor(number, subscription, stream, position, self._commits, self._letters)

    def _hold(self, cursor: Cursor, stream: Stream) -> None:
        self._held[cursor.subscription] = cursor
        stream.cursors.add(cursor)

    def _let_go(self, cursor: Cursor, stream: Stream) -> None:
        self._held.pop(cursor.subscription, None)
        stream.cursors.discard(cursor)


def _begin(stream: Stream, start: Start, offset: int) -> Position:
    if start.origin is Origin.NOW:
        return Position(stream.tail)
    if start.origin is Origin.EARLIEST:
        return Position(stream.head)
    return Position(min(max(offset, stream.head), stream.tail))


def _row(cursor: Cursor, stream: Stream, held: bool) -> Statement:
    position = cursor.values(cursor.position)
    return PUT_SUBSCRIPTION, [(cursor.number, cursor.subscription, stream.number, int(held), *position)]
