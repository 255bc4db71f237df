from __future__ import annotations

import asyncio

import pytest

from core.errors import TemporaryError
from scalers.auth.answers import FAILED_S, Answer, Answers
from tests.support.clock import FakeClock


class Source:
    def __init__(self, *answers: str | Exception) -> None:
        self.left = list(answers)
        self.asked = 0

    async def ask(self) -> Answer[str]:
        self.asked += 1
        await asyncio.sleep(0)
        found = self.left.pop(0)
        if isinstance(found, Exception):
            raise found
        return Answer(found, 60.0)


def test_many_are_one_question_until_it_is_too_old() -> None:
    async def run() -> None:
        clock, answers, source = FakeClock(), Answers(), Source("one", "two")
        found = await asyncio.gather(*(answers.get("k", clock, source.ask) for _ in range(100)))
        assert set(found) == {("one", clock.monotonic() + 60.0)}
        await clock.advance(59.9)
        assert (await answers.get("k", clock, source.ask))[0] == "one"
        await clock.advance(0.1)
        assert (await answers.get("k", clock, source.ask))[0] == "two"
        assert source.asked == 2

    asyncio.run(run())


def test_a_failure_is_everyones_for_a_while() -> None:
    async def run() -> None:
        clock, answers, source = FakeClock(), Answers(), Source(TemporaryError("sealed"), "one")
        found = await asyncio.gather(*(answers.get("k", clock, source.ask) for _ in range(9)), return_exceptions=True)
        assert {str(each) for each in found} == {"sealed"}
        with pytest.raises(TemporaryError, match="sealed"):
            await answers.get("k", clock, source.ask)
        assert source.asked == 1
        await clock.advance(FAILED_S)
        assert (await answers.get("k", clock, source.ask))[0] == "one"

    asyncio.run(run())


def test_what_is_too_old_is_not_kept() -> None:
    async def run() -> None:
        clock, answers = FakeClock(), Answers()
        for number in range(9):
            await answers.get(number, clock, Source("x").ask)
            await clock.advance(30.0)
        assert len(answers) == 2
        assert "secret" not in repr(Answer("secret", 1.0))

    asyncio.run(run())


def test_who_asks_may_be_ended_without_harm_to_others() -> None:
    async def run() -> None:
        clock, answers, gate = FakeClock(), Answers(), asyncio.Event()

        async def slow() -> Answer[str]:
            await gate.wait()
            return Answer("one", 1.0)

        first = asyncio.ensure_future(answers.get("k", clock, slow))
        second = asyncio.ensure_future(answers.get("k", clock, slow))
        await asyncio.sleep(0)
        first.cancel()
        gate.set()
        assert (await second)[0] == "one"

    asyncio.run(run())
