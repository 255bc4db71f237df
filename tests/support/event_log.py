"""Event logs for tests: opened on a file, closed at the end; small events with numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from core.clock import Clock
from eventing.event import Event
from eventing.log.base import Damaged, Entry
from eventing.log.database import Disk
from eventing.log.log import EventLog
from tests.support.clock import FakeClock

STREAM = "broker/default/b"
TRIGGER = "trigger/default/t"


def event(number: int, size: int = 20, **attributes: str | int | bool) -> Event:
    fixed: dict[str, str | int | bool] = {"specversion": "1.0", "id": f"e{number}", "source": "/test", "type": "t"}
    return Event(fixed | attributes, f"{number:0{size}}".encode())


def events(count: int, first: int = 0) -> list[Event]:
    return [event(number) for number in range(first, first + count)]


@asynccontextmanager
async def opened(path: Path, clock: Clock | None = None, disk: Disk | None = None) -> AsyncIterator[EventLog]:
    log = EventLog(path, clock or FakeClock(), disk)
    await log.open()
    try:
        yield log
    finally:
        await log.close()


def told(entries: Sequence[Entry]) -> list[str]:
    """Entries as text: `3:e3` for a record, `4-6!` for damage."""
    return [
        f"{entry.offset}-{entry.after - 1}!" if isinstance(entry, Damaged) else f"{entry.offset}:{entry.event.id}"
        for entry in entries
    ]


async def read_all(log: EventLog, stream: str = STREAM, offset: int = 0) -> list[Entry]:
    entries: list[Entry] = []
    while some := await log.read(stream, offset, 7):
        entries += some
        offset = some[-1].after
    return entries
