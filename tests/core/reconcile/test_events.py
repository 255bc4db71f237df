from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from core.errors import StoreFull
from core.reconcile.events import (
    EVENT_AGE_MAX_S,
    EVENTS_MAX,
    EventExpiry,
    Recorder,
)
from core.resources.core_v1 import EVENT
from core.resources.kinds import KINDS
from core.resources.meta import Json, ObjectKey
from core.resources.timestamps import rfc3339
from core.store.base import EventType
from core.store.memory import MemoryStore
from core.tasks import start_service
from tests.support.clock import FakeClock, settle
from tests.support.kinds import BOOK, TEST_KINDS, TOWN, make

NOW = 1_700_000_000.0


def event_said(at: float, name: str = "x") -> Json:
    return {"metadata": {"name": name, "namespace": "default"}, "lastTimestamp": rfc3339(at)}


def expiry(events: Iterable[Json]) -> EventExpiry:
    found = EventExpiry(MemoryStore(KINDS, FakeClock()), FakeClock())
    for event in events:
        found.see(EventType.ADDED, event)
    return found


def test_an_event_is_what_kubectl_reads() -> None:
    async def body() -> None:
        store, clock = MemoryStore((*KINDS, *TEST_KINDS), FakeClock()), FakeClock()
        book = await store.create(BOOK, make("emma"))
        await Recorder(store, clock, "librarian").event(book, "Warning", "Torn", "page 3 is torn")
        (event,) = (await store.list(EVENT)).items
        assert event["metadata"]["name"].startswith("emma.")
        assert event["involvedObject"] == {
            "apiVersion": "test.dev/v1",
            "kind": "Book",
            "namespace": "default",
            "name": "emma",
            "uid": book["metadata"]["uid"],
            "resourceVersion": book["metadata"]["resourceVersion"],
        }
        assert (event["type"], event["reason"], event["message"]) == ("Warning", "Torn", "page 3 is torn")
        assert event["source"] == {"component": "librarian"}
        assert event["count"] == 1
        assert event["firstTimestamp"] == event["lastTimestamp"] == rfc3339(clock.wall())
        EVENT.parse(event)

    asyncio.run(body())


def test_names_are_in_the_order_of_what_happened() -> None:
    async def body() -> None:
        store, clock = MemoryStore((*KINDS, *TEST_KINDS), FakeClock()), FakeClock()
        book = await store.create(BOOK, make("emma"))
        recorder = Recorder(store, clock, "librarian")
        for page in range(20):
            await recorder.event(book, "Normal", "Read", f"page {page} is read")  # all in one second
        events = (await store.list(EVENT)).items
        in_order = sorted(events, key=lambda event: str(event["metadata"]["name"]))
        assert [event["message"] for event in in_order] == [f"page {page} is read" for page in range(20)]

    asyncio.run(body())


def test_what_is_said_again_is_counted() -> None:
    async def body() -> None:
        clock = FakeClock()
        store = MemoryStore((*KINDS, *TEST_KINDS), clock)
        book = await store.create(BOOK, make("emma"))
        recorder = Recorder(store, clock, "librarian")
        for _ in range(3):
            await recorder.event(book, "Warning", "Torn", "page 3 is torn")
            await clock.advance(10)
        await recorder.event(book, "Warning", "Torn", "page 4 is torn")
        await recorder.event(book, "Normal", "Torn", "page 3 is torn")
        await Recorder(store, clock, "reader").event(book, "Warning", "Torn", "page 3 is torn")
        events = (await store.list(EVENT)).items
        assert sorted(event["count"] for event in events) == [1, 1, 1, 3]
        (repeated,) = (event for event in events if event["count"] == 3)
        assert repeated["firstTimestamp"] == rfc3339(NOW)
        assert repeated["lastTimestamp"] == rfc3339(NOW + 20)

    asyncio.run(body())


def test_events_about_what_has_no_namespace_are_in_default() -> None:
    async def body() -> None:
        store = MemoryStore((*KINDS, *TEST_KINDS), FakeClock())
        town = await store.create(TOWN, make("bath"))
        await Recorder(store, FakeClock(), "mayor").event(town, "Normal", "Founded", "x" * 5000)
        (event,) = (await store.list(EVENT, "default")).items
        assert len(event["message"]) == 1024

    asyncio.run(body())


def test_recording_never_fails() -> None:
    class Full(MemoryStore):
        async def create(self, kind: Any, obj: Json) -> Json:
            raise StoreFull("no space")

    async def body() -> None:
        await Recorder(Full(KINDS, FakeClock()), FakeClock(), "x").event(
            {**make("emma"), "apiVersion": "v1", "kind": "Book"}, "Normal", "A", "b"
        )

    asyncio.run(body())


@pytest.mark.parametrize(
    ("label", "ages", "kept"),
    [
        ("young ones stay", [0, 10, EVENT_AGE_MAX_S], [0, 10, EVENT_AGE_MAX_S]),
        ("old ones go", [10, EVENT_AGE_MAX_S + 1, 2 * EVENT_AGE_MAX_S], [10]),
        ("of too many the oldest go", list(range(EVENTS_MAX + 3)), list(range(EVENTS_MAX))),
        ("none", [], []),
    ],
)
def test_forgetting(label: str, ages: list[int], kept: list[int]) -> None:
    gone = {key.name for key in expiry(event_said(NOW - age, f"e{age}") for age in reversed(ages)).due(NOW)}
    assert [age for age in ages if f"e{age}" not in gone] == kept, label


def test_an_event_without_any_time_is_old() -> None:
    assert expiry([{"metadata": {"name": "x", "namespace": "default"}}]).due(NOW)


def test_what_is_said_again_is_young_again() -> None:
    events = expiry(event_said(NOW - age, f"e{age}") for age in (50, 40))
    events.see(EventType.MODIFIED, event_said(NOW, "e50"))
    assert [key.name for key in events.due(NOW - 40 + EVENT_AGE_MAX_S + 1)] == ["e40"]
    events.see(EventType.DELETED, event_said(NOW, "e40"))
    assert events.due(NOW + 2 * EVENT_AGE_MAX_S) == [ObjectKey("default", "e50")]


def test_there_are_never_many_more_than_the_most() -> None:
    async def body() -> None:
        clock = FakeClock()
        store = MemoryStore((*KINDS, *TEST_KINDS), clock)
        book = await store.create(BOOK, make("emma"))
        recorder = Recorder(store, clock, "x")
        async with asyncio.TaskGroup() as group:
            task = await start_service(group, EventExpiry(store, clock).run, "events")
            for page in range(EVENTS_MAX + 100):
                await recorder.event(book, "Normal", "Read", f"page {page}")
            await settle()
            await clock.advance(2)
            await settle(300)
            events = (await store.list(EVENT)).items
            assert len(events) == EVENTS_MAX
            assert "page 99" not in {event["message"] for event in events}, "the oldest went"
            task.cancel()

    asyncio.run(body())


def test_expiry_runs_on_its_own() -> None:
    async def body() -> None:
        clock = FakeClock()
        store = MemoryStore((*KINDS, *TEST_KINDS), clock)
        book = await store.create(BOOK, make("emma"))
        recorder = Recorder(store, clock, "x")
        async with asyncio.TaskGroup() as group:
            task = await start_service(group, EventExpiry(store, clock).run, "events")
            await recorder.event(book, "Normal", "A", "old")
            await clock.advance(EVENT_AGE_MAX_S - 30)
            await recorder.event(book, "Normal", "B", "new")
            await settle()
            await clock.advance(120)
            await settle()
            assert [event["reason"] for event in (await store.list(EVENT)).items] == ["B"]
            task.cancel()

    asyncio.run(body())
