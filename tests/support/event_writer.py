"""A process of its own that writes to an event log and says what was acknowledged; tests kill it or starve it.

`python -m tests.support.event_writer crash FILE SEED`: eight producers append events `SEED-PRODUCER-NUMBER` and one
subscriber takes them, until killed. A line `+ OFFSET ID` per synced event; `- OFFSET` when the subscriber has flushed
its acknowledgement; `x OFFSET` when a dead letter is synced.
`python -m tests.support.event_writer full FILE BYTES`: appends until no file may grow past BYTES, then lifts the limit.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
from pathlib import Path

import structlog

from core.clock import SystemClock
from core.errors import StoreFull
from eventing.event import Event
from eventing.log.base import EARLIEST, Damaged
from eventing.log.log import EventLog
from tests.support.event_log import STREAM, TRIGGER, event

PRODUCERS = 8


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def named(id: str, size: int) -> Event:
    return event(0, size=size).with_attributes(id=id)


async def write_until_killed(log: EventLog, seed: int) -> None:
    cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)

    async def produce(producer: int) -> None:
        chance = random.Random(seed * 1000 + producer)
        number = 0
        while True:
            ids = [f"{seed}-{producer}-{number + n}" for n in range(chance.choice((1, 1, 1, 5)))]
            number += len(ids)
            first = await log.append_nowait(STREAM, [named(id, chance.choice((10, 500, 9000))) for id in ids])
            say("\n".join(f"+ {offset} {id}" for offset, id in enumerate(ids, first)))

    async def subscribe() -> None:
        chance = random.Random(seed)
        async for entry in log.tail(STREAM, cursor.position.low):
            assert not isinstance(entry, Damaged)
            if cursor.position.is_acked(entry.offset):
                continue
            if chance.random() < 0.05:
                await cursor.dead_letter(entry.offset, entry.event, "unlucky")
                say(f"x {entry.offset}")
                continue
            cursor.ack(entry.offset)
            if chance.random() < 0.02:
                await log.flush()
                say(f"- {entry.offset}")

    await asyncio.gather(subscribe(), *(produce(producer) for producer in range(PRODUCERS)))


async def write_until_full(log: EventLog, bytes_max: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, hard))
    for attempt in ("before", "refused"):
        try:
            for n in range(1000):
                offset = await log.append_nowait(STREAM, [named(f"{attempt}{n}", 4000)])
                say(f"+ {offset} {attempt}{n}")
        except StoreFull as error:
            say(f"full {error.code} {error.message}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for n in range(10):
        offset = await log.append_nowait(STREAM, [named(f"after{n}", 4000)])
        say(f"+ {offset} after{n}")


async def main(what: str, file: str, number: int) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    log = EventLog(Path(file), SystemClock())
    await log.open()
    say("open")
    await {"crash": write_until_killed, "full": write_until_full}[what](log, number)
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
