"""autoscaler/triggers/loop.py: from what is read to what is written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import StoreFull
from core.resources.core_v1 import SECRET
from core.resources.keda import SCALED_OBJECT
from core.resources.meta import Json
from core.resources.workloads import DEPLOYMENT
from tests.autoscaler.triggers.world import KEY, NAME, KedaWorld, story


def test_a_window_of_the_clock_scales_from_zero_and_back() -> None:
    """The ScaledObject of KEDA's page about cron."""
    wall = datetime(2026, 3, 2, 5, 59, 0, tzinfo=UTC).timestamp()  # a Monday
    metadata = {"timezone": "Etc/UTC", "start": "0 6 * * *", "end": "0 20 * * *", "desiredReplicas": "10"}

    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        await world.scaled_object(
            cooldownPeriod=300, pollingInterval=30, triggers=[{"type": "cron", "metadata": metadata}]
        )
        await asyncio.sleep(15 * 3600.0)
        assert [replicas for _, replicas in world.writes[:2]] == [0, 10]
        assert world.writes[-1][1] == 0
        up, down = world.writes[1][0], world.writes[-1][0]
        assert 60.0 <= up <= 60.0 + 31.0
        # Upstream's cooldown counts from the last reading inside the window; ours too.
        assert 60.0 + 14 * 3600.0 + 300.0 - 31.0 <= down <= 60.0 + 14 * 3600.0 + 300.0 + 31.0

    story(play, wall)


def test_a_burst_is_answered_in_one_decision_after_it_is_read() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        await world.scaled_object(maxReplicaCount=60, pollingInterval=1)
        await asyncio.sleep(10.0)
        world.ponds["a"].value = 500.0
        at = world.now
        await asyncio.sleep(1.1)
        assert [replicas for _, replicas in world.writes] == [0, 50]
        assert world.writes[-1][0] - at <= 1.1

    story(play)


def test_no_error_lowers_and_work_that_is_gone_leads_to_zero() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        world.ponds["a"].value = 45.0
        await world.scaled_object(cooldownPeriod=30)
        await asyncio.sleep(1.0)
        assert await world.replicas() == 5
        world.ponds["a"].error, world.ponds["a"].value = "down", 0.0
        await asyncio.sleep(3600.0)
        assert await world.replicas() == 5
        assert await world.condition("Ready") == (
            "False",
            "TriggerError",
            "Triggers defined in ScaledObject are not working correctly: s0-pond-a: down (circuit Open)",
        )
        world.ponds["a"].error = ""
        await asyncio.sleep(400.0)
        assert await world.replicas() == 0
        assert (await world.condition("Ready"))[0] == "True"

    story(play)


def test_replicas_that_somebody_else_writes_are_looked_at_again() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        world.ponds["a"].value = 45.0
        await world.scaled_object(pollingInterval=300)
        await asyncio.sleep(10.0)

        def meddle(obj: Json) -> None:
            obj["spec"]["replicas"] = 1

        await world.edit(DEPLOYMENT, "orders", meddle)
        await asyncio.sleep(1.0)
        assert await world.replicas() == 5

    story(play)


def test_a_scale_that_cannot_be_written_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        await world.scaled_object()
        await asyncio.sleep(1.0)
        modify, tries = world.store.modify, 0

        async def full(kind: Any, *args: Any, **more: Any) -> Json:
            nonlocal tries
            if kind is DEPLOYMENT and (tries := tries + 1) <= 3:
                raise StoreFull("no space left on device")
            return await modify(kind, *args, **more)

        monkeypatch.setattr(world.store, "modify", full)
        world.ponds["a"].value = 20.0
        await asyncio.sleep(20.0)
        assert await world.replicas() == 2
        assert 4 <= tries <= 5
        (failed,) = await world.events("KEDAScaleTargetActivationFailed")
        assert "no space left on device" in failed[1]

    story(play)


def test_what_somebody_else_has_just_written_is_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A raise from 0 to 1 that was decided on before it is known of would lower it, which no error may."""

    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        world.ponds["b"].error = "no route to host"
        await world.scaled_object(triggers=[{"type": "pond", "metadata": {"pond": name}} for name in "ab"])
        await asyncio.sleep(1.0)
        modify, meddled = world.store.modify, False

        def by_hand(obj: Json) -> Json:
            obj["spec"]["replicas"] = 10
            return obj

        async def late(kind: Any, *args: Any, **more: Any) -> Json:
            nonlocal meddled
            if kind is DEPLOYMENT and not meddled:
                meddled = True
                await modify(kind, NAME, "default", by_hand)
            return await modify(kind, *args, **more)

        monkeypatch.setattr(world.store, "modify", late)
        world.ponds["a"].value = 5.0
        await asyncio.sleep(400.0)
        assert [replicas for _, replicas in world.writes] == [0, 10]

    story(play)


def test_work_in_hand_holds_the_last_ones() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        world.ponds["a"].value = 15.0
        await world.scaled_object(cooldownPeriod=0)
        await asyncio.sleep(1.0)
        await world.follow()
        await world.report(pod=1, in_hand="3")
        world.ponds["a"].value = 0.0
        await asyncio.sleep(1000.0)
        assert await world.replicas() >= 1
        await world.report(pod=1, in_hand="0")
        await asyncio.sleep(1000.0)
        assert await world.replicas() == 0

    story(play)


def test_a_platform_that_comes_back_remembers_the_cooldown() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(3)
        status = {"lastActiveTime": "2023-11-14T22:11:40Z", "conditions": [{"type": "Active", "status": "False"}]}
        await world.scaled_object(cooldownPeriod=300)
        await world.store.modify(SCALED_OBJECT, "orders", "default", lambda obj: {**obj, "status": status}, "status")
        async with world.restarted():
            world.writes.clear()
            await asyncio.sleep(190.0)  # 100 s had gone by: 2023-11-14T22:13:20Z is the start
            assert await world.replicas() > 0
            await asyncio.sleep(400.0)
            assert await world.replicas() == 0

    async def main(world: KedaWorld) -> None:
        await play(world)

    story(main, run_objects=False)


def test_a_secret_that_is_rotated_is_used_at_once_and_told_nowhere() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        await world.secret("hunter22")
        await world.scaled_object(
            triggers=[{"type": "pond", "metadata": {"pond": "a"}, "authenticationRef": {"name": "pond-auth"}}]
        )
        await asyncio.sleep(1.0)
        assert world.ponds["a"].made == 0
        assert "pond-auth" in (await world.condition("Ready"))[2]
        await world.authentication()
        await asyncio.sleep(1.0)
        assert (world.ponds["a"].made, world.ponds["a"].password) == (1, "hunter22")
        world.ponds["a"].error = "login with hunter22 refused"
        await asyncio.sleep(20.0)
        assert "login with *** refused" in (await world.condition("Ready"))[2]
        world.ponds["a"].error = ""

        def rotate(obj: Json) -> None:
            obj["data"]["password"] = "aHVudGVyMjM="

        await world.edit(SECRET, "pond-secret", rotate)
        await asyncio.sleep(1.0)
        assert (world.ponds["a"].made, world.ponds["a"].password, world.ponds["a"].closed) == (2, "hunter23", 1)
        assert (await world.condition("Ready"))[0] == "True"
        told = str(await world.status()) + str(await world.events())
        assert "hunter2" not in told

    story(play)


def test_the_loop_knows_what_there_is() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        await world.scaled_object()
        await asyncio.sleep(1.0)
        assert [scaled.key for scaled in world.objects.loop] == [KEY]
        facts = world.objects.loop.facts(KEY)
        assert facts is not None
        assert [metric.name for metric in facts.metrics] == ["s0-pond-a"]
        await world.store.delete(SCALED_OBJECT, "orders", "default")
        await asyncio.sleep(1.0)
        assert not list(world.objects.loop)
        assert world.objects.loop.facts(KEY) is None
        assert world.ponds["a"].closed == 1

    story(play)
