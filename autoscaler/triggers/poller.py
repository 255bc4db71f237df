"""Reads each trigger when it is due, or when its source says that there is work. Called by the loops of both kinds.

One heap of timers, and a task for each reading that is under way; a source that pushes has one of its own besides. A
source that hangs or fails keeps nobody waiting: it has a deadline, gives up its place among the readings that are made
at once after a moment, and is asked ever more seldom.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import Final

import structlog

from autoscaler.triggers import circuit as circuits
from autoscaler.triggers.circuit import pause
from autoscaler.triggers.making import Make
from autoscaler.triggers.masking import masked
from autoscaler.triggers.pace import breathless_s, due_at
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.sources import Owner, Source
from autoscaler.triggers.timers import Timers
from core.clock import Clock
from core.errors import PermanentError, TemporaryError
from core.tasks import Started
from scalers.base import Pushing
from scalers.readings import Trigger

READINGS_AT_ONCE: Final = 64
HELD_S: Final = 0.25
"""So long a reading counts among those; a slow one goes on beside them, and there is one per trigger at most."""
EARLY_PER_S: Final = 100.0
"""Readings before their polling interval is over, of all triggers together."""
READ_FIRST_S: Final = 0.05
"""So long a push waits for its reading, so that one decision is made of both."""
CLOSE_S: Final = 2.0
"""For a scaler to give back what it holds."""
NO_TROUBLE: Final[Mapping[int, str]] = {}
_STEADY_S: Final = 60.0
"""A stream that has lasted so long had begun well."""

log = structlog.get_logger()

Told = Callable[[Owner], None]
"""One of the owner's triggers has something new, or has failed once more."""


class Poller:
    """All triggers. Constructed without effect; before `run` they wait."""

    def __init__(self, clock: Clock, make: Make, told: Told) -> None:
        self._clock = clock
        self._make = make
        self._told = told
        self._sources: dict[Owner, list[Source]] = {}
        self._timers: Timers[Source] = Timers(clock)
        self._reading: dict[Source, asyncio.Task[None]] = {}
        self._outdated: set[Source] = set()  # of those: what spoke up since it was asked
        self._streams: dict[Source, asyncio.Task[None]] = {}
        self._leaving: set[Source] = set()  # gone, and not closed yet
        self._waiting: deque[Source] = deque()
        self._places = READINGS_AT_ONCE
        self._early = _Budget()
        self._group: asyncio.TaskGroup | None = None

    async def run(self, started: Started) -> None:
        """Until cancelled; then every scaler is closed."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                started()
                try:
                    await self._timers.run(self._ring)
                finally:
                    self._group = None
        finally:
            await self._close_all()

    def place(
        self, owner: Owner, triggers: Sequence[Trigger], polling_s: float, troubles: Mapping[int, str] = NO_TROUBLE
    ) -> None:
        """An owner has these triggers from now on. Those that are as they were keep their scalers and readings.

        `troubles` are what is wrong with some of them, by index: they are never asked.
        """
        before = {source.trigger.index: source for source in self._sources.get(owner, ())}
        kept: list[Source] = []
        for trigger in triggers:
            source, trouble = before.get(trigger.index), troubles.get(trigger.index, "")
            if source is None or source.trigger != trigger or source.trouble != trouble:
                source = Source(trigger, polling_s, trouble)
                self._timers.set(source, self._clock.monotonic())
            else:
                del before[trigger.index]
                if source.polling_s != polling_s:
                    source.polling_s = polling_s
                    self._plan(source)
            kept.append(source)
        self._sources[owner] = kept
        for source in before.values():
            self._let_go(source)

    def remove(self, owner: Owner) -> None:
        """The owner is gone, or paused."""
        for source in self._sources.pop(owner, ()):
            self._let_go(source)

    def samples(self, owner: Owner) -> list[Sample]:
        """What is known now."""
        now = self._clock.monotonic()
        return [sample for source in self._sources.get(owner, ()) for sample in source.samples(now)]

    def sources(self, owner: Owner) -> Sequence[Source]:
        """For status and metrics; to be read only."""
        return self._sources.get(owner, ())

    def __iter__(self) -> Iterator[Owner]:
        return iter(self._sources)

    def __len__(self) -> int:
        """How many triggers there are."""
        return sum(map(len, self._sources.values()))

    # When.

    def _ring(self, source: Source) -> None:
        """Its time has come: to be asked, or only to be counted as one that was not to be asked."""
        now = self._clock.monotonic()
        if source.gone:
            return
        if source.error and (source.permanent or source.circuit.ask_at > now):
            source.recount()
            self._plan(source)
            self._told(source.owner)
            return
        self._ask_soon(source)

    def _plan(self, source: Source) -> None:
        """Sets the time of its next reading."""
        now, circuit = self._clock.monotonic(), source.circuit
        if source.gone or source in self._reading:
            return
        if source.error:
            at = circuits.next_missed_at(circuit, now, source.polling_s)
            if not source.permanent:
                at = min(at, max(now, circuit.ask_at))
        else:
            at = due_at(now, source.pace, source.polling_s, source.number)
        source.due_at = at
        self._timers.set(source, at)

    def _ask_soon(self, source: Source) -> None:
        if source.gone or self._group is None:
            return
        if source in self._reading:
            return  # whoever wanted it comes again when it has ended: see `_ask`
        if self._places <= 0:
            if source not in self._waiting:
                self._waiting.append(source)
            return
        self._places -= 1
        self._reading[source] = self._group.create_task(self._ask(source), name=f"triggers:read {source.owner.key}")

    async def _ask(self, source: Source) -> None:
        """One reading, and what follows from it."""
        held = _Place(self._free)
        alarm = asyncio.get_running_loop().call_later(HELD_S, held.leave)
        try:
            await source.ask(self._make, self._clock)
        finally:
            alarm.cancel()
            held.leave()
            self._reading.pop(source, None)
        if source.gone:
            self._outdated.discard(source)
            return
        self._start_stream(source)
        if not source.error and source.pace.gap_s < source.polling_s and not self._early.spend(self._clock.monotonic()):
            source.pace = replace(source.pace, gap_s=source.polling_s)
        self._plan(source)
        if source in self._outdated:  # pushed while it was read: once more
            self._outdated.discard(source)
            self._hurry(source)
        self._told(source.owner)

    def _free(self) -> None:
        self._places += 1
        while self._waiting and self._places > 0:
            self._ask_soon(self._waiting.popleft())

    # What pushes.

    def _start_stream(self, source: Source) -> None:
        if self._group is None or source.seen is source.scaler:
            return
        source.seen = source.scaler
        if isinstance(source.scaler, Pushing) and not source.trigger.cached:
            self._streams[source] = self._group.create_task(
                self._listen(source, source.scaler), name=f"triggers:listen {source.owner.key}"
            )

    async def _listen(self, source: Source, scaler: Pushing) -> None:
        broken = 0
        while not source.gone:
            began = self._clock.monotonic()
            try:
                await scaler.run(partial(self._hear, source))
                problem = "it ended"
            except (TemporaryError, PermanentError) as error:
                problem = masked(str(error), source.trigger)
            except Exception as error:
                problem = type(error).__name__
            broken = 1 if self._clock.monotonic() - began > _STEADY_S else broken + 1
            after_s = pause(broken, 0.0)
            log.info("stream of a trigger broke", trigger=source.describe(), error=problem, again_in_s=after_s)
            await self._clock.sleep(after_s)

    def _hear(self, source: Source, active: bool) -> None:
        """A source speaks up: it is read, and that there is work counts also where the reading keeps it waiting."""
        if source.gone:
            return

        def tell() -> None:
            if source.pushed_at is not None and not source.gone:  # nothing was read since it was heard
                self._told(source.owner)

        wait_s = 0.0
        if source in self._reading:
            self._outdated.add(source)
        else:
            wait_s = self._hurry(source)
        if active and source.pushed_at is None:
            source.push(self._clock.monotonic())
            if wait_s > READ_FIRST_S:
                tell()
            else:
                asyncio.get_running_loop().call_later(READ_FIRST_S, tell)

    def _hurry(self, source: Source) -> float:
        """Reads it as soon as a push may have it read; in how many seconds that is."""
        now = self._clock.monotonic()
        wait_s = breathless_s(source.breath, now)
        if wait_s:
            self._timers.set(source, min(self._timers.at(source) or inf, now + wait_s))
        else:
            self._timers.clear(source)
            self._ask_soon(source)
        return wait_s

    # The end of it.

    def _let_go(self, source: Source) -> None:
        source.gone = True
        self._timers.clear(source)
        tasks = [task for task in (self._reading.get(source), self._streams.pop(source, None)) if task is not None]
        for task in tasks:
            task.cancel()
        if self._group is not None and source.scaler is not None:
            self._leaving.add(source)
            self._group.create_task(self._close(source, tasks), name=f"triggers:close {source.owner.key}")

    async def _close(self, source: Source, tasks: Sequence[asyncio.Task[None]] = ()) -> None:
        if tasks:
            await asyncio.wait(tasks)
        self._leaving.discard(source)
        scaler, source.scaler = source.scaler, None
        if scaler is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await scaler.close()
        except Exception as error:
            log.warning("scaler did not close", trigger=source.describe(), error=type(error).__name__)

    async def _close_all(self) -> None:
        sources = [source for owned in self._sources.values() for source in owned]
        for source in sources:
            source.gone = True
        await asyncio.gather(*(self._close(source) for source in (*sources, *self._leaving)))


class _Place:
    """One of the places of readings that are made at once: left once, by whoever is first."""

    __slots__ = ("_free",)

    def __init__(self, free: Callable[[], None]) -> None:
        self._free: Callable[[], None] | None = free

    def leave(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            free()


class _Budget:
    """Of early readings, for all triggers together."""

    def __init__(self) -> None:
        self._left = EARLY_PER_S
        self._at = 0.0

    def spend(self, now: float) -> bool:
        """Whether there was one left."""
        self._left = min(EARLY_PER_S, self._left + (now - self._at) * EARLY_PER_S)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
