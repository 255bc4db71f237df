from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.errors import NotFound, TooManyRequests
from core.inside import Reply
from core.resources.eventing import BROKER, TRIGGER
from core.resources.meta import Json
from eventing import stream_intake
from eventing.stream_intake import StreamIntake
from tests.support.eventing import eventing
from tests.support.subscribers import event

SPEC: Json = {"broker": "main", "subscriber": {"uri": "http://fn"}}


@pytest.mark.parametrize("where", ["broker", "trigger"])
def test_producers_are_told_to_wait_where_too_much_waits(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_intake, "LOOK_S", 0.0)

    async def main() -> None:
        async with eventing(tmp_path) as under:
            gate = under.people.gates["fn"] = asyncio.Event()
            under.people.answers["fn"] = lambda got: Reply(200)
            bound = {"pilotlight.dev/backlog-max": "3"}
            await under.apply(BROKER, "main", annotations=bound if where == "broker" else {})
            await under.apply(TRIGGER, "t", SPEC, annotations=bound if where == "trigger" else {})
            await under.ready(TRIGGER, "t")
            for number in range(3):
                assert (await under.post(event(str(number)))).status == 202
            refused = await under.post(event("more"))
            assert (refused.status, refused.value(b"retry-after")) == (429, b"5")
            assert b"3 events wait for trigger/default/t, which may have 3 waiting" in refused.body
            gate.set()
            await under.received("fn", 3)
            await asyncio.sleep(0.02)
            assert (await under.post(event("more"))).status == 202

    asyncio.run(main())


def test_nobody_waits_for_a_subscriber_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_intake, "LOOK_S", 0.0)

    async def main() -> None:
        async with eventing(tmp_path) as under:
            under.people.answers["fn"] = lambda got: Reply(410)
            await under.apply(BROKER, "main", annotations={"pilotlight.dev/backlog-max": "3"})
            await under.apply(TRIGGER, "t", SPEC)
            await under.ready(TRIGGER, "t")
            await under.post(event("last"))
            await under.ready(TRIGGER, "t", "False")
            assert {(await under.post(event(str(number)))).status for number in range(9)} == {202}

    asyncio.run(main())


def test_without_its_stream_it_takes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            with pytest.raises(NotFound, match="broker/default/main"):
                StreamIntake(under.plane, SystemClock(), "broker/default/main").append([event("2")])

    asyncio.run(main())


def test_too_many_requests_says_when_to_come_again() -> None:
    assert TooManyRequests("full", retry_after_s=stream_intake.RETRY_AFTER_S).retry_after_s == 5
