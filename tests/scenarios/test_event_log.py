"""Seeded faults over the event log: whatever happens, it keeps what it has promised, and says what it could not keep.

What must hold after every crash, for every seed:

- an event whose append was answered is read again at its offset, or its loss is told;
- what is read was appended, and to that stream;
- a position never passes what was not acknowledged, and is never behind a flush;
- a dead letter is there exactly if its acknowledgement is.

Where the disk itself has lied about syncs, no log can hold the first and the last: then the end of a stream may be gone
without a word, and only what is still told is checked. A flipped bit in SQLite's own log cuts off what was written
after it; the log says that it did.

`python -m tests.scenarios.test_event_log FIRST COUNT` plays as many seeds as you like; a seed that fails says what was
done to it, step by step, and plays the same again.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from unittest import mock

import pytest
from structlog.testing import capture_logs

from core.errors import ApiError, PermanentError, StoreFull
from eventing.event import Event
from eventing.log import commits
from eventing.log.base import EARLIEST, Attempt, Damaged, Retention
from eventing.log.cursors import Cursor
from eventing.log.log import EventLog
from tests.support.clock import FakeClock
from tests.support.event_log import event
from tests.support.platter import Crash, Moment, Platter

SEEDS, BLOCK = 300, 25
STEPS = 45
MEMORY = Path("/dev/shm")  # the platter does the syncing; the real disk would only be slow
STREAMS = ("broker/default/a", "broker/default/b")
SUBSCRIPTIONS = {"trigger/default/one": STREAMS[0], "trigger/default/two": STREAMS[0], "trigger/default/b": STREAMS[1]}


class Expected:
    """What one subscription has been told to do."""

    def __init__(self) -> None:
        self.acked: set[int] = set()  # ever asked for
        self.noted: set[int] = set()  # asked for in this life
        self.flushed: set[int] = set()
        self.dead: set[int] = set()  # asked for
        self.buried: set[int] = set()  # answered


class Story:
    """One seed's worth of trouble, and what is known of the log."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.platter = Platter(folder, self.chance)
        self.clock = FakeClock()
        self.steps: list[str] = []
        self.appended: dict[str, dict[str, Event]] = {name: {} for name in STREAMS}
        self.answered: dict[str, dict[int, str]] = {name: {} for name in STREAMS}
        self.expected = {name: Expected() for name in SUBSCRIPTIONS}
        self.damage = False  # bits were flipped, or syncs were lies, at some time
        self.lied = False
        self.numbers = 0
        self._things: tuple[Callable[[], Awaitable[str]], ...] = (
            *(self.append, self.append, self.append, self.append_many, self.ack, self.ack, self.ack_range, self.fail),
            *(self.dead_letter, self.dead_letter, self.wait, self.flush, self.retain, self.jump, self.reattach),
            *(self.crash_soon, self.crash_soon, self.end, self.refuse, self.close, self.lie, self.flip),
        )

    async def play(self) -> None:
        await self.open()
        for _ in range(STEPS):
            thing = self.chance.choice(self._things)
            try:
                self.steps.append(await thing())
            except (Crash, StoreFull) as error:
                self.steps.append(f"{thing.__name__} {'refused' if isinstance(error, StoreFull) else 'cut off'}")
            if self.platter.dead:
                await self.restart()
        self.platter.crash_at, self.platter.refusals = None, 0
        await self.close()

    # -- lives ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        self.log = EventLog(self.platter.path, self.clock, self.platter.disk())
        await self.log.open()
        for stream in STREAMS:
            self.log.retain(stream, Retention(age_s=3600, bytes_max=2000))
        for name, stream in SUBSCRIPTIONS.items():
            await self.log.subscribe(name, stream, EARLIEST)  # as a controller does, whatever is there

    async def restart(self) -> None:
        self.steps.append("— restart —")
        lied, self.lied = self.platter.lies, self.lied or self.platter.lies
        self.damage = self.damage or lied
        abandon(self.log)
        self.platter.live_again()
        await self.open()
        await self.check(lied)

    async def close(self) -> str:
        self.platter.refusals = 0
        try:
            await self.log.close()
        except (Crash, ApiError):
            abandon(self.log)
        if not self.platter.dead:
            await self.open()
            await self.check(lied=False)
        return "close"

    # -- what users do -------------------------------------------------------------------------------------------------

    async def append(self) -> str:
        stream = self.chance.choice(STREAMS)
        return await self._append([(stream, self.chance.randint(1, 4))])

    async def append_many(self) -> str:
        return await self._append([(self.chance.choice(STREAMS), 1) for _ in range(self.chance.randint(2, 30))])

    async def _append(self, calls: Sequence[tuple[str, int]]) -> str:
        waiting = []
        for stream, count in calls:
            some = [event(self.numbers + n, size=self.chance.choice((5, 50, 3000))) for n in range(count)]
            self.numbers += count
            self.appended[stream].update((one.id, one) for one in some)
            waiting.append((stream, some, self.log.append_nowait(stream, some)))
        results = await asyncio.gather(*(done for _, _, done in waiting), return_exceptions=True)
        for (stream, some, _), first in zip(waiting, results, strict=True):
            if isinstance(first, int):
                self.answered[stream].update((offset, one.id) for offset, one in enumerate(some, first))
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return f"append {sum(count for _, count in calls)}"

    def _some_cursor(self) -> tuple[Cursor, Expected, list[int]]:
        name = self.chance.choice(list(SUBSCRIPTIONS))
        cursor = self.log.cursor(name)
        assert cursor is not None
        tail = self.log.stream(cursor.stream).tail
        open_offsets = [offset for offset in range(cursor.position.low, tail) if not cursor.position.is_acked(offset)]
        return cursor, self.expected[name], open_offsets

    async def ack(self) -> str:
        cursor, expected, offsets = self._some_cursor()
        for offset in self.chance.sample(offsets, min(len(offsets), self.chance.randint(1, 5))):
            expected.acked.add(offset)
            expected.noted.add(offset)
            cursor.ack(offset)
        return f"ack for {cursor.subscription}"

    async def ack_range(self) -> str:
        cursor, expected, offsets = self._some_cursor()
        end = self.chance.choice(offsets) + 1 if offsets else 0
        expected.acked |= set(range(cursor.position.low, end))
        expected.noted |= set(range(cursor.position.low, end))
        if offsets:
            cursor.ack(cursor.position.low, end)
        return f"ack to {end} for {cursor.subscription}"

    async def fail(self) -> str:
        cursor, _, offsets = self._some_cursor()
        if offsets:
            offset = self.chance.choice(offsets)
            cursor.fail(offset, Attempt(len(cursor.attempts(offset)) + 1, 0, 503, f"busy {offset}"))
        return f"fail for {cursor.subscription}"

    async def dead_letter(self) -> str:
        cursor, expected, offsets = self._some_cursor()
        if not offsets:
            return "nothing to bury"
        offset = self.chance.choice(offsets)
        expected.dead.add(offset)
        await cursor.dead_letter(offset, event(offset), "why not")
        expected.buried.add(offset)
        return f"bury {offset} for {cursor.subscription}"

    async def flush(self) -> str:
        await self.log.flush()
        for expected in self.expected.values():
            expected.flushed |= expected.noted
        return "flush"

    async def wait(self) -> str:
        self.log._commits._acks_are_due()
        await self.log.append_nowait("broker/default/idle", [])
        return "time passes"

    async def retain(self) -> str:
        await self.log.prune()
        return "retention"

    async def jump(self) -> str:
        seconds = self.chance.choice((-86_400.0, -5.0, 5.0, 600.0, 86_400.0))
        self.clock.jump_wall(seconds)
        return f"the clock jumps by {seconds} s"

    async def reattach(self) -> str:
        name = self.chance.choice(list(SUBSCRIPTIONS))
        await self.log.unsubscribe(name, keep_position=True)
        await self.log.subscribe(name, SUBSCRIPTIONS[name], EARLIEST)
        return f"release and take up {name}"

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    async def crash_soon(self) -> str:
        self.platter.crash_at = self.chance.choice(list(Moment))
        return f"crash {self.platter.crash_at}"

    async def end(self) -> str:
        power = self.chance.random() < 0.5
        self.platter.die(power)
        return "power off" if power else "kill -9"

    async def refuse(self) -> str:
        self.platter.refusals = self.chance.randint(1, 3)
        return f"the disk refuses {self.platter.refusals} commits"

    async def lie(self) -> str:
        if self.chance.random() < 0.7:
            return "the disk is honest"
        self.platter.lie()
        return "the disk lies"

    async def flip(self) -> str:
        if self.chance.random() < 0.7 or self.platter.lies or self.platter.crash_at is not None:
            return "no bit flips"
        self.platter.die()
        abandon(self.log)
        self.platter.live_again()
        self.damage = True
        self.steps.append(f"kill -9, {self.platter.flip_a_bit()} flips")
        await self.open()
        await self.check(lied=self.log.cut_off > 0)
        return "— restart —"

    # -- what must hold ------------------------------------------------------------------------------------------------

    async def check(self, lied: bool) -> None:
        for stream in STREAMS:
            await self._check_stream(stream, lied)
        for name in SUBSCRIPTIONS:
            await self._check_subscription(name)

    async def _check_stream(self, stream: str, lied: bool) -> None:
        info, answered = self.log.stream(stream), self.answered[stream]
        found: dict[int, str] = {}
        expected = info.head
        while entries := await self.log.read(stream, expected, self.chance.choice((1, 5, 100))):
            for entry in entries:
                assert entry.offset == expected, f"{stream}: a gap from {expected} to {entry.offset}"
                expected = entry.after
                if isinstance(entry, Damaged):
                    assert self.damage, f"{stream}: {entry} on a disk without fault"
                    found.update(dict.fromkeys(range(entry.offset, entry.after), "damaged"))
                else:
                    assert self.appended[stream].get(entry.event.id) == entry.event, f"{stream}: never appended {entry}"
                    found[entry.offset] = entry.event.id
        assert expected == info.tail
        if lied:  # what the disk has swallowed is lost: its end, and whatever it told
            self.answered[stream] = answered = {o: id for o, id in answered.items() if o in found}
        for offset, id in answered.items():
            if offset >= info.head:
                assert found.get(offset) in (id, "damaged"), f"{stream}: {offset} was {id}, is {found.get(offset)}"
        seen = [id for id in found.values() if id != "damaged"]
        assert len(seen) == len(set(seen)), f"{stream}: an event is there twice"
        low = min(self._cursor(name).position.low for name, of in SUBSCRIPTIONS.items() if of == stream)
        assert info.head <= low, f"{stream}: {info.head} was taken from a subscription at {low}"
        self.answered[stream] = {offset: id for offset, id in found.items() if id != "damaged"}

    async def _check_subscription(self, name: str) -> None:
        cursor, expected = self._cursor(name), self.expected[name]
        letters = {letter.offset for letter in await self.log.dead_letters.list(name, count_max=1000)}
        head, tail = self.log.stream(cursor.stream).head, self.log.stream(cursor.stream).tail
        acked = {offset for offset in range(head, tail) if cursor.position.is_acked(offset)}
        told = expected.acked | expected.dead
        assert acked <= told, f"{name} passed {sorted(acked - told)}, which nobody acknowledged"
        assert letters <= expected.dead, f"{name}: dead letters {sorted(letters - expected.dead)} out of nowhere"
        if not self.damage:
            must = {offset for offset in expected.flushed | expected.buried if offset >= head}
            assert must <= acked, f"{name} forgot {sorted(must - acked)}, which were synced"
            buried = (acked & expected.dead) - expected.acked
            assert buried <= letters, f"{name}: {sorted(buried - letters)} acknowledged without a dead letter"
            assert {offset for offset in letters if offset is not None and offset >= head} <= acked
            for offset, attempts in cursor.failing.items():
                assert offset not in acked
                assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
        # What was asked for and did not happen may happen later, or never.
        expected.noted = set()
        expected.flushed &= acked
        expected.buried &= acked

    def _cursor(self, name: str) -> Cursor:
        cursor = self.log.cursor(name)
        assert cursor is not None
        return cursor


def abandon(log: EventLog) -> None:
    """What is left of a dead process: the kernel closes its files."""
    log._file._database.close()
    log._file._reader.close()
    log._file._lock.release()


async def play(seed: int, folder: Path) -> None:
    story = Story(seed, folder)
    try:
        await story.play()
    except BaseException as error:
        if isinstance(error, PermanentError) and story.damage:
            return  # it says that it cannot read the file, and leaves it alone
        error.add_note(f"seed {seed}: " + " · ".join(story.steps))
        raise
    finally:
        abandon(story.log)


def play_all(first: int, count: int) -> None:
    for seed in range(first, first + count):
        # Time passes when the story says so. (What is logged is of no use to whoever reads of a failed seed.)
        never = mock.patch.multiple(commits, _ACK_DELAY_S=1e6, _REFUSED_DELAY_S=1e6)
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder, never, capture_logs():
            asyncio.run(play(seed, Path(folder)))


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_the_log_keeps_its_promises(first: int) -> None:
    play_all(first, BLOCK)


if __name__ == "__main__":
    play_all(int(sys.argv[1]), int(sys.argv[2]))
    print(f"seeds {sys.argv[1]} and the {int(sys.argv[2]) - 1} after it hold")
