"""Seeded faults around a ScaledObject: sources that fail, hang, push and break, restarts, rotated Secrets, meddling.

What must hold for every seed, at every moment:

- no error lowers replicas: fewer are written only while every trigger's last reading is a good one, and never fewer
  than these readings ask for;
- replicas stay within minReplicaCount and maxReplicaCount;
- a source that hangs delays no other: a bystander is read at its interval;
- work that a healthy source shows is answered within its polling interval;

and once the faults have stopped and the work is gone: replicas are at their minimum, and every scaler that was made and
is not in use any more has been closed. No secret stands in status or events.

`python -m tests.scenarios.test_triggers FIRST COUNT` plays as many seeds as you like; one that fails says what was done
to it, step by step, and plays the same again.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import math
import random
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from autoscaler.triggers.sources import DEADLINE_S
from core.errors import NotFound
from core.resources.core_v1 import SECRET
from core.resources.keda import SCALED_OBJECT
from core.resources.meta import Json, Kind
from core.resources.workloads import DEPLOYMENT
from core.tasks import start_service
from scalers.readings import Quality
from tests.autoscaler.triggers.sources import Pond
from tests.autoscaler.triggers.world import NAME, KedaWorld
from tests.support.virtual_time import run

SEEDS, BLOCK = 300, 25
STEPS = 12
FAST = {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}
SLOW = {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 20}}}}
BYSTANDER_S = 5.0
SLACK_S = 0.3
CALM_S = 450.0
"""Longer than cooldown, windows and pauses together."""


class Story:
    """One seed's worth of trouble."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = KedaWorld()
        self.steps: list[str] = []
        self.ponds = [self.world.ponds[name] for name in "abc"[: self.chance.randint(1, 3)]]
        self.pushing = [self.chance.random() < 0.3 for _ in self.ponds]
        self.polling_s = self.chance.choice((1, 2, 5, 30))
        self.least, self.most = self.chance.choice(((0, 10), (0, 50), (2, 7)))
        self.up_since = 0.0
        self.password = 0

    # --- what is promised

    def watch_writes(self) -> None:
        modify = self.world.store.modify

        async def watched(kind: Kind[Any], name: str, namespace: str, change: Any, subresource: str = "") -> Json:
            if kind is not DEPLOYMENT or name != NAME:
                return await modify(kind, name, namespace, change, subresource)
            before = await self.world.replicas()
            after = await modify(kind, name, namespace, change, subresource)
            self.check_write(before, after["spec"]["replicas"])
            return after

        self.world.store.modify = watched  # type: ignore[method-assign]

    def check_write(self, before: int, after: int) -> None:
        assert self.least <= after <= self.most, f"{before} → {after}"
        if after >= before:
            return
        now = self.world.clock.monotonic()
        proven = [pond.proofs(now) for pond in self.ponds if pond.made > pond.closed]
        known = [min(values) for values in proven if values]
        assert len(known) == len(self.ponds), f"{before} → {after}, and what waits is not known: {proven}"
        asked = max(math.ceil(value / 10.0) for value in known)
        assert after >= min(asked, self.most), f"{before} → {after}, {asked} asked for"

    def check_bystander(self) -> None:
        asked = [at for at in self.world.ponds["bystander"].asked if at >= self.up_since]
        gaps = [late - early for early, late in itertools.pairwise(asked)]
        assert all(gap <= BYSTANDER_S + SLACK_S for gap in gaps), f"the bystander waited {max(gaps)} s"
        assert self.world.clock.monotonic() - max([self.up_since, *asked]) <= BYSTANDER_S + SLACK_S

    # --- the platform's life

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as self.group:
            self.task = await start_service(self.group, self.world.objects.run, "scaledobjects")
            pods = self.group.create_task(self.run_pods())
            try:
                yield
            finally:
                self.task.cancel()
                pods.cancel()

    async def run_pods(self) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(1.0, 10.0))
            with contextlib.suppress(NotFound):
                await self.world.follow()

    async def restart(self) -> None:
        self.check_bystander()
        self.task.cancel()
        await asyncio.wait([self.task])
        for pond in self.ponds:
            pond.proven = pond.was_proven = None
        await asyncio.sleep(self.chance.uniform(0.0, 20.0))
        self.world.objects = self.world._new()
        self.up_since = self.world.clock.monotonic() + SLACK_S
        self.task = await start_service(self.group, self.world.objects.run, "scaledobjects")

    # --- what is done to it

    async def begin(self) -> None:
        await self.world.secret("hunter0")
        await self.world.authentication()
        await self.world.deployment(self.chance.randint(self.least, self.most))
        await self.world.deployment(0, "bystander")
        await self.world.scaled_object(
            "bystander",
            pollingInterval=int(BYSTANDER_S),
            triggers=[{"type": "pond", "metadata": {"pond": "bystander"}}],
        )
        self.up_since = self.world.clock.monotonic() + SLACK_S
        triggers = [
            {
                "type": "pond-push" if pushing else "pond",
                "metadata": {"pond": name},
                "authenticationRef": {"name": "pond-auth"},
            }
            for name, pushing in zip("abc", self.pushing, strict=False)
        ]
        await self.world.scaled_object(
            triggers=triggers,
            pollingInterval=self.polling_s,
            cooldownPeriod=self.chance.choice((0, 10, 60)),
            advanced=self.chance.choice((None, FAST, FAST, SLOW)),
            minReplicaCount=self.least,
            maxReplicaCount=self.most,
        )

    async def step(self) -> None:
        deeds = (
            self.fill,
            self.fill,
            self.empty,
            self.fail,
            self.fade,
            self.fade,
            self.hang,
            self.read_in_part,
            self.mend,
            self.mend,
            self.restart,
            self.rotate,
            self.lose_secret,
            self.meddle,
            self.break_streams,
            self.push,
            self.other_target,
        )
        deed = self.chance.choice(deeds)
        self.steps.append(f"{self.world.now:.0f} s {deed.__name__}")
        await deed()
        await asyncio.sleep(self.chance.choice((0.0, 0.5, 3.0, 31.0, 70.0)))

    def pond(self) -> Pond:
        return self.chance.choice(self.ponds)

    async def fill(self) -> None:
        self.pond().value = self.chance.uniform(1.0, 800.0)

    async def empty(self) -> None:
        self.pond().value = 0.0

    async def fail(self) -> None:
        self.pond().error = self.chance.choice(("no route to host", "login with {password} refused", "defect"))

    async def fade(self) -> None:
        """All is done, which is read; then it cannot be read any more, while replicas are still held."""
        for pond in self.ponds:
            pond.value = 0.0
        await asyncio.sleep(self.polling_s + 1.0)
        await self.fail()

    async def hang(self) -> None:
        self.pond().hangs = True

    async def read_in_part(self) -> None:
        self.pond().quality = Quality.PARTIAL

    async def mend(self) -> None:
        for pond in self.ponds:
            pond.error, pond.hangs, pond.breaks, pond.quality = "", False, False, Quality.WHOLE

    async def rotate(self) -> None:
        self.password += 1
        text = {"password": base64.b64encode(f"hunter{self.password}".encode()).decode()}
        await self.world.edit(SECRET, "pond-secret", lambda obj: obj.update(data=text))

    async def lose_secret(self) -> None:
        await self.world.store.delete(SECRET, "pond-secret", "default")
        await asyncio.sleep(self.chance.uniform(0.0, 40.0))
        await self.world.secret(f"hunter{self.password}")

    async def meddle(self) -> None:
        replicas = self.chance.randint(self.least, self.most)
        modify = type(self.world.store).modify

        def change(obj: Json) -> Json:
            obj["spec"]["replicas"] = replicas
            return obj

        await modify(self.world.store, DEPLOYMENT, NAME, "default", change)

    async def break_streams(self) -> None:
        self.pond().breaks = True

    async def push(self) -> None:
        self.pond().tell(self.chance.random() < 0.7)

    async def other_target(self) -> None:
        await self.world.store.delete(DEPLOYMENT, NAME, "default")
        await asyncio.sleep(self.chance.uniform(0.0, 5.0))
        await self.world.deployment(self.least)

    # --- the end of it

    async def settle(self) -> None:
        self.steps.append(f"{self.world.now:.0f} s calm")
        await self.mend()
        for pond in self.ponds:
            pond.value = 0.0
        await asyncio.sleep(CALM_S)
        assert await self.world.replicas() == self.least
        await self.answer()
        self.check_bystander()
        told = str(await self.world.status()) + str(await self.world.events())
        assert "hunter" not in told
        assert (await self.world.condition("Ready"))[0] == "True"

    async def answer(self) -> None:
        """A burst into what is healthy."""
        pond, at = self.pond(), self.world.clock.monotonic()
        pond.value = 10.0 * self.most
        if self.pushing[self.ponds.index(pond)]:
            pond.tell(True)
            wait_s = SLACK_S
        else:
            wait_s = self.polling_s + SLACK_S
        while await self.world.replicas() != self.most:
            assert self.world.clock.monotonic() - at <= wait_s, f"{self.most} not asked for within {wait_s} s"
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        await self.world.store.delete(SCALED_OBJECT, NAME, "default")
        await asyncio.sleep(DEADLINE_S)
        for pond in self.ponds:
            assert pond.made == pond.closed
            assert not pond.tells


async def play(seed: int) -> None:
    story = Story(seed)
    try:
        async with story.living():
            await story.begin()
            story.watch_writes()
            for _ in range(STEPS):
                await story.step()
                story.check_bystander()
            await story.settle()
            await story.end()
    except BaseException as error:
        error.add_note(f"seed {seed}: " + " · ".join(story.steps))
        raise


def play_all(first: int, count: int) -> None:
    for seed in range(first, first + count):
        with capture_logs() as logs:
            run(play(seed))
        defects = [each for each in logs if each["log_level"] in ("error", "critical") and "exception" in str(each)]
        assert not defects, f"seed {seed}: {defects}"


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_what_is_promised_holds(first: int) -> None:
    play_all(first, BLOCK)


if __name__ == "__main__":
    play_all(int(sys.argv[1]), int(sys.argv[2]))
    print(f"seeds {sys.argv[1]} and the {int(sys.argv[2]) - 1} after it hold")
