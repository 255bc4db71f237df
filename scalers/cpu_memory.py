"""cpu, memory: what the target's Pods use of their machine (pkg/scalers/cpu_memory_scaler.go, and the HPA's own rule).

Utilization is percent of what the Pods request, over all ready ones; AverageValue compares the whole amount, which is
the same as the average of each. Neither says whether there is work: without Pods there is nothing to measure. A Pod
that is ready and could not be measured makes the reading a lower bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from core.errors import PermanentError, TemporaryError
from core.resources.meta import Json
from core.resources.quantities import parse_quantity
from core.settings.declaration import Choice, Text
from core.stats import ContainerUsage, InstanceKey
from scalers.base import Definition, World
from scalers.params import Parameters, param
from scalers.readings import MetricType, Quality, Reading, Target, Trigger
from scalers.target_pods import is_ready, pods_of

WINDOW_S: Final = 15.0
"""Over which processors' time is averaged, as metrics-server's resolution; longer where it is read less often."""
FIRST_LOOK_S: Final = 1.0
"""Between the two looks that the first reading takes."""
SHORTEST_S: Final = 0.5
"""A rate over less is noise: the kernel counts in hundredths of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceParameters(Parameters):
    value: str = param(
        "value", Text(), "What is held: percent for Utilization, such as 60; else a quantity, such as 500m."
    )
    type: str | None = param(
        "type",
        Choice(("Utilization", "AverageValue")),
        "Older than the trigger's metricType, which says the same.",
        None,
    )
    container_name: str | None = param("containerName", Text(), "The one container to measure; all.", None)


class ResourceScaler:
    def __init__(self, resource: str, parameters: ResourceParameters, trigger: Trigger, world: World) -> None:
        metric_type, value = held(parameters, trigger)
        self._resource, self._container = resource, parameters.container_name
        self._trigger, self._world = trigger, world
        self._target = Target(resource, value, metric_type=metric_type, wakes=False)
        self._looks: dict[tuple[InstanceKey, str], list[tuple[float, float]]] = {}  # (when, processors' time)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        pods = await pods_of(self._world.store, self._trigger)
        ready = {_key(pod): self._containers(pod) for pod in pods if is_ready(pod)}
        if not ready:
            # Those that are still to come say nothing yet; where there are none, nothing is used.
            return (Reading(0.0, quality=Quality.PARTIAL if pods else Quality.WHOLE, note="no ready Pods"),)
        used = await self._used(ready)
        if not used:
            raise TemporaryError(f"what the {len(ready)} ready Pods use could not be measured")
        total = sum(used.values())
        quality = Quality.WHOLE if len(used) == len(ready) else Quality.PARTIAL
        if self._target.metric_type is not MetricType.UTILIZATION:
            return (Reading(total, quality=quality, note=f"{len(used)} of {len(ready)} ready Pods measured"),)
        requested = sum(self._requested(key, containers) for key, containers in ready.items())
        note = f"{total:.4g} of {requested:.4g} requested, {len(used)} of {len(ready)} ready Pods measured"
        return (Reading(100.0 * total / requested, quality=quality, note=note),)

    async def close(self) -> None:
        """Holds nothing."""

    def _containers(self, pod: Json) -> list[Json]:
        spec = pod["spec"]
        sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
        found = [each for each in (*spec["containers"], *sidecars) if self._container in (None, each["name"])]
        if not found:
            raise PermanentError(
                f"containerName {self._container}: Pod {pod['metadata']['name']} has no such container", "NoContainer"
            )
        return found

    def _requested(self, key: InstanceKey, containers: Sequence[Json]) -> float:
        total = 0.0
        for container in containers:
            resources = container.get("resources") or {}
            asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.get(self._resource)
            if asked is None or not parse_quantity(asked):
                raise PermanentError(
                    f"container {container['name']} of Pod {key.name} requests no {self._resource}: Utilization is "
                    f"percent of resources.requests.{self._resource}; set it in the template, or take AverageValue",
                    "NoRequests",
                )
            total += float(parse_quantity(asked))
        return total

    async def _used(self, ready: Mapping[InstanceKey, Sequence[Json]]) -> dict[InstanceKey, float]:
        """By Pod: cores, or bytes. One of which not everything is known is not in it."""
        names = {key: [container["name"] for container in containers] for key, containers in ready.items()}
        found = await self._world.usage.usage_of(list(ready))
        if self._resource == "memory":
            return _sums(found, names, lambda key, usage: float(usage.memory_bytes))
        self._look(found, names)
        rates = _sums(found, names, self._rate)
        if not rates and found:
            await self._world.clock.sleep(FIRST_LOOK_S)
            found = await self._world.usage.usage_of(list(ready))
            self._look(found, names)
            rates = _sums(found, names, self._rate)
        return rates

    def _look(self, found: Mapping[InstanceKey, Sequence[ContainerUsage]], names: Mapping[InstanceKey, object]) -> None:
        now = self._world.clock.monotonic()
        self._looks = {each: looks for each, looks in self._looks.items() if each[0] in names}
        for key, usages in found.items():
            for usage in usages:
                looks = self._looks.setdefault((key, usage.container), [])
                if looks and usage.cpu_s < looks[-1][1]:
                    looks.clear()  # it was restarted
                looks.append((now, usage.cpu_s))
                while len(looks) > 2 and looks[1][0] <= now - WINDOW_S:
                    del looks[0]

    def _rate(self, key: InstanceKey, usage: ContainerUsage) -> float | None:
        looks = self._looks.get((key, usage.container), ())
        if len(looks) < 2 or (span_s := looks[-1][0] - looks[0][0]) < SHORTEST_S:
            return None
        return (looks[-1][1] - looks[0][1]) / span_s


def held(parameters: ResourceParameters, trigger: Trigger) -> tuple[MetricType, float]:
    """What it is held at. PermanentError names the field."""
    asked, older = trigger.metric_type, parameters.type
    if asked is not None and older is not None and asked != older:
        raise PermanentError(f"{trigger.path}.metadata.type: is {older} and metricType is {asked}: leave type away")
    metric_type = MetricType(older) if asked is None and older is not None else asked
    path = f"{trigger.path}.metadata.value: is {parameters.value!r}"
    if metric_type is MetricType.UTILIZATION:
        if not parameters.value.isdigit() or not int(parameters.value):
            raise PermanentError(f"{path}, must be a whole number of percent, such as 60")
        return metric_type, float(parameters.value)
    if metric_type is MetricType.AVERAGE_VALUE:
        try:
            value = float(parse_quantity(parameters.value))
        except ValueError as error:
            raise PermanentError(f"{path}: {error}") from None
        if value <= 0:
            raise PermanentError(f"{path}, must be greater than 0")
        return metric_type, value
    raise PermanentError(f"{trigger.path}.metricType: must be Utilization or AverageValue for {trigger.type}")


def check(parameters: ResourceParameters, trigger: Trigger) -> None:
    if trigger.owner_kind != "ScaledObject":
        raise PermanentError(
            f"{trigger.path}.type: {trigger.type} is for ScaledObjects: a Job has no replicas to measure"
        )
    held(parameters, trigger)


Amount = Callable[[InstanceKey, ContainerUsage], float | None]


def _sums(
    found: Mapping[InstanceKey, Sequence[ContainerUsage]], names: Mapping[InstanceKey, Sequence[str]], amount: Amount
) -> dict[InstanceKey, float]:
    sums = {}
    for key, usages in found.items():
        known = {usage.container: value for usage in usages if (value := amount(key, usage)) is not None}
        if all(name in known for name in names[key]):
            sums[key] = sum(known[name] for name in names[key])
    return sums


def _key(pod: Json) -> InstanceKey:
    metadata = pod["metadata"]
    return InstanceKey(metadata["namespace"], metadata["name"], metadata["uid"])


DEFINITIONS = {
    "cpu": Definition(
        ResourceParameters,
        partial(ResourceScaler, "cpu"),
        "Processors' time of the target's Pods.",
        check=check,
        inside=True,
    ),
    "memory": Definition(
        ResourceParameters, partial(ResourceScaler, "memory"), "Memory of the target's Pods.", check=check, inside=True
    ),
}
