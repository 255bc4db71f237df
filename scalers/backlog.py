"""pilotlight-backlog: events of our own broker that a Trigger, or a Subscription of a channel, still has to deliver.

For a Deployment behind a subscriber, or a worker that goes with one; a Service that is called wakes by the calls.
Pushed: the first event that waits, each doubling and the last one are told in the turn of the loop in which they come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import TemporaryError
from core.settings.declaration import Decimal, Text
from core.stats import Backlog
from scalers.base import Definition, Tell, World
from scalers.metric_names import normalize
from scalers.params import Parameters, param
from scalers.readings import Reading, Target, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogParameters(Parameters):
    trigger: str | None = param("trigger", Text(), "Name of the Trigger.", None)
    subscription: str | None = param("subscription", Text(), "Or name of the Subscription.", None)
    namespace: str | None = param("namespace", Text(), "Where it is; the object's own.", None)
    backlog: float = param("backlog", Decimal(above=0.0), "Events for each replica, those under way included.", 10.0)
    activation_backlog: float = param("activationBacklog", Decimal(minimum=0.0), "Active with more than this.", 0.0)

    def problems(self) -> Sequence[tuple[str, str]]:
        if (self.trigger is None) is (self.subscription is None):
            return [("trigger", "exactly one of trigger and subscription is to be named")]
        return ()


class BacklogScaler:
    def __init__(self, parameters: BacklogParameters, trigger: Trigger, world: World) -> None:
        namespace = parameters.namespace or trigger.owner.namespace
        sort, name = (
            ("trigger", parameters.trigger) if parameters.trigger else ("subscription", parameters.subscription)
        )
        self._name = f"{sort}/{namespace}/{name}"
        self._backlogs = world.backlogs
        metric = normalize(f"pilotlight-backlog-{namespace}-{name}")
        self._target = Target(metric, parameters.backlog, parameters.activation_backlog)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        backlog = self._backlogs.of(self._name)
        if backlog is None:
            raise TemporaryError(f"{self._name} does not run, so nobody knows what waits for it: see its conditions")
        return (Reading(float(backlog.events), in_flight=float(backlog.in_flight)),)

    async def run(self, tell: Tell) -> None:
        told = 0

        def hear(backlog: Backlog | None) -> None:
            nonlocal told
            events = 0 if backlog is None else backlog.events
            if events > self._target.activation:
                if events >= 2 * told:
                    told = events
                    tell(True)
            elif told:
                told = 0
                tell(False)

        end = self._backlogs.listen(self._name, hear)
        try:
            hear(self._backlogs.of(self._name))
            await asyncio.Event().wait()
        finally:
            end()

    async def close(self) -> None:
        """Holds nothing."""


DEFINITION = Definition(
    BacklogParameters, BacklogScaler, "Events that wait for a Trigger or Subscription.", inside=True
)
