"""What belongs to one broker or subscription fails alone (the rest of it is tested with its controllers)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.inside import Reply
from core.resources.eventing import BROKER, TRIGGER
from core.tasks import Started
from eventing import dataplane
from eventing.brokers.embedded import EmbeddedBroker
from eventing.chronicle import Chronicle
from eventing.dispatcher import Dispatcher
from tests.support.eventing import eventing, until
from tests.support.subscribers import event


class Fragile(EmbeddedBroker):
    """Fails as often as it is told to, before or after it is up."""

    before = 0
    after = 0
    runs = 0

    async def run(self, started: Started) -> None:
        self.runs += 1
        if self.before:
            raise RuntimeError("not today")
        started()
        if self.after:
            self.after -= 1
            raise RuntimeError("a defect")
        await super().run(lambda: None)


def test_a_broker_that_fails_is_run_again_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataplane, "RESTART_S", 0.0)

    async def main() -> None:
        clock = SystemClock()
        async with eventing(tmp_path) as under:
            broker = Fragile("broker/default/fragile", under.log, clock, Chronicle(clock))
            broker.after = 2
            await under.plane.put_stream(broker)

            async def third() -> bool | None:
                return True if broker.runs == 3 else None

            await until(third, "it is not run again")
            assert await broker.append([event("1")]) == 0

    asyncio.run(main())


def test_one_that_does_not_come_up_says_so_to_whoever_put_it(tmp_path: Path) -> None:
    async def main() -> None:
        clock = SystemClock()
        async with eventing(tmp_path) as under:
            broker = Fragile("broker/default/fragile", under.log, clock, Chronicle(clock))
            broker.before = 1
            with pytest.raises(RuntimeError, match="not today"):
                await under.plane.put_stream(broker)
            assert under.plane.stream("broker/default/fragile") is None
            broker.before = 0
            await under.plane.put_stream(broker)
            assert under.plane.stream("broker/default/fragile") is broker

    asyncio.run(main())


def test_a_dispatcher_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataplane, "RESTART_S", 0.0)
    deliver, failures = Dispatcher._deliver, [RuntimeError("a defect")]

    async def failing(self: Dispatcher, *rest: object) -> None:
        if failures:
            raise failures.pop()
        await deliver(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Dispatcher, "_deliver", failing)

    async def main() -> None:
        async with eventing(tmp_path) as under:
            under.people.answers["fn"] = lambda got: Reply(200)
            await under.apply(BROKER, "main")
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": {"uri": "http://fn"}})
            await under.ready(TRIGGER, "t")
            await under.post(event("1"))
            assert await under.received("fn", 1) == ["1"]
            await under.post(event("2"))
            assert await under.received("fn", 2) == ["1", "2"]

    asyncio.run(main())
