"""A topic that is written to, while there is no Kafka; with a real one it is in the tests of the sink."""

from __future__ import annotations

import asyncio

import pytest

from core.clients.kafka_access import Access
from core.errors import TemporaryError
from eventing.kafka import outflow as module
from eventing.kafka.outflow import Target, TopicOutflow
from tests.support.clock import FakeClock
from tests.support.subscribers import event


def test_it_takes_nothing_before_kafka_has_answered_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def __init__(self, *_: object) -> None: ...

        async def require_topic(self, topic: str) -> None:
            raise TemporaryError(f"Kafka has no topic {topic}")

        async def close(self) -> None: ...

    monkeypatch.setattr(module, "Admin", Absent)

    async def main() -> None:
        changes: list[str] = []
        target = Target(Access(("127.0.0.1:1",)), "t")
        outflow = TopicOutflow(target, "x", FakeClock(), lambda: changes.append(outflow.trouble))
        with pytest.raises(TemporaryError, match="has not answered yet"):
            outflow.append([event()])
        running = asyncio.ensure_future(outflow.run(lambda: None))
        while not changes:
            await asyncio.sleep(0)
        assert changes == ["Kafka has no topic t"]
        with pytest.raises(TemporaryError, match="Kafka has no topic t"):
            outflow.append([event()])
        running.cancel()
        await asyncio.wait((running,))

    asyncio.run(main())
