"""The way in: duplicates, budget, schemas, and that a future is done only when everything behind it is stored."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from core.errors import BadRequest, Invalid, StoreFull, TooManyRequests
from core.resources.eventing_options import SchemaMode
from eventing.entrance import Entrance
from eventing.event_types import Seen
from eventing.intake import Terms
from eventing.json_schema import compile_schema
from eventing.schemas import BadSchema, SchemaRule, Schemas, Template
from tests.support.clock import FakeClock, settle
from tests.support.events import plain
from tests.support.intake import FakeIntake


def entrance(intake: FakeIntake, clock: FakeClock | None = None, **terms: Any) -> Entrance:
    return Entrance(intake, intake.set_aside, Terms(**terms), clock or FakeClock())


def numbers(mode: SchemaMode) -> dict[str, Any]:
    compiled = compile_schema(json.dumps({"type": "number"}))
    assert not isinstance(compiled, BadSchema)
    return {"schemas": Schemas([SchemaRule(Template("com.example.order"), compiled)]), "schema_mode": mode}


def run(test: Any) -> None:
    asyncio.run(test())


def test_events_are_appended_as_one() -> None:
    async def test() -> None:
        intake = FakeIntake()
        door = entrance(intake)
        await door.take([plain(id="a"), plain(id="b")])
        assert intake.appends == [[plain(id="a"), plain(id="b")]]
        assert door.seen.take_fresh() == [Seen("com.example.order", "/orders", "")]

    run(test)


def test_what_the_intake_raises_is_raised() -> None:
    async def test() -> None:
        intake = FakeIntake()
        intake.refuses = TooManyRequests("full", retry_after_s=7)
        for door in (entrance(intake), entrance(intake, deduplicate_s=10)):
            with pytest.raises(TooManyRequests):
                door.take([plain()])
        intake.refuses = None
        await door.take([plain()])  # the refused try did not count
        assert len(intake.events) == 1

    run(test)


def test_without_a_window_a_repeated_event_is_taken_again() -> None:
    async def test() -> None:
        intake = FakeIntake()
        door = entrance(intake)
        await door.take([plain()])
        await door.take([plain()])
        assert len(intake.events) == 2

    run(test)


def test_a_repeated_event_is_stored_once() -> None:
    async def test() -> None:
        intake, clock = FakeIntake(), FakeClock()
        door = entrance(intake, clock, deduplicate_s=600)
        await door.take([plain(id="a"), plain(id="b"), plain(id="a", type="other")])
        await door.take([plain(id="b"), plain(id="c")])
        await door.take([plain(id="c")])
        assert [event.id for event in intake.events] == ["a", "b", "c"]
        assert door.counts.duplicates == 3
        await clock.advance(600)
        await door.take([plain(id="c")])
        assert len(intake.events) == 4

    run(test)


def test_a_repeated_event_waits_for_the_first_to_be_stored() -> None:
    async def test() -> None:
        intake = FakeIntake(slow=True)
        door = entrance(intake, deduplicate_s=600)
        first, second = door.take([plain()]), door.take([plain()])
        both = door.take([plain(), plain(id="2")])
        await settle()
        assert not first.done()
        assert not second.done()
        intake.store()
        await asyncio.gather(first, second, both)
        assert [event.id for event in intake.events] == ["1", "2"]

    run(test)


def test_a_try_that_failed_does_not_make_the_next_a_duplicate() -> None:
    async def test() -> None:
        intake = FakeIntake(slow=True)
        door = entrance(intake, deduplicate_s=600)
        first, second = door.take([plain()]), door.take([plain()])
        intake.fail(StoreFull("the disk is full"))
        for waiting in (first, second):
            with pytest.raises(StoreFull):
                await waiting
        await settle()
        again = door.take([plain()])
        intake.store()
        await again
        assert len(intake.appends) == 2

    run(test)


def test_the_window_survives_a_restart_and_a_change_of_terms() -> None:
    async def test() -> None:
        intake, clock = FakeIntake(), FakeClock()
        door = entrance(intake, clock, deduplicate_s=600)
        door.recall([(plain(id="old"), 700), (plain(id="mid"), 300), (plain(id="new"), 5)])
        await door.take([plain(id="old"), plain(id="mid"), plain(id="new")])
        assert [event.id for event in intake.events] == ["old"]
        door.change(Terms(deduplicate_s=200))
        await door.take([plain(id="mid"), plain(id="new")])
        assert [event.id for event in intake.events] == ["old", "mid"]
        door.change(Terms())
        await door.take([plain(id="new")])
        assert len(intake.events) == 3

    run(test)


def test_the_budget_of_hops() -> None:
    async def test() -> None:
        intake = FakeIntake()
        door = entrance(intake, hops=5)
        await door.take([plain(id="a"), plain(id="b", knativebrokerttl="100")])
        assert intake.events == [plain(id="a"), plain(id="b", knativebrokerttl=5)]
        with pytest.raises(BadRequest, match="knativebrokerttl is 'x'"):
            door.take([plain(), plain(knativebrokerttl="x")])
        assert len(intake.appends) == 1

    run(test)


def test_a_schema_that_refuses_refuses_the_whole_batch() -> None:
    async def test() -> None:
        intake = FakeIntake()
        door = entrance(intake, **numbers(SchemaMode.REFUSE), deduplicate_s=600)
        with pytest.raises(Invalid, match="Event '2' is not as the schema of 'com"):
            door.take([plain(b"1"), plain(b'"x"', id="2")])
        assert intake.appends == []
        await door.take([plain(b"1"), plain(b"2", id="2")])
        assert len(intake.events) == 2

    run(test)


def test_a_schema_that_warns_takes_and_counts() -> None:
    async def test() -> None:
        intake = FakeIntake()
        door = entrance(intake, **numbers(SchemaMode.WARN))
        await door.take([plain(b'"x"')])
        assert len(intake.events) == 1
        assert door.counts.warned == 1
        assert "is not of type 'number'" in door.take_warning()
        assert door.take_warning() == ""

    run(test)


def test_a_schema_that_is_ignored() -> None:
    async def test() -> None:
        intake = FakeIntake()
        door = entrance(intake, **numbers(SchemaMode.IGNORE))
        await door.take([plain(b'"x"')])
        assert (len(intake.events), door.counts.warned) == (1, 0)

    run(test)


def test_a_schema_that_sets_aside_stores_both_sorts() -> None:
    async def test() -> None:
        intake = FakeIntake(slow=True)
        door = entrance(intake, **numbers(SchemaMode.DEAD_LETTER))
        stored = door.take([plain(b"1"), plain(b'"x"', id="2")])
        intake.pending.pop(0).set_result(0)
        await settle()
        assert not stored.done()
        intake.store()
        await stored
        assert [event.id for event in intake.events] == ["1"]
        assert [(event.id, reason[:7]) for event, reason in intake.aside] == [("2", "Event '")]
        only = door.take([plain(b'"x"', id="3")])
        intake.store()
        await only
        assert len(intake.appends) == 1

    run(test)
