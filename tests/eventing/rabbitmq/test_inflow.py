"""A queue that others publish into. (Reading a real one: tests/eventing/sources/test_rabbitmq.py.)"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.clients.rabbitmq_access import Access
from core.clock import SystemClock
from core.errors import TemporaryError
from eventing.brokers.base import Interest
from eventing.filters.clauses import everything
from eventing.log.base import NOW
from eventing.log.log import EventLog
from eventing.rabbitmq.inflow import BINDING_READY, EXCHANGE_READY, QUEUE_READY, STAGES, Intended, QueueInflow
from tests.support.subscribers import event


async def find() -> Access:
    raise TemporaryError("nobody knows")


def make(tmp_path: Path, intended: Intended) -> QueueInflow:
    clock = SystemClock()
    log = EventLog(tmp_path / "events.db", clock)
    return QueueInflow("rabbitmqsource/n/s", "/apis/s", intended, find, (log.dead_letters, clock))


@pytest.mark.parametrize(("predeclared", "first"), [(False, EXCHANGE_READY), (True, QUEUE_READY)])
def test_what_comes_first(tmp_path: Path, predeclared: bool, first: str) -> None:
    inflow = make(tmp_path, Intended("q", "x", predeclared=predeclared))
    assert inflow.missing == first
    assert inflow.trouble
    assert STAGES == (EXCHANGE_READY, QUEUE_READY, BINDING_READY)


def test_it_takes_no_events_and_keeps_none_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        inflow = make(tmp_path, Intended("q", "x"))
        with pytest.raises(TemporaryError, match="takes no events"):
            inflow.append([event()])
        await inflow.reserve("rabbitmqsource/n/s", NOW)
        feed = await inflow.subscribe(Interest("rabbitmqsource/n/s", everything(), "", NOW))
        assert (feed.backlog, feed.take(1)) == (0, [])
        await inflow.unsubscribe("rabbitmqsource/n/s")
        await inflow.erase()  # nothing was ever declared: nothing is asked

    asyncio.run(main())
