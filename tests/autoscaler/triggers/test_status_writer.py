"""autoscaler/triggers/status_writer.py: what matters is written at once, what does not waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autoscaler.triggers.status_writer import SLOW_S
from core.resources.keda import SCALED_OBJECT
from core.resources.meta import Json
from tests.autoscaler.triggers.world import KedaWorld, story


def count_writes(world: KedaWorld, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    modify, at = world.store.modify, []

    async def counted(kind: Any, *args: Any, **more: Any) -> Json:
        if kind is SCALED_OBJECT and args[-1] == "status":
            at.append(world.now)
        return await modify(kind, *args, **more)

    monkeypatch.setattr(world.store, "modify", counted)
    return at


def test_messages_and_failures_write_nothing_each(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: KedaWorld) -> None:
        written = count_writes(world, monkeypatch)
        await world.deployment(0)
        await world.scaled_object(pollingInterval=1)
        world.ponds["a"].value = 5.0
        await asyncio.sleep(30.0)
        written.clear()
        for number in range(300):
            world.ponds["a"].value = 5.0 + number % 4
            await asyncio.sleep(1.0)
        assert len(written) <= 300.0 / SLOW_S + 1
        assert (await world.status())["lastActiveTime"]
        world.ponds["a"].error = "down"
        at = world.now
        await asyncio.sleep(5.0)
        assert written[-1] - at < 1.5
        written.clear()
        await asyncio.sleep(300.0)
        assert len(written) <= 300.0 / SLOW_S + 1
        assert (await world.status())["health"]["s0-pond-a"]["numberOfFailures"] > 250

    story(play)


def test_a_thousand_changes_of_one_object_are_a_few_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        await world.scaled_object(pollingInterval=1)
        await asyncio.sleep(5.0)
        written = count_writes(world, monkeypatch)
        await world.annotate(paused="true")
        await world.annotate(paused=None)
        await world.annotate(paused="true")
        await asyncio.sleep(1.0)
        assert 1 <= len(written) <= 3
        assert (await world.condition("Paused"))[0] == "True"

    story(play)
