from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.inside import Reply
from core.resources.eventing import BROKER, TRIGGER
from eventing.filters.clauses import Filter, everything
from eventing.filters.dialects import compile_filters
from eventing.hops import ONLY
from eventing.log.base import Attempt, DeadLetter, Fate, Record
from eventing.why import Answer, Known, State, Why, judge, public
from tests.support.eventing import Eventing, eventing, until
from tests.support.subscribers import event

NAME = "trigger/default/t"
NOW = 1000.0
RECORD = Record(7, 900_000, event("1"))
TRIED = (Attempt(1, 1, 503, "said 503"), Attempt(2, 2, None, "nobody there"))
LETTER = DeadLetter(4, NAME, "broker/default/main", 7, 950_000, "gave up", TRIED, event("1"), Fate.SENT)


def only_type(text: str) -> Filter:
    compiled = compile_filters({"filter": {"attributes": {"type": text}}})
    assert isinstance(compiled, Filter)
    return compiled


def known(record: Record = RECORD, wanted: Filter | None = None, **more: Any) -> Known:
    return Known(NAME, record, wanted, more.pop("began", None), **more)


@pytest.mark.parametrize(
    ("what", "state", "text"),
    [
        pytest.param(known(wanted=everything()), State.WAITING, "it is next, or under way", id="next"),
        pytest.param(known(wanted=everything(), ahead=3), State.WAITING, "behind 3 others", id="waiting"),
        pytest.param(known(), State.HELD, "it waits until the subscription is ready", id="held"),
        pytest.param(
            known(wanted=only_type("u")),
            State.FILTERED,
            'spec.filter.attributes: type is "t", expected "u"',
            id="filtered",
        ),
        pytest.param(
            known(wanted=only_type("u"), acked=True, delivered=(5, 200)),
            State.FILTERED,
            'spec.filter.attributes: type is "t", expected "u"',
            id="filtered now, whatever was once",
        ),
        pytest.param(
            known(wanted=everything(), acked=True, delivered=(950.0, 202)),
            State.DELIVERED,
            "the subscriber answered 202",
            id="delivered",
        ),
        pytest.param(
            known(wanted=everything(), acked=True),
            State.DONE,
            "it was delivered, or this subscription began after it: no longer remembered",
            id="forgotten",
        ),
        pytest.param(
            known(wanted=everything(), acked=True, began=901.0),
            State.EARLIER,
            "it came before this subscription began; a replay would send it",
            id="earlier",
        ),
        pytest.param(
            known(wanted=everything(), attempts=TRIED, due=NOW + 2.5),
            State.RETRYING,
            "attempt 2: nobody there; the next in 2.5 s",
            id="retrying",
        ),
        pytest.param(
            known(attempts=TRIED, due=NOW - 1),
            State.RETRYING,
            "attempt 2: nobody there; the next is under way or held back",
            id="retrying now",
        ),
        pytest.param(
            known(wanted=everything(), acked=True, letter=LETTER),
            State.DEAD_LETTER,
            "number 4, sent: gave up",
            id="dead letter",
        ),
        pytest.param(
            known(Record(8, 0, event("1", **{ONLY: "trigger/default/u"})), everything(), acked=True),
            State.OTHERS,
            "it was redriven, for trigger/default/u alone",
            id="redriven for another",
        ),
        pytest.param(
            known(Record(8, 0, event("1", **{ONLY: NAME})), only_type("u")),
            State.WAITING,
            "it is next, or under way",
            id="redriven for this one, whatever its filter",
        ),
    ],
)
def test_verdicts(what: Known, state: State, text: str) -> None:
    verdict = judge(what, NOW)
    assert (verdict.state, verdict.text) == (state, text)


def test_a_verdict_carries_its_proof() -> None:
    buried = judge(known(letter=LETTER), NOW)
    assert (buried.letter, buried.time, buried.code, buried.attempts) == (4, 950, None, TRIED)
    retried = judge(known(attempts=TRIED[:1], due=NOW + 1), NOW)
    assert (retried.code, retried.time, retried.attempts) == (503, NOW + 1, TRIED[:1])


def test_what_the_platform_notes_is_not_shown() -> None:
    assert public(event("1", **{ONLY: NAME})) == event("1").attributes


async def ask(world: Eventing, id: str, began: float | None = None) -> Answer:
    async def when(subscription: str) -> float | None:
        return began

    return await Why(world.plane, world.log, world.chronicle, when).of(id, world.clock.wall())


def test_one_event_and_everything_that_became_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            world.people.answers = {
                "fn": lambda _: Reply(200),
                "bad": lambda _: Reply(400),
                "down": lambda _: "silence",
            }
            await world.apply(BROKER, "main")
            await world.ready(BROKER, "main")
            spec = {"broker": "main", "delivery": {"backoffDelay": "PT60S"}}
            for name, more in {
                "good": {},
                "bad": {},
                "down": {},
                "picky": {"filter": {"attributes": {"type": "other"}}},
            }.items():
                host = "fn" if name == "picky" else "fn" if name == "good" else name
                await world.apply(TRIGGER, name, {**spec, "subscriber": {"uri": f"http://{host}/"}, **more})
                await world.ready(TRIGGER, name)
            await world.apply(TRIGGER, "held", {**spec, "subscriber": {"ref": {"kind": "Service", "name": "no"}}})
            await world.ready(TRIGGER, "held", "False")
            await world.post(event("1"))
            wanted = {
                "trigger/default/good": State.DELIVERED,
                "trigger/default/bad": State.DEAD_LETTER,
                "trigger/default/down": State.RETRYING,
                "trigger/default/picky": State.FILTERED,
                "trigger/default/held": State.HELD,
            }

            async def settled() -> Answer | None:
                answer = await ask(world, "1")
                states = {each.subscription: each.state for each in answer.findings[0].verdicts}
                return answer if states == wanted else None

            answer = await until(settled, "the states are others")
            (finding,) = answer.findings
            assert (finding.stream, finding.record.offset, answer.letters) == ("broker/default/main", 0, [])
            retrying = next(each for each in finding.verdicts if each.state is State.RETRYING)
            assert retrying.text.startswith("attempt 1: silence; the next in 1")
            assert (await ask(world, "2")) == Answer([], [])

    asyncio.run(main())


def test_letters_of_brokers_that_are_not_in_the_log_are_found_by_the_event(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            letter = DeadLetter(0, NAME, "broker/default/kafka", None, 0, "gave up", TRIED, event("1"))
            await world.log.dead_letters.keep(letter)
            await world.log.dead_letters.keep(DeadLetter(0, NAME, "x", None, 0, "", (), event("11", other="1")))
            answer = await ask(world, "1")
            assert [each.number for each in answer.letters] == [1]

    asyncio.run(main())
