"""What triggers refer to: resolved together, told when it changes, with nothing secret in what is wrong."""

from __future__ import annotations

import asyncio
import base64

from autoscaler.triggers.referring import Referring
from core.resources.core_v1 import SECRET
from core.resources.keda_auth import TRIGGER_AUTHENTICATION
from core.resources.kinds import KINDS
from core.resources.meta import Json, ObjectKey
from core.stats import StatisticBus
from core.store.base import EventType, WatchEvent
from core.store.memory import MemoryStore
from scalers.base import World
from scalers.pools import Pools
from tests.autoscaler.triggers.sources import trigger
from tests.support.clock import FakeClock

KEY = ObjectKey("default", "orders")


def secret(text: str) -> Json:
    data = {"p": base64.b64encode(text.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "data": data}


def test_one_trouble_is_its_triggers_alone_and_a_change_concerns_its_owner() -> None:
    async def main() -> None:
        clock = FakeClock()
        store = MemoryStore(KINDS, clock)
        await store.open()
        changed: list[ObjectKey] = []
        referring = Referring(World(clock, store, StatisticBus(), Pools()), changed.append)
        triggers = [trigger("a"), trigger("b", index=1)]

        def authentication(index: int) -> Json | None:
            return {"name": "auth"} if index else None

        found = await referring.resolve(KEY, triggers, authentication, None)
        assert found.triggers == triggers
        assert list(found.troubles) == [1]
        assert "auth" in found.troubles[1]

        reference = {"parameter": "password", "name": "s", "key": "p"}
        document = {
            "apiVersion": TRIGGER_AUTHENTICATION.api_version,
            "kind": TRIGGER_AUTHENTICATION.kind,
            "metadata": {"name": "auth", "namespace": "default"},
            "spec": {"secretTargetRef": [reference]},
        }
        await store.create(TRIGGER_AUTHENTICATION, document)
        await store.create(SECRET, secret("hunter22"))
        found = await referring.resolve(KEY, triggers, authentication, None)
        assert (dict(found.troubles), found.again_s) == ({}, None)
        assert found.triggers[1].auth == {"password": "hunter22"}

        watches = {watched.kind: watched.keys for watched in referring.watches()}
        event = WatchEvent(EventType.MODIFIED, secret("sesame"), 7, secret("hunter22"))
        assert list(watches[SECRET](event)) == [KEY]
        assert list(watches[SECRET](WatchEvent(EventType.MODIFIED, secret("a"), 8, secret("a")))) == []
        assert changed == [KEY]
        referring.forget(KEY)
        assert list(watches[SECRET](event)) == []

    asyncio.run(main())
