"""The entrance in front of the real log: what is taken is in it, what is set aside is among its dead letters."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.resources.eventing_options import SchemaMode
from eventing.entrance import Entrance
from eventing.intake import Stored, Terms, with_dead_letters
from eventing.json_schema import compile_schema
from eventing.log.log import EventLog
from eventing.schemas import BadSchema, SchemaRule, Schemas, Template
from tests.support.clock import FakeClock
from tests.support.events import plain

STREAM = "broker/default/orders"


class OfLog:
    def __init__(self, log: EventLog) -> None:
        self._log = log

    def append(self, events: object) -> Stored:
        return self._log.append_nowait(STREAM, events)  # type: ignore[arg-type]


def test_both_ways_end_in_the_log(tmp_path: Path) -> None:
    async def test() -> None:
        clock = FakeClock()
        log = EventLog(tmp_path / "events.db", clock)
        await log.open()
        number = compile_schema('{"type": "number"}')
        assert not isinstance(number, BadSchema)
        terms = Terms(
            deduplicate_s=60,
            schemas=Schemas([SchemaRule(Template("com.example.order"), number)]),
            schema_mode=SchemaMode.DEAD_LETTER,
        )
        door = Entrance(OfLog(log), with_dead_letters(log.dead_letters, STREAM), terms, clock)
        good, bad = plain(b"1", id="good"), plain(b'"x"', id="bad")
        await door.take([good, bad])
        await door.take([good, bad])
        assert [entry.event for entry in log.fresh(STREAM, 0, 10) or ()] == [good]
        (letter,) = await log.dead_letters.list()
        assert (letter.subscription, letter.stream, letter.event, letter.offset) == (STREAM, STREAM, bad, None)
        assert "is not of type 'number'" in letter.reason
        assert letter.time_ms == int(clock.wall() * 1000)
        await log.close()

    asyncio.run(test())
