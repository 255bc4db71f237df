"""What the event log costs: appends after the sync, the loop's share of them, recovery from `kill -9`, memory.

The bars of the whole broker are 12,000 events/s acknowledged over HTTP on one core, and delivery within two seconds of
a crash with 100,000 events undelivered; the log must leave most of both to the others. The disk's own rate of syncs
stands beside it: on a disk that needs 5 ms for one, group commit is what carries.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from benchmarks.report import Row, percentile
from core.clock import SystemClock
from eventing.event import Event
from eventing.log.base import EARLIEST, Retention
from eventing.log.log import EventLog

STREAM = "broker/default/orders"
TRIGGER = "trigger/default/orders"
BODY = b"x" * 512
APPENDS = 100_000
PRODUCERS = 50
UNDELIVERED = 100_000
FLAT = 1_000_000
READ_AHEAD = 1000


def event(number: int) -> Event:
    return Event(
        {
            "specversion": "1.0",
            "id": f"{number:032x}",
            "source": "/shop/orders",
            "type": "dev.pilotlight.order.placed",
            "datacontenttype": "application/json",
            "time": "2026-11-21T12:00:00.000000Z",
        },
        BODY,
    )


def syncs_per_s(folder: Path) -> float:
    """Bare fdatasync of one page, for half a second."""
    file = os.open(folder / "syncs", os.O_RDWR | os.O_CREAT)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < 0.5:
        os.pwrite(file, b"x" * 4096, 4096 * count)
        os.fdatasync(file)
        count += 1
    os.close(file)
    return count / (time.perf_counter() - began)


def bare_sqlite(path: Path, count: int, rows_per_commit: int) -> float:
    """Rows per second of the same bytes with the same pragmas, and nothing else."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("create table rows (number integer primary key, data blob)")
    began = time.perf_counter()
    for first in range(0, count, rows_per_commit):
        connection.execute("begin")
        connection.executemany("insert into rows values (?, ?)", [(first + n, BODY) for n in range(rows_per_commit)])
        connection.execute("commit")
    connection.close()
    return count / (time.perf_counter() - began)


async def appends(folder: Path, producers: int, count: int) -> tuple[float, list[float], float, float]:
    """Events/s, the time of each append, and CPU seconds per event of the loop's thread and of all threads."""
    log = EventLog(folder / f"appends{producers}.db", SystemClock())
    await log.open()
    times: list[float] = []
    made = [event(number) for number in range(1000)]

    async def produce(first: int) -> None:
        for number in range(first, count, producers):
            began = time.perf_counter()
            await log.append_nowait(STREAM, [made[number % 1000]])
            times.append(time.perf_counter() - began)

    began, loop_began, all_began = time.perf_counter(), time.thread_time(), time.process_time()
    await asyncio.gather(*(produce(first) for first in range(producers)))
    wall, on_loop, everywhere = (
        time.perf_counter() - began,
        time.thread_time() - loop_began,
        time.process_time() - all_began,
    )
    await log.close()
    return count / wall, times, on_loop / count, everywhere / count


async def append_rows(folder: Path) -> list[Row]:
    syncs = syncs_per_s(folder)
    beside = f"disk: {syncs:,.0f} syncs/s"
    rows = []
    for producers, count, bar in ((1, 5_000, None), (PRODUCERS, APPENDS // 2, None), (1000, APPENDS, 60_000)):
        rate, times, on_loop, everywhere = await appends(folder, producers, count)
        bare = bare_sqlite(folder / f"bare{producers}.db", count - count % producers, producers)
        p50, p99 = percentile(times, 0.5) * 1e3, percentile(times, 0.99) * 1e3
        rows.append(
            Row(
                f"append, {producers:,} at a time, acknowledged after the sync",
                f"≥ {bar:,}/s" if bar else "-",
                f"{rate:,.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms; CPU {on_loop * 1e6:.1f} µs on the loop, "
                f"{everywhere * 1e6:.1f} µs in all",
                rate >= bar if bar else None,
                f"{rate / bare:.2f} of bare sqlite3 with {producers:,} rows a commit ({bare:,.0f}/s); {beside}",
                numbers={"per_s": rate, "p50_ms": p50, "p99_ms": p99, "loop_us": on_loop * 1e6, "syncs_per_s": syncs},
            )
        )
    return rows


# -- recovery ----------------------------------------------------------------------------------------------------------


async def fill(path: Path, count: int) -> None:
    """In a process of its own: appends events that nobody acknowledges, then dies as `kill -9` has it."""
    log = EventLog(path, SystemClock())
    await log.open()
    await log.subscribe(TRIGGER, STREAM, EARLIEST)
    for first in range(0, count, 50):
        await log.append_nowait(STREAM, [event(number) for number in range(first, first + 50)])
    os.kill(os.getpid(), signal.SIGKILL)


async def recover(path: Path) -> tuple[float, float, float]:
    """Milliseconds to the first record in hand and to the last, and MiB that the memory grew by meanwhile."""
    gc.collect()
    before = resident_mib()
    began = time.perf_counter()
    log = EventLog(path, SystemClock())
    await log.open()
    cursor = log.cursor(TRIGGER)
    assert cursor is not None
    assert cursor.backlog == UNDELIVERED
    first_ms = highest = 0.0
    offset = cursor.position.low
    while entries := await log.read(STREAM, offset, READ_AHEAD):
        first_ms = first_ms or (time.perf_counter() - began) * 1e3
        cursor.ack(offset, entries[-1].after)
        offset = entries[-1].after
        highest = max(highest, resident_mib() - before)
    last_ms = (time.perf_counter() - began) * 1e3
    assert cursor.backlog == 0
    await log.close()
    return first_ms, last_ms, highest


def recovery_row(folder: Path) -> Row:
    path = folder / "recovery.db"
    ended = subprocess.run([sys.executable, "-m", "benchmarks.event_log", str(path)])
    assert ended.returncode == -signal.SIGKILL
    first_ms, last_ms, grown = uvloop.run(recover(path))
    return Row(
        f"after kill -9 with {UNDELIVERED:,} undelivered events",
        "delivering again in ≤ 2 s, bounded memory",
        f"first record after {first_ms:.0f} ms, all read after {last_ms:.0f} ms; memory +{grown:.1f} MiB",
        first_ms <= 2000 and grown < 64,
        numbers={"first_ms": first_ms, "last_ms": last_ms, "grown_mib": grown},
    )


# -- memory ------------------------------------------------------------------------------------------------------------


async def memory_row(folder: Path) -> Row:
    """A million events appended, delivered to a subscriber that keeps up, acknowledged, and taken away by retention."""
    log = EventLog(folder / "memory.db", SystemClock())
    await log.open()
    log.retain(STREAM, Retention(age_s=None, bytes_max=64 * 1024 * 1024))
    cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
    samples: list[float] = []
    disk_reads = 0
    began = time.perf_counter()
    for first in range(0, FLAT, 500):
        waiting = [log.append_nowait(STREAM, [event(first + n)]) for n in range(500)]
        await asyncio.gather(*waiting)
        records = log.fresh(STREAM, cursor.position.low, 1000)
        disk_reads += records is None
        for record in records or await log.read(STREAM, cursor.position.low, 1000):
            cursor.ack(record.offset)
        if first % (FLAT // 20) == 0:
            await log.prune()
            samples.append(resident_mib())
    wall = time.perf_counter() - began
    await log.close()
    settled = samples[4:]  # the cache of the latest records has its size by then
    grown = settled[-1] - settled[0]
    size = (folder / "memory.db").stat().st_size / 2**20
    return Row(
        f"memory over {FLAT:,} events, appended, delivered and acknowledged",
        "flat",
        f"{settled[0]:.1f} → {settled[-1]:.1f} MiB ({grown:+.1f}); {FLAT / wall:,.0f} events/s; file {size:.0f} MiB",
        abs(grown) < 8,
        f"{disk_reads} reads went to the disk",
        numbers={"grown_mib": grown, "samples_mib": samples, "per_s": FLAT / wall, "file_mib": size},
    )


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        recovery = recovery_row(folder)
        return [*uvloop.run(append_rows(folder)), recovery, uvloop.run(memory_row(folder))]


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1]), UNDELIVERED))
