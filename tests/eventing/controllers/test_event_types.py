"""EventTypes over a real event log: made of what passed, and in force where they hold a schema
(eventing/controllers/event_type.py, and the catalogue and the duplicates of eventing/controllers/inlets.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.resources.conditions import find_condition
from core.resources.core_v1 import EVENT
from core.resources.eventing import BROKER, EVENT_TYPE, attribute_values
from core.resources.messaging import CHANNEL
from core.resources.meta import Json
from core.settings.config_maps import EVENTING_FEATURES
from eventing.event import Event
from tests.support.eventing import Eventing, eventing, until
from tests.support.subscribers import event

NUMBER = '{"type": "number"}'
MAIN: Json = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "main"}


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


def described(schema: str, reference: Json | None = None, **attributes: str) -> Json:
    """The spec of an EventType of type `t`."""
    values = {"type": "t", "source": "/test", "specversion": "1.0", "id": "", "schemadata": schema, **attributes}
    found = [{"name": name, "required": True, **({"value": value} if value else {})} for name, value in values.items()]
    return {"attributes": found, "reference": reference or MAIN}


def text(id: str) -> Event:
    """Whose data is no number."""
    return event(id, data='"x"', datacontenttype="application/json")


async def broker(under: Eventing, mode: str = "refuse", **annotations: str) -> Json:
    await under.apply(BROKER, "main", annotations={"pilotlight.dev/schema-mode": mode, **annotations})
    return await under.ready(BROKER, "main")


async def made(under: Eventing, count: int) -> list[Json]:
    async def enough() -> list[Json] | None:
        items = (await under.store.list(EVENT_TYPE)).items
        return items if len(items) >= count else None

    return list(await until(enough, f"there are not {count} EventTypes"))


def test_what_passes_becomes_an_event_type_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            store = under.store
            owner = await broker(under)
            for id, type in (("1", "a"), ("2", "a"), ("3", "b")):
                await under.post(event(id, type=type))
            items = await made(under, 2)
            assert sorted(attribute_values(each)["type"] for each in items) == ["a", "b"]
            for each in items:
                assert each["spec"]["reference"] == {**MAIN, "namespace": "default"}
                (reference,) = each["metadata"]["ownerReferences"]
                assert (reference["uid"], reference.get("controller")) == (owner["metadata"]["uid"], None)
                ready = await under.ready(EVENT_TYPE, each["metadata"]["name"])
                assert (find_condition(ready, "ReferenceExists") or {})["status"] == "True"
        async with eventing(tmp_path, store) as under:
            entrance = under.plane.entrances["broker/default/main"]
            await under.post(event("4", type="a"))
            assert entrance.seen.take_fresh() == [], "it is known after a restart, too"

    run(main())


def test_one_that_is_deleted_is_made_anew_by_the_next_event(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await broker(under)
            await under.post(event("1"))
            (first,) = await made(under, 1)
            await under.ready(EVENT_TYPE, first["metadata"]["name"])
            await under.store.delete(EVENT_TYPE, first["metadata"]["name"], "default")

            async def anew() -> bool | None:
                await under.post(event("again"))
                return True if (await under.store.list(EVENT_TYPE)).items else None

            await until(anew, "it stays away")

    run(main())


def test_none_is_made_where_that_is_switched_off(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            features = under.settings[EVENTING_FEATURES]
            under.settings[EVENTING_FEATURES] = replace(features, eventtype_auto_create="disabled")
            await broker(under)
            await under.post(event("1", type="off"))

            async def looked_at() -> bool | None:
                return True if not under.plane.entrances["broker/default/main"].seen._fresh else None

            await until(looked_at, "nobody asks for what is new")
            under.settings[EVENTING_FEATURES] = features
            await under.post(event("2", type="on"))
            assert [attribute_values(each)["type"] for each in await made(under, 1)] == ["on"]

    run(main())


def test_those_of_a_channel_are_of_the_channel_that_a_user_made(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(CHANNEL, "c")
            await under.ready(CHANNEL, "c")
            await under.post(event("1"), "/", "c-kn-channel.default.svc.cluster.local")
            (found,) = await made(under, 1)
            assert found["spec"]["reference"]["kind"] == "Channel"
            refuse = {"pilotlight.dev/schema-mode": "refuse"}
            await under.apply(
                CHANNEL, "c", (await under.store.get(CHANNEL, "c", "default"))["spec"], annotations=refuse
            )
            await under.apply(EVENT_TYPE, "mine", described(NUMBER, found["spec"]["reference"]))
            await under.ready(EVENT_TYPE, "mine")

            async def refused() -> bool | None:
                reply = await under.post(text("2"), "/", "c-kn-channel.default.svc.cluster.local")
                return True if reply.status == 422 else None

            await until(refused, "the schema is not in force")

    run(main())


def test_a_schema_is_in_force_from_the_first_event_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            store = under.store
            await under.apply(EVENT_TYPE, "mine", described(NUMBER))
            waiting = await under.ready(EVENT_TYPE, "mine", "False")
            assert (find_condition(waiting) or {})["reason"] == "ResourceDoesNotExist"
            await broker(under)
            await under.ready(EVENT_TYPE, "mine")
            assert (await under.post(text("1"))).status == 422
            assert (await under.post(event("2", data="5", datacontenttype="application/json"))).status == 202
        async with eventing(tmp_path, store) as under:
            assert (await under.post(text("3"))).status == 422
            await under.store.delete(EVENT_TYPE, "mine", "default")

            async def taken() -> bool | None:
                return True if (await under.post(text("4"))).status == 202 else None

            await until(taken, "the schema is still in force")

    run(main())


def test_a_schema_that_does_not_compile_is_told_and_checks_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await broker(under)
            await under.apply(EVENT_TYPE, "mine", described('{"type": 5}'))
            found = find_condition(await under.ready(EVENT_TYPE, "mine", "False"), "SchemaCompiles") or {}
            assert (found["status"], found["reason"]) == ("False", "SchemaDoesNotCompile")
            assert "schema.type" in found["message"]
            assert (await under.post(text("1"))).status == 202
            await under.apply(EVENT_TYPE, "mine", described(NUMBER))
            await under.ready(EVENT_TYPE, "mine")
            assert (await under.post(text("2"))).status == 422

    run(main())


def test_what_is_only_warned_of_is_an_event_of_the_broker_and_not_one_for_each(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await broker(under, "warn")
            await under.apply(EVENT_TYPE, "mine", described(NUMBER))
            await under.ready(EVENT_TYPE, "mine")
            for number in range(50):
                assert (await under.post(text(str(number)))).status == 202

            async def told() -> list[Json] | None:
                items = (await under.store.list(EVENT)).items
                return [each for each in items if each["reason"] == "SchemaViolated"] or None

            (warning,) = await until(told, "nobody is told")
            assert (warning["type"], warning["involvedObject"]["kind"]) == ("Warning", "Broker")
            assert "is not as the schema of 't' says" in warning["message"]
            assert under.plane.entrances["broker/default/main"].counts.warned == 50
            await asyncio.sleep(0.1)
            assert len(await told() or []) == 1

    run(main())


@pytest.mark.parametrize("mode", ["dead-letter", "ignore"])
def test_the_mode_says_what_becomes_of_data_against_its_schema(tmp_path: Path, mode: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await broker(under, mode)
            await under.apply(EVENT_TYPE, "mine", described(NUMBER))
            await under.ready(EVENT_TYPE, "mine")
            assert (await under.post(text("1"))).status == 202
            letters = await under.log.dead_letters.list("broker/default/main")
            assert len(letters) == (1 if mode == "dead-letter" else 0)

    run(main())


def test_duplicates_are_known_after_a_restart_for_as_long_as_they_are_remembered(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            store = under.store
            await broker(under, **{"pilotlight.dev/deduplicate": "PT10M"})
            for number in range(3000):  # more than is read at once
                await under.post(event(str(number)))
        async with eventing(tmp_path, store) as under:
            for id in ("0", "1500", "2999", "new"):
                assert (await under.post(event(id))).status == 202
            assert under.plane.entrances["broker/default/main"].counts.duplicates == 3
            assert under.log.stream("broker/default/main").tail == 3001
            await broker(under, **{"pilotlight.dev/deduplicate": "PT0.1S"})
        await asyncio.sleep(0.2)
        async with eventing(tmp_path, store) as under:
            await under.post(event("0"))
            assert under.plane.entrances["broker/default/main"].counts.duplicates == 0

    run(main())
