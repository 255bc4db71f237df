"""PingSources on the real event log: ticks as events, through restarts, retries and edits; their statuses.

eventing/sources/ping.py with eventing/outlet.py and eventing/sources/base.py under it.
"""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from core.inside import Reply
from core.resources.conditions import find_condition
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.resources.pilotlight import SCHEDULED
from core.resources.sources import PING_SOURCE
from core.resources.timestamps import epoch_of, rfc3339
from core.store.memory import MemoryStore
from eventing.event import Event
from eventing.sources.ping import make_event
from tests.eventing.controllers.test_broker_and_trigger import FN, condition, make_function, run
from tests.support.clock import FakeClock
from tests.support.eventing import eventing, until

HOST = "fn.default.svc.cluster.local"
EVERY_SECOND = "* * * * * *"


def source(**spec: Any) -> Json:
    metadata = {"name": "p", "namespace": "ns", "uid": "8d1e7d5e-6ac3-4a53-9c5e-3f7f3a5d9b01"}
    return {"metadata": metadata, "spec": {"schedule": "* * * * *", **spec}}


@pytest.mark.parametrize(
    ("spec", "attributes", "data"),
    [
        ({}, {}, None),
        ({"contentType": "text/plain"}, {}, None),
        ({"data": '{"a":1}', "contentType": "application/json"}, {"datacontenttype": "application/json"}, b'{"a":1}'),
        ({"data": "plain"}, {}, b"plain"),
        ({"dataBase64": base64.b64encode(b"\0\xff").decode()}, {}, b"\0\xff"),
        ({"ceOverrides": {"extensions": {"team": "blue"}}}, {"team": "blue"}, None),
    ],
)  # fmt: skip
def test_what_a_tick_looks_like(spec: Json, attributes: Json, data: bytes | None) -> None:
    event = make_event(source(**spec), 1_700_000_040.0)
    assert event.data == data
    assert {name: value for name, value in event.attributes.items() if name != "id"} == {
        "specversion": "1.0",
        "type": "dev.knative.sources.ping",
        "source": "/apis/v1/namespaces/ns/pingsources/p",
        "time": "2023-11-14T22:14:00Z",
        **attributes,
    }
    assert event.id == make_event(source(), 1_700_000_040.0).id != make_event(source(), 1_700_000_041.0).id


def test_ticks_arrive_and_whatever_the_sink_says_is_fine(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            under.people.answers[HOST] = lambda got: Reply(200, ((b"content-type", b"text/plain"),), b"thanks")
            await under.apply(PING_SOURCE, "p", {"schedule": EVERY_SECOND, "data": "x", "sink": FN})
            status = (await under.ready(PING_SOURCE, "p"))["status"]
            assert status["sinkUri"] == f"http://{HOST}"
            expected = {"type": "dev.knative.sources.ping", "source": "/apis/v1/namespaces/default/pingsources/p"}
            assert status["ceAttributes"] == [expected]
            await under.received(HOST, 2)
            first, second = under.people.got[HOST][:2]
            assert first.data == b"x"
            assert seconds(second) - seconds(first) == 1
            assert HOST in under.people.woken
            assert under.log.dead_letters.last == 0

    run(main())


def test_no_tick_is_lost_over_a_restart_and_none_is_made_twice(tmp_path: Path) -> None:
    async def main() -> None:
        clock = FakeClock()
        store = MemoryStore(KINDS, clock)
        await store.open()
        seen: list[Event] = []
        async with eventing(tmp_path, store) as under:
            await make_function(under)
            await under.apply(PING_SOURCE, "p", {"schedule": EVERY_SECOND, "sink": FN})
            await under.received(HOST, 2)
            seen += under.people.got[HOST]
        await asyncio.sleep(2.2)
        async with eventing(tmp_path, store) as under:
            under.people.answers[HOST] = lambda got: Reply(202)
            await under.received(HOST, 3)
            seen += under.people.got[HOST]
        times = [seconds(event) for event in seen]
        assert sorted(set(times)) == list(range(min(times), max(times) + 1)), "one for each second"
        assert len({event.id for event in seen}) == len(set(times))
        assert len(times) - len(set(times)) <= 1, "at most what was under way is delivered again"

    run(main())


def test_a_sink_that_fails_gets_its_ticks_again_and_a_restart_goes_on_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        store = MemoryStore(KINDS, FakeClock())
        await store.open()
        async with eventing(tmp_path, store) as under:
            await make_function(under)
            under.people.answers[HOST] = lambda got: Reply(503)
            await under.apply(PING_SOURCE, "p", {"schedule": EVERY_SECOND, "sink": FN})
            await under.received(HOST, 2)
            ids = set(under.people.ids(HOST))
        async with eventing(tmp_path, store) as under:
            under.people.answers[HOST] = lambda got: Reply(202)

            async def again() -> bool | None:
                return True if ids <= set(under.people.ids(HOST)) else None

            await until(again, "what was under way is forgotten")

    run(main())


def test_without_a_sink_there_are_no_ticks_and_they_are_not_made_up_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(PING_SOURCE, "p", {"schedule": EVERY_SECOND, "sink": FN})
            waiting = await under.ready(PING_SOURCE, "p", "False")
            assert condition(waiting, "SinkProvided") == ("False", "NotFound")
            message = (find_condition(waiting, "SinkProvided") or {})["message"]
            assert "Service default/fn does not exist" in message
            await asyncio.sleep(1.5)
            before = under.clock.wall()
            await make_function(under)
            await under.ready(PING_SOURCE, "p")
            await under.received(HOST, 1)
            assert seconds(under.people.got[HOST][0]) >= int(before)

    run(main())


def test_an_edited_schedule_counts_from_its_edit(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(PING_SOURCE, "p", {"schedule": EVERY_SECOND, "sink": FN})
            await under.received(HOST, 1)
            first = (await under.ready(PING_SOURCE, "p"))["status"]["annotations"][SCHEDULED]
            await under.apply(PING_SOURCE, "p", {"schedule": EVERY_SECOND, "data": "new", "sink": FN})
            assert (await under.ready(PING_SOURCE, "p"))["status"]["annotations"][SCHEDULED] == first
            spec = {"schedule": "0 0 1 1 *", "timezone": "Europe/Berlin", "sink": FN}
            await under.apply(PING_SOURCE, "p", spec)
            note = (await under.ready(PING_SOURCE, "p"))["status"]["annotations"][SCHEDULED]
            assert note.endswith(" 0 0 1 1 * Europe/Berlin")
            assert note[:20] > rfc3339(0)
            await asyncio.sleep(0.2)
            count = len(under.people.ids(HOST))
            await asyncio.sleep(1.2)
            assert len(under.people.ids(HOST)) == count

    run(main())


def test_a_sink_that_is_gone_for_good_ends_it_and_a_deleted_source_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            under.people.answers[HOST] = lambda got: Reply(410)
            await under.apply(PING_SOURCE, "p", {"schedule": EVERY_SECOND, "sink": FN})
            gone = await under.ready(PING_SOURCE, "p", "False")
            assert condition(gone, "Deployed") == ("False", "SinkGone")
            await under.store.delete(PING_SOURCE, "p", "default")

            async def forgotten() -> bool | None:
                return True if not any(each.name == "pingsource/default/p" for each in under.log.streams()) else None

            await until(forgotten, "its stream is still there")

    run(main())


def seconds(event: Event) -> int:
    return int(epoch_of(str(event.attributes["time"])) or 0)
