"""A row is the last word of the data path beside that of the autoscaler."""

from __future__ import annotations

import asyncio

import pytest

from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.stats import RequestStatistic, RevisionKey, StatisticBus
from core.store.memory import MemoryStore
from pilotlight.top import Top, state_of
from tests.support.clock import FakeClock

BUSY = RevisionKey("default", "busy-00001")


async def rows(clock: FakeClock, later_s: float) -> list[Json]:
    store = MemoryStore(KINDS, clock)
    for name in ("asleep-00001", "busy-00001"):
        scaled = {"desiredScale": 3, "actualScale": 1} if name.startswith("busy") else {}
        await store.create(
            POD_AUTOSCALER,
            {"metadata": {"name": name, "namespace": "default"}, "spec": {}, "status": scaled},
        )
    bus = StatisticBus()
    top = Top(store, bus, clock, lambda key: 7 if key == BUSY else 0)
    bus.publish(RequestStatistic(BUSY, clock.monotonic(), 2.0, 1.5, 50.0, 4))
    bus.publish(RequestStatistic(BUSY, clock.monotonic(), 0.0, 1.0, 1.0, 99, poke=True))
    await clock.advance(later_s)
    return await top.rows()


def test_the_busiest_come_first() -> None:
    busy, asleep = asyncio.run(rows(FakeClock(), 1.0))
    assert busy == {
        "namespace": "default",
        "revision": "busy-00001",
        "ready": 1,
        "desired": 3,
        "inFlight": 4,
        "waiting": 7,
        "requestsPerSecond": 25.0,
        "state": "growing",
    }
    assert (asleep["revision"], asleep["state"], asleep["requestsPerSecond"]) == ("asleep-00001", "asleep", 0.0)


def test_an_old_statistic_says_nothing_about_now() -> None:
    found = {row["revision"]: row for row in asyncio.run(rows(FakeClock(), 60.0))}
    assert found["busy-00001"]["inFlight"] == 0


@pytest.mark.parametrize(
    ("ready", "desired", "word"),
    [(0, 0, "asleep"), (0, 1, "waking"), (1, 2, "growing"), (2, 2, "awake"), (3, 1, "shrinking")],
)
def test_states(ready: int, desired: int, word: str) -> None:
    assert state_of(ready, desired) == word
