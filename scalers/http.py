"""http: requests of a Knative Service of this platform, counted where all of them pass.

The parameters are those of KEDA's HTTP add-on (HTTPScaledObject's `scalingMetric`). Concurrency is the exact integral
over the window, and never less than what is in flight: nothing is between two samples. The first request that waits is
told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import PermanentError, TemporaryError
from core.resources.serving import REVISION, SERVICE
from core.resources.serving_labels import SERVICE_LABEL
from core.settings.declaration import Choice, Decimal, Seconds, Text
from core.stats import RequestStatistic, RevisionKey
from scalers.base import Definition, Tell, World
from scalers.params import Parameters, param
from scalers.readings import Quality, Reading, Target, Trigger
from scalers.request_meter import KEPT_S, SILENCE_S, RequestMeter

CONCURRENCY, REQUEST_RATE = "concurrency", "requestRate"
_POOL = ("http requests",)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParameters(Parameters):
    service: str | None = param("service", Text(), "Name of the Knative Service; the target, where that is one.", None)
    namespace: str | None = param("namespace", Text(), "Where it is; the object's own.", None)
    scaling_metric: str = param(
        "scalingMetric", Choice((CONCURRENCY, REQUEST_RATE)), "Requests at a time, or requests per second.", CONCURRENCY
    )
    target_value: float = param("targetValue", Decimal(above=0.0), "Of that for each replica.", 100.0)
    activation_value: float = param("activationValue", Decimal(minimum=0.0), "Active with more of it than this.", 0.0)
    window_s: float | None = param(
        "window",
        Seconds(minimum_s=1.0, maximum_s=KEPT_S),
        "Over how long is averaged; 1m for requestRate, 10s for concurrency.",
        None,
        differs="The add-on samples concurrency at single moments.",
    )
    granularity_s: float = param(
        "granularity",
        Seconds(minimum_s=0.001),
        "Has no effect: the data path reports every second, and at once when a request waits.",
        1.0,
    )

    @property
    def over_s(self) -> float:
        if self.window_s is not None:
            return self.window_s
        return 60.0 if self.scaling_metric == REQUEST_RATE else 10.0


class HttpScaler:
    def __init__(self, parameters: HttpParameters, trigger: Trigger, world: World) -> None:
        self._parameters, self._world = parameters, world
        self._namespace = parameters.namespace or trigger.owner.namespace
        self._service = parameters.service or trigger.target.name
        self._meter: RequestMeter | None = None
        self._target = Target(f"http-{self._service}", parameters.target_value, parameters.activation_value)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        meter, now = self._heard(), self._world.clock.monotonic()
        found = []
        for revision in await self._revisions():
            if (requests := meter.of(revision)) is not None:
                if not requests.is_known(now):
                    raise TemporaryError(
                        f"nothing was heard of the requests of {revision} for {now - requests.last_at:.0f} s"
                    )
                found.append(requests)
        over_s = self._parameters.over_s
        sums = [requests.since(now - over_s) for requests in found]
        in_flight = sum(requests.in_flight for requests in found)
        if self._parameters.scaling_metric == REQUEST_RATE:
            # A window that is not full yet is as long as it has been listened to.
            value = sum(count for _, count in sums) / max(1.0, min(over_s, now - meter.began))
        else:
            value = max(float(in_flight), sum(integral for integral, _ in sums) / over_s)
        listened = now - meter.began >= SILENCE_S
        return (
            Reading(
                value,
                activation=max(value, float(in_flight)),
                quality=Quality.WHOLE if listened else Quality.PARTIAL,
                in_flight=float(in_flight),
            ),
        )

    async def run(self, tell: Tell) -> None:
        begins = f"{self._service}-"  # as the name of each of its revisions; whoever reads, looks closer

        def hear(report: RequestStatistic) -> None:
            if report.revision.name.startswith(begins):
                tell(True)

        end = self._heard().listen(self._namespace, hear)
        try:
            await asyncio.Event().wait()
        finally:
            end()

    async def close(self) -> None:
        if self._meter is not None:
            self._meter = None
            await self._world.pools.give_back(_POOL)

    def _heard(self) -> RequestMeter:
        if self._meter is None:
            world = self._world
            self._meter = world.pools.borrow(_POOL, lambda: RequestMeter(world.statistics, world.clock))
        return self._meter

    async def _revisions(self) -> list[RevisionKey]:
        listing = await self._world.store.list(REVISION, self._namespace, {SERVICE_LABEL: self._service})
        return [RevisionKey(self._namespace, each["metadata"]["name"]) for each in listing.items]


def check(parameters: HttpParameters, trigger: Trigger) -> None:
    if parameters.service is None and trigger.target.kind != SERVICE.kind:
        raise PermanentError(
            f"{trigger.path}.metadata.service: is required where the target is no Knative Service: its name"
        )


DEFINITION = Definition(HttpParameters, HttpScaler, "Requests of a Knative Service.", check=check, inside=True)
