from __future__ import annotations

import asyncio
from pathlib import Path

from core.resources.eventing import BROKER, TRIGGER
from core.resources.flows import SEQUENCE
from core.resources.meta import Json
from tests.support.eventing import Eventing, eventing, until
from tests.support.subscribers import event

SEQUENCE_HOST = "s-kn-sequence-0-kn-channel.default.svc.cluster.local"


def readers(under: Eventing, stream: str) -> set[str]:
    return set(under.log.stream(stream).subscriptions)


def test_what_was_deleted_just_before_a_crash_is_dropped_and_nothing_else_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            store = under.store
            steps: list[Json] = [await under.function(name) for name in "ab"]
            for name in ("main", "gone"):
                await under.apply(BROKER, name)
                await under.ready(BROKER, name)
            for name in ("stays", "goes"):
                await under.apply(TRIGGER, name, {"broker": "main", "subscriber": steps[0]})
                await under.ready(TRIGGER, name)
            await under.apply(SEQUENCE, "s", {"steps": steps})
            await under.ready(SEQUENCE, "s")
            await under.post(event("1"))
            await under.post(event("1"), "/default/gone")
            await under.post(event("1"), "/", SEQUENCE_HOST)
        # As after a crash: the store has it, and nobody was told.
        await store.delete(BROKER, "gone", "default")
        await store.delete(TRIGGER, "goes", "default")
        await store.modify(SEQUENCE, "s", "default", lambda now: {**now, "spec": {**now["spec"], "steps": steps[:1]}})
        async with eventing(tmp_path, store) as under:

            async def dropped() -> bool | None:
                streams = {each.name for each in under.log.streams()}
                return None if "broker/default/gone" in streams else True

            await until(dropped, "the stream is still there")

            async def alone() -> bool | None:
                main, flow = readers(under, "broker/default/main"), readers(under, "sequence/default/s")
                return True if (main, flow) == ({"trigger/default/stays"}, {"sequence/default/s/0"}) else None

            await until(alone, "positions are still there, or too few are")
            assert under.log.stream("broker/default/main").records == 1
            assert under.log.stream("sequence/default/s").records == 1

    asyncio.run(main())
