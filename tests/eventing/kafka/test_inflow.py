"""Records that others write as events, with no Kafka there; with a real one it is in the tests of the source."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.clients.kafka_access import Access
from core.clients.kafka_terms import Headers, Received
from core.errors import TemporaryError
from eventing.event import Event
from eventing.kafka.inflow import Intended, TopicInflow
from eventing.kafka.layout import Group
from eventing.kafka.partitions import Refused
from eventing.log.base import NOW
from tests.support.clock import FakeClock
from tests.support.event_log import opened

CE: Headers = (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"t"))


async def inflow(folder: Path) -> TopicInflow:
    group = Group(Access(("127.0.0.1:1",)), "g", ("t",), "m")
    intended = Intended(group, "/source", NOW, overrides={"team": "a"})
    async with opened(folder / "events.db") as log:
        return TopicInflow("kafkasource/n/s", intended, log.dead_letters, FakeClock(), lambda: None)


def record(headers: Headers) -> Received:
    return Received("t", 3, 7, 0, b"k", b"v", headers)


def test_events_keep_what_they_are_and_others_are_made_into_some(tmp_path: Path) -> None:
    async def main() -> None:
        read = (await inflow(tmp_path))._read
        kept, made, broken = read(record(CE)), read(record(())), read(record(CE[:2]))
        assert kept == Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "team": "a"}, b"v")
        assert isinstance(made, Event)
        assert (made.id, made.source, made.type) == ("partition:3/offset:7", "/source#t", "dev.knative.kafka.event")
        assert (made.attributes["key"], made.attributes["team"]) == ("k", "a")
        assert isinstance(broken, Refused)
        assert broken.reason.startswith("the record t/3/7 is a CloudEvent and is not well-formed: ")
        assert broken.event is not None
        assert broken.event.id == "partition:3/offset:7"

    asyncio.run(main())


def test_before_it_reads_it_says_why_and_takes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        there = await inflow(tmp_path)
        assert (there.begun, there.trouble) == (False, "Kafka has not answered yet")
        with pytest.raises(TemporaryError, match="delivers nothing now"):
            there.append([])

    asyncio.run(main())
