"""A process of its own that writes to a SQLite store and says what was acknowledged; tests kill it or starve it.

`python -m tests.support.store_writer crash FILE SEED`: writes until killed, a line `NAME VALUE` per acknowledged write,
`NAME going` before a deletion and `NAME gone` after it.
`python -m tests.support.store_writer full FILE BYTES`: writes until no file may grow past BYTES, then lifts that limit.
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
from core.store.sqlite import SqliteStore
from tests.support.kinds import BOOK, GLANCE, TEST_KINDS, make

WRITERS = 8


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def write_until_killed(store: SqliteStore, seed: int) -> None:
    async def writer(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        life = 0
        while True:
            name = f"s{seed}-{number}-{life}"
            text = "x" * chance.randrange(20, 5000)
            await store.create(BOOK, make(name, spec={"value": 0, "text": text}))
            say(f"{name} 0")
            for value in range(1, chance.randrange(2, 6)):
                await store.update(BOOK, make(name, spec={"value": value, "text": text}))
                say(f"{name} {value}")
                if chance.random() < 0.3:
                    await store.create(GLANCE, make(f"{name}-{value}"))
            if chance.random() < 0.4:
                say(f"{name} going")
                await store.delete(BOOK, name, "default")
                say(f"{name} gone")
            life += 1

    await asyncio.gather(*(writer(number) for number in range(WRITERS)))


async def write_until_full(store: SqliteStore, bytes_max: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, hard))
    for attempt in ("before", "refused"):
        try:
            for n in range(1000):
                await store.create(BOOK, make(f"{attempt}{n}", spec={"value": 0, "text": "x" * 4000}))
                say(f"{attempt}{n} 0")
        except StoreFull as error:
            say(f"full {error.message}")
    assert all(obj["metadata"]["name"].startswith("before") for obj in (await store.list(BOOK)).items)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for n in range(10):
        await store.create(BOOK, make(f"after{n}", spec={"value": 0}))
        say(f"after{n} 0")


async def main(what: str, file: str, number: int) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    store = SqliteStore(Path(file), TEST_KINDS, SystemClock())
    await store.open()
    say("open")
    await {"crash": write_until_killed, "full": write_until_full}[what](store, number)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
