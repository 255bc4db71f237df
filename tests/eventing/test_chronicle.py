from __future__ import annotations

import asyncio

import pytest

from eventing import chronicle
from eventing.brokers.base import Delivery
from eventing.chronicle import Chronicle, What
from eventing.delivery import Answered, DeadLetter, Done, NoAnswer
from eventing.log.base import Attempt
from tests.support.clock import FakeClock
from tests.support.subscribers import event


def delivery(offset: int = 0) -> Delivery:
    return Delivery(event(str(offset)), None, offset)


def test_a_listener_hears_what_happens_while_it_listens() -> None:
    async def main() -> None:
        told = Chronicle(FakeClock())
        told.accepted("broker/n/b", 0, event(), [])
        with told.listen() as listener:
            assert told.heard
            told.accepted("broker/n/b", 1, event(), ["trigger/n/t"])
            told.retried("trigger/n/t", delivery(1), Attempt(2, 0, 503, "said 503"), 0.8)
            told.ended("trigger/n/t", delivery(1), DeadLetter("gave up"), NoAnswer("silence"))
            told.ended("trigger/n/t", delivery(2), Done(), Answered(204))
            heard = []
            async for each in listener:
                heard.append((each.what, each.offset, each.code, each.text))
                if len(heard) == 4:
                    break
        assert not told.heard
        assert heard == [
            (What.ACCEPTED, 1, None, "for trigger/n/t"),
            (What.RETRYING, 1, 503, "attempt 2: said 503; the next in 0.8 s"),
            (What.DEAD_LETTER, 1, None, "gave up"),
            (What.DELIVERED, 2, 204, ""),
        ]

    asyncio.run(main())


def test_the_last_deliveries_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chronicle, "REMEMBERED_MAX", 2)
    clock = FakeClock(wall=50)
    told = Chronicle(clock)
    for offset in range(3):
        told.ended("t", delivery(offset), Done(), Answered(202))
    assert told.delivered("t", 0) is None
    assert told.delivered("t", 2) == (50, 202)
    assert told.delivered("other", 2) is None


def test_who_reads_too_slowly_is_told_how_much_was_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(chronicle, "LISTENER_MAX", 2)
        told = Chronicle(FakeClock())
        with told.listen() as listener:
            for offset in range(5):
                told.accepted("s", offset, event(), [])
            assert listener.missed == 3

    asyncio.run(main())
