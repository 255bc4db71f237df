"""The autoscaler as a whole, in a small world: 0 → 1 → n → 0 at exactly the expected times, pokes, live settings.

Covers autoscaler.loop, autoscaler.controller, autoscaler.scaled and autoscaler.status_writer.
"""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.decide import Reason
from autoscaler.decisions import Cause, in_words
from core.errors import Conflict
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.meta import Json, Kind
from core.resources.workloads import DEPLOYMENT
from core.stats import RequestStatistic, RevisionKey
from core.store.base import Change
from tests.autoscaler.world import KEY, World
from tests.support.clock import settle

pytestmark = pytest.mark.anyio


async def test_zero_to_one_to_many_to_zero_at_the_expected_times() -> None:
    world = World()
    await world.revision(replicas=0)
    async with world.running():
        assert await world.active() == ("False", "NoTraffic")
        assert (await world.status())["desiredScale"] == 0

        await world.clock.advance(1.0)  # 1001, no tick yet
        await world.poke()
        assert await world.replicas() == 1, "at once, no tick waited for"
        assert await world.active() == ("Unknown", "Queued")
        await world.follow()
        assert await world.active() == ("True", "")

        # One request at a time is one instance: 1002 … 1020.
        assert set(await world.play([1.0] * 19)) == {1}
        # 35 at a time at 7 each: at the tick of 1022 the panic window sees (4 * 1 + 2 * 35) / 6 → 2, in panic …
        assert await world.play([35.0, 35.0]) == [1, 2]
        # … then (3 * 1 + 4 …): more each tick until 35 / 7 = 5.
        assert await world.play([35.0] * 6) == [2, 4, 4, 5, 5, 5]
        # Silence since 1028. Panic was last over its threshold (2 * ready) at 1024 and holds for a stable window.
        assert await world.play([35.0, 0.0]) == [5, 5]
        assert await world.play([0.0] * 54) == [5] * 54  # … 1084
        down = await world.play([0.0] * 8)
        assert down == [5, 2, 2, 1, 1, 0, 0, 0], "half of what is ready per tick once panic is over, then none"
        assert await world.active() == ("False", "NoTraffic")
        assert (await world.status())["actualScale"] == 0


async def test_one_request_and_then_none_is_zero_after_a_stable_window() -> None:
    world = World()
    await world.revision(replicas=0)
    async with world.running():
        await world.clock.advance(0.5)
        await world.poke()  # in second 1000
        await world.follow()
        world.report(0.0, in_flight=0)
        await world.clock.advance(59.4)  # 1059.9
        assert await world.replicas() == 1
        await world.clock.advance(0.2)  # the tick of 1060: the window has forgotten second 1000
        assert await world.replicas() == 1, "active for less than a stable window: since 1000.5"
        await world.clock.advance(2.0)
        assert await world.replicas() == 0
        assert [each.outcome.reasons for each in world.autoscaler.decisions(*astuple(KEY))][-1] == (Reason.ZERO,)


def astuple(key: RevisionKey) -> tuple[str, str]:
    return key.namespace, key.name


async def test_a_new_revision_waits_for_its_first_instance_and_sleeps_a_window_later() -> None:
    world = World()
    async with world.running():
        await world.revision(replicas=1)
        assert await world.active() == ("Unknown", "Queued")
        await world.clock.advance(20.0)
        assert await world.replicas() == 1
        await world.follow()
        assert await world.active() == ("True", ""), "as soon as the Pod is ready, not a tick later"
        await world.clock.advance(59.0)
        assert await world.replicas() == 1
        await world.clock.advance(3.0)
        assert await world.replicas() == 0


async def test_a_first_request_that_came_before_the_platform_knew_the_revision_is_not_lost() -> None:
    world = World()
    async with world.running():
        await world.poke()
        await world.revision(replicas=0)
        assert await world.replicas() == 1
    late = World()
    async with late.running():
        await late.poke()
        await late.clock.advance(61.0)
        await late.revision(replicas=0)
        assert await late.replicas() == 0, "its caller has long been answered"


async def test_after_a_restart_a_cold_request_does_not_wait_for_a_tick() -> None:
    world = World()
    await world.revision(replicas=0)
    async with world.running():
        await world.poke()
        assert await world.replicas() == 1


async def test_min_scale_is_there_after_a_restart_without_any_request() -> None:
    world = World()
    await world.revision(replicas=0, min_scale="2")
    async with world.running():
        await settle()
        assert await world.replicas() == 2


async def test_a_restarted_autoscaler_never_scales_down_before_a_stable_window() -> None:
    world = World()
    await world.revision(replicas=4)
    await world.follow()
    async with world.running():
        assert set(await world.play([1.0] * 60)) == {4}
        assert (await world.play([1.0] * 6))[-1] < 4


async def test_a_reporter_that_falls_silent_with_requests_in_flight_is_unknown_never_zero() -> None:
    world = World()
    await world.revision(replicas=0)
    async with world.running():
        await world.poke()
        await world.follow()
        await world.play([5.0] * 5)
        await world.clock.advance(300.0)
        assert await world.replicas() == 1
        assert "nobody knows" in in_words(world.autoscaler.decisions(*astuple(KEY))[-1])
        world.report(0.0, in_flight=0)
        await world.clock.advance(62.0)
        assert await world.replicas() == 0


async def test_an_edit_of_config_autoscaler_counts_at_once() -> None:
    world = World()
    await world.revision(replicas=0)
    async with world.running():
        await world.configure(min_scale="3")
        assert await world.replicas() == 3, "a sleeping revision is looked at again"
        await world.follow()
        await world.clock.advance(60.0)
        await world.configure(stable_window="6s")
        assert (await world.play([0.0] * 4))[-1] == 0, "3 → 1 → 0, a tick each"
        await world.configure(stable_window="never", min_scale="5")
        assert await world.replicas() == 0, "an invalid one changes nothing"


async def test_an_edit_of_the_annotations_counts_at_once() -> None:
    world = World()
    await world.revision(replicas=1)
    async with world.running():

        def change(obj: Json) -> Json:
            obj["metadata"]["annotations"] = {"autoscaling.knative.dev/min-scale": "2"}
            return obj

        await world.store.modify(POD_AUTOSCALER, KEY.name, KEY.namespace, change)
        await settle()
        assert await world.replicas() == 2


async def test_someone_elses_scale_is_put_right() -> None:
    world = World()
    await world.revision(replicas=0)

    def change(obj: Json) -> Json:
        obj["spec"]["replicas"] = 9
        return obj

    async with world.running():
        await world.clock.advance(30.0)  # the grace period of a revision that has just been met
        await world.store.modify(DEPLOYMENT, f"{KEY.name}-deployment", KEY.namespace, change)
        await settle()
        assert await world.replicas() == 0


async def test_a_write_that_fails_is_made_again_by_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.revision(replicas=0)
    modify, failures = world.store.modify, 1

    async def flaky(kind: Kind[Any], name: str, namespace: str, change: Change, subresource: str = "") -> Json:
        nonlocal failures
        if kind is DEPLOYMENT and failures:
            failures -= 1
            raise Conflict("not now")
        return await modify(kind, name, namespace, change, subresource)

    monkeypatch.setattr(world.store, "modify", flaky)
    async with world.running():
        await world.poke()
        assert await world.replicas() == 0
        await world.clock.advance(2.0)
        assert await world.replicas() == 1


async def test_a_deleted_revision_is_forgotten() -> None:
    world = World()
    await world.revision(replicas=0)
    async with world.running():
        await world.store.delete(POD_AUTOSCALER, KEY.name, KEY.namespace)
        await world.store.delete(DEPLOYMENT, f"{KEY.name}-deployment", KEY.namespace)
        await settle()
        await world.poke()
        await world.clock.advance(4.0)
        assert world.autoscaler.decisions(*astuple(KEY)) == ()
        await world.revision(replicas=1)
        assert await world.active() == ("Unknown", "Queued")


async def test_sleepers_are_not_ticked() -> None:
    world = World()
    keys = [RevisionKey("default", f"sleeper-{n}") for n in range(50)]
    for key in keys:
        await world.revision(replicas=0, key=key)
    async with world.running():
        await world.clock.advance(2.0)
        version = world.store.resource_version
        await world.clock.advance(100.0)
        assert world.store.resource_version == version, "nothing is written for them"
        assert all(world.autoscaler.decisions(*astuple(key)) == () for key in keys), "nor decided"
        await world.poke(keys[7])
        assert await world.replicas(keys[7]) == 1
        assert world.autoscaler.decisions(*astuple(keys[7]))[0].cause is Cause.POKE


async def test_a_request_between_zero_decided_and_zero_written_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.revision(replicas=0)
    modify = world.store.modify

    async def slow(kind: Kind[Any], name: str, namespace: str, change: Change, subresource: str = "") -> Json:
        if kind is DEPLOYMENT:
            await world.clock.sleep(0.5)
        return await modify(kind, name, namespace, change, subresource)

    async with world.running():
        await world.poke()
        await world.follow()
        await world.play([0.0] * 61)
        monkeypatch.setattr(world.store, "modify", slow)
        await world.clock.advance(1.2)  # the tick of 1062 has decided on zero, its write is under way
        world.bus.publish(RequestStatistic(KEY, world.now, 0.0, 1.0, 1.0, 1, poke=True))
        await world.clock.advance(2.0)
        assert await world.replicas() == 1


async def test_retention_keeps_the_last_instance() -> None:
    world = World()
    await world.revision(replicas=0, scale_to_zero_pod_retention_period="20s")
    async with world.running():
        await world.poke()
        await world.follow()
        await world.play([0.0] * 62)
        assert (await world.replicas(), (await world.active())[0]) == (1, "False"), "inactive, but still there"
        assert await world.play([0.0] * 18) == [1] * 17 + [0], "20 seconds after 1060"


async def test_made_traffic() -> None:
    """Ten minutes with steps, a ramp, a burst and silence: enough within four seconds of each rise, never more than
    twice the need a minute after, no flapping, and zero at the end."""
    world = World()
    await world.revision(replicas=0, max_scale="20")
    loads = [3.0] * 60 + [40.0] * 120 + [40.0 + t for t in range(60)] + [100.0] * 60 + [10.0] * 180 + [0.0] * 200
    async with world.running():
        await world.poke()
        await world.follow()
        replicas = await world.play(loads)
    for second, load in enumerate(loads):
        recent = loads[max(0, second - 4) : second + 1]
        if load and min(recent) == load == max(recent):
            assert replicas[second] * 10 >= load, f"second {second}: {replicas[second]} for {load}"
        past = loads[max(0, second - 130) : second + 1]
        if len(past) > 130 and load == max(past):
            assert replicas[second] <= max(1, 2 * -(-load // 7))
    turns = sum(1 for a, b, c in zip(replicas, replicas[1:], replicas[2:], strict=False) if (b - a) * (c - b) < 0)
    assert turns == 0, "never up and down in two seconds"
    assert replicas[-1] == 0
    assert max(replicas) <= 20


async def test_triggers_wake_a_revision_hold_it_and_let_it_sleep_again() -> None:
    """What a ScaledObject of a Service asks for: the greater of both, and zero only when both say so."""
    world = World()
    async with world.running():
        await world.revision(0, target="10")
        world.autoscaler.set_floor(KEY, 3)
        await settle()
        assert await world.replicas() == 3
        await world.follow()
        assert (await world.active())[0] == "True"
        assert set(await world.play([0.0] * 120)) == {3}
        assert max(await world.play([50.0] * 20)) >= 5
        world.autoscaler.set_floor(KEY, 1)
        assert (await world.play([0.0] * 200))[-1] == 1
        world.autoscaler.set_floor(KEY, 0)
        assert (await world.play([0.0] * 200))[-1] == 0
        assert (await world.active()) == ("False", "NoTraffic")
        words = [decision.outcome.reasons for decision in world.autoscaler.decisions(KEY.namespace, KEY.name)]
        assert any(Reason.TRIGGERS in reasons for reasons in words)


async def test_a_floor_may_come_before_its_revision_and_is_bounded_by_max_scale() -> None:
    world = World()
    async with world.running():
        world.autoscaler.set_floor(KEY, 9)
        await world.revision(0, max_scale="4")
        assert await world.replicas() == 4
