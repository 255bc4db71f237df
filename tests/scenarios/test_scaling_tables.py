"""Scales over a jumping clock: cooldown, failures, fallback, pauses, windows of cron over a change of summer time, and
the behavior of a HorizontalPodAutoscaler. Each table says when the scale was written, and what.

Sources are read at their polling interval, the decision is written at once, and a decision that names the time at which
it would be another one is asked again then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from autoscaler.triggers.decide import Observed, begin, decide
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import (
    Behavior,
    Fallback,
    FallbackBehavior,
    Pause,
    Policy,
    PolicyType,
    ScalingRules,
    ScalingSpec,
    SelectPolicy,
)
from core.resources.meta import ObjectKey
from scalers.cron import CronParameters, CronScaler
from scalers.params import parse
from scalers.readings import Reading, Target, Trigger
from tests.support.clock import FakeClock

DOWN = None  # a source that fails
PODS, PERCENT = PolicyType.PODS, PolicyType.PERCENT

Story = Sequence[tuple[float, float | None]]
"""From a second on, what waits."""
Read = Callable[[], Awaitable[Reading | None]]
Changes = list[tuple[float, int]]


def rules(*policies: Policy, window_s: float = 0.0, select: SelectPolicy = SelectPolicy.MAX) -> ScalingRules:
    return ScalingRules(window_s, select, policies)


async def run(
    read: Read, target: Target, specs: Sequence[tuple[float, ScalingSpec]], seconds: float, clock: FakeClock
) -> Changes:
    """When the scale was written, counted from the beginning."""
    began, replicas, failures, changes = clock.monotonic(), 0, 0, []
    state = begin(specs[0][1], 0, began)
    sample = Sample("s0-m", "m", "kafka", target)
    read_at = wake_at = began
    while (now := clock.monotonic()) <= began + seconds:
        spec = [spec for since, spec in specs if began + since <= now][-1]
        if now >= read_at:
            reading = await read()
            failures = failures + 1 if reading is None else 0
            error = "connection refused" if reading is None else ""
            sample = replace(
                sample,
                reading=reading or sample.reading,
                read_at=sample.read_at if reading is None else now,
                failures=failures,
                error=error,
            )
            read_at = now + spec.polling_interval_s
        outcome = decide(spec, state, Observed(replicas, replicas, [sample]), now)
        state = outcome.state
        if outcome.scale is not None:
            replicas = outcome.scale
            changes.append((now - began, replicas))
        turns = [read_at, *(began + since for since, _ in specs if began + since > now)]
        if outcome.next_at is not None and outcome.next_at > now:
            turns.append(outcome.next_at)
        wake_at = min(turns)
        await clock.advance(wake_at - now)
    return changes


def waiting(story: Story, clock: FakeClock) -> Read:
    began = clock.monotonic()

    async def read() -> Reading | None:
        lag = [lag for since, lag in story if began + since <= clock.monotonic()][-1]
        return None if lag is None else Reading(lag)

    return read


def scales(spec: ScalingSpec, story: Story, seconds: float, **later: ScalingSpec) -> Changes:
    """`later`: the document from a second on, as `at_50`."""
    clock = FakeClock()
    specs = [(0.0, spec), *((float(name.removeprefix("at_")), each) for name, each in later.items())]
    return asyncio.run(run(waiting(story, clock), Target("m", 10.0), specs, seconds, clock))


SPEC = ScalingSpec(polling_interval_s=10.0)
BURST: Story = [(0, 25), (100, 0)]
OUTAGE: Story = [(0, 25), (50, DOWN), (200, 0)]


@pytest.mark.parametrize(
    ("spec", "story", "changes"),
    [
        pytest.param(SPEC, BURST, [(0, 3), (390, 0)], id="cooldown, from the last activity that was seen"),
        pytest.param(replace(SPEC, cooldown_s=55.0), BURST, [(0, 3), (145, 0)], id="to the second, not to the poll"),
        pytest.param(replace(SPEC, cooldown_s=0.0), BURST, [(0, 3), (100, 0)], id="none"),
        pytest.param(replace(SPEC, min_replicas=2), BURST, [(0, 3), (390, 2)], id="to minReplicaCount, by the window"),
        pytest.param(replace(SPEC, min_replicas=2, idle=0), BURST, [(0, 3), (390, 0)], id="to idleReplicaCount"),
        pytest.param(replace(SPEC, min_replicas=2, idle=1), BURST, [(0, 3), (390, 1)], id="to an idle count of 1"),
        pytest.param(
            replace(SPEC, initial_cooldown_s=60.0, min_replicas=0), [(0, 0)], [], id="asleep from the beginning"
        ),
        pytest.param(SPEC, [(0, 25), (100, 0), (300, 5), (310, 0)], [(0, 3), (390, 1), (600, 0)], id="work meanwhile"),
    ],
)
def test_cooldown(spec: ScalingSpec, story: Story, changes: Changes) -> None:
    assert scales(spec, story, 1000) == changes


@pytest.mark.parametrize(
    ("spec", "story", "changes"),
    [
        pytest.param(SPEC, OUTAGE, [(0, 3), (340, 1), (490, 0)], id="held; the cooldown begins when it is back"),
        pytest.param(SPEC, [(0, 25), (50, DOWN)], [(0, 3)], id="held for ever"),
        pytest.param(
            replace(SPEC, fallback=Fallback(3, 6)), OUTAGE, [(0, 3), (80, 6), (490, 0)], id="static, at the fourth"
        ),
        pytest.param(
            replace(SPEC, fallback=Fallback(3, 6), cooldown_s=20.0),
            [(0, DOWN), (100, 0)],
            [(30, 6), (110, 0)],
            id="from zero",
        ),
        pytest.param(
            replace(SPEC, fallback=Fallback(3, 6, FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER)),
            [(0, 90), (50, DOWN)],
            [(0, 9)],
            id="what there is, being more",
        ),
        pytest.param(
            replace(SPEC, fallback=Fallback(3, 0)),
            [(0, 25), (50, DOWN)],
            [(0, 3), (340, 1)],
            id="a fallback of zero goes down to one, by the window",
        ),
    ],
)
def test_failures(spec: ScalingSpec, story: Story, changes: Changes) -> None:
    assert scales(spec, story, 1000) == changes


@pytest.mark.parametrize(
    ("pause", "story", "changes"),
    [
        pytest.param(Pause(all=True), [(0, 25), (60, 90)], [(0, 3), (150, 9)], id="held, then at once"),
        pytest.param(Pause(replicas=5), [(0, 25)], [(0, 3), (50, 5), (150, 3)], id="at 5"),
        pytest.param(Pause(replicas=0), [(0, 25)], [(0, 3), (50, 0), (150, 3)], id="at 0"),
        pytest.param(Pause(scale_out=True), [(0, 25), (60, 90)], [(0, 3), (150, 9)], id="not out"),
        pytest.param(Pause(scale_in=True), [(0, 25), (60, 90)], [(0, 3), (60, 9)], id="not in, but out"),
    ],
)
def test_pauses(pause: Pause, story: Story, changes: Changes) -> None:
    assert scales(SPEC, story, 300, at_50=replace(SPEC, pause=pause), at_150=SPEC) == changes


HPA = ScalingSpec(polling_interval_s=15.0, max_replicas=20)


@pytest.mark.parametrize(
    ("behavior", "story", "changes"),
    [
        pytest.param(Behavior(), [(0, 1000)], [(0, 20)], id="no behavior: to N at once"),
        pytest.param(Behavior(), [(0, 160), (90, 10)], [(0, 16), (375, 1)], id="no behavior: down after 300 s"),
        pytest.param(
            Behavior(up=rules(Policy(PODS, 4, 60.0))),
            [(0, 1000)],
            [(0, 5), (60, 9), (120, 13), (180, 17), (240, 20)],
            id="4 Pods a minute, counted from the first",
        ),
        pytest.param(
            Behavior(up=rules(Policy(PODS, 4, 15.0), Policy(PERCENT, 100, 15.0))),
            [(0, 1000)],
            [(0, 5), (15, 10), (30, 20)],
            id="the controller's own ladder, where it is written down",
        ),
        pytest.param(
            Behavior(down=rules(Policy(PERCENT, 50, 60.0))),
            [(0, 160), (90, 10)],
            [(0, 16), (90, 8), (150, 4), (210, 2), (270, 1)],
            id="half a minute down",
        ),
        pytest.param(
            Behavior(down=rules(Policy(PODS, 5, 60.0), window_s=120.0)),
            [(0, 160), (90, 10)],
            [(0, 16), (195, 11), (255, 6), (315, 1)],
            id="a window, then 5 a minute",
        ),
        pytest.param(
            Behavior(up=rules(window_s=120.0)),
            [(0, 20), (60, 200), (90, 20)],
            [(0, 1), (120, 2)],
            id="a spike within scaleUp's window",
        ),
        pytest.param(
            Behavior(up=rules(Policy(PODS, 4, 60.0), select=SelectPolicy.DISABLED)),
            [(0, 1000)],
            [(0, 1)],
            id="scaleUp disabled: activation alone",
        ),
        pytest.param(
            Behavior(down=rules(select=SelectPolicy.DISABLED)),
            [(0, 160), (90, 10), (400, 0)],
            [(0, 16), (690, 0)],
            id="scaleDown disabled: until there is no work at all",
        ),
        pytest.param(
            Behavior(down=rules(Policy(PODS, 5, 60.0))),
            [(0, 160), (90, 160), (100, 0)],
            [(0, 16), (105, 11), (165, 6), (225, 1), (390, 0)],
            id="policies on the way to zero",
        ),
    ],
)
def test_behavior(behavior: Behavior, story: Story, changes: Changes) -> None:
    assert scales(replace(HPA, behavior=behavior), story, 800) == changes


@pytest.mark.parametrize(
    ("start", "end", "midnight", "changes"),
    [
        pytest.param("30 2 * * *", "0 4 * * *", "2026-03-28", [(2.5, 4), (4.0, 0)], id="a night like others"),
        pytest.param("30 2 * * *", "0 4 * * *", "2026-03-29", [(2.0, 4), (3.0, 0)], id="02:30 is skipped in spring"),
        pytest.param("30 2 * * *", "0 4 * * *", "2026-10-25", [(2.5, 4), (5.0, 0)], id="02:30 comes twice in autumn"),
        pytest.param("0 1 * * *", "30 2 * * *", "2026-10-25", [(1.0, 4), (2.5, 0)], id="closed once in autumn"),
        pytest.param("0 1 * * *", "0 7 * * *", "2026-03-29", [(1.0, 4), (6.0, 0)], id="an hour shorter in spring"),
    ],
)
def test_cron_over_a_change_of_summer_time(start: str, end: str, midnight: str, changes: Changes) -> None:
    """Hours since midnight in Berlin, on a clock that nobody puts back."""
    wall = datetime.fromisoformat(midnight).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    clock = FakeClock(wall=wall)
    metadata = {"timezone": "Europe/Berlin", "start": start, "end": end, "desiredReplicas": "4"}
    parameters = parse(CronParameters, Trigger(ObjectKey("default", "x"), 0, "cron", metadata))
    assert isinstance(parameters, CronParameters)
    scaler = CronScaler(parameters, clock)

    async def read() -> Reading:
        (reading,) = await scaler.read()
        return reading

    spec = ScalingSpec(polling_interval_s=60.0, cooldown_s=0.0)
    found = asyncio.run(run(read, Target("cron", 1.0), [(0.0, spec)], 8 * 3600.0, clock))
    assert [(at / 3600.0, replicas) for at, replicas in found] == changes
