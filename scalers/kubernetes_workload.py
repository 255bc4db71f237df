"""kubernetes-workload: so many replicas for each Pod of others (pkg/scalers/kubernetes_workload_scaler.go).

Pods that have ended do not count. Here it also hears of them: when their number changes, it says so at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from core.apiserver.selectors import parse_labels
from core.errors import BadRequest, Expired
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.selectors import LabelSelector
from core.settings.declaration import Decimal, Text, Truth
from core.store.base import EventType
from scalers.base import Definition, Tell, World
from scalers.metric_names import normalize
from scalers.params import Parameters, param
from scalers.readings import Reading, Target, Trigger

_ENDED: Final = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Selector:
    allowed: str = "must be a label selector, such as app=backend,tier in (a, b)"

    def read(self, text: str) -> LabelSelector:
        try:
            return parse_labels(text)
        except BadRequest as error:
            raise ValueError(f"{self.allowed}: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadParameters(Parameters):
    pod_selector: LabelSelector = param("podSelector", Selector(), "Labels of the Pods to count.")
    value: float = param("value", Decimal(above=0.0), "Pods for each replica.", is_target=True)
    activation_value: float = param("activationValue", Decimal(minimum=0.0), "Active with more Pods than this.", 0.0)
    group_by_node: bool = param("groupByNode", Truth(), "Count the nodes that they are on instead.", False)
    namespace: str | None = param(
        "namespace",
        Text(),
        "Where they are; the object's own.",
        None,
        differs="KEDA has it not: it counts in the object's own namespace.",
    )


class WorkloadScaler:
    def __init__(self, parameters: WorkloadParameters, trigger: Trigger, world: World) -> None:
        self._parameters, self._store = parameters, world.store
        self._namespace = parameters.namespace or trigger.owner.namespace
        self._target = Target(normalize(f"workload-{self._namespace}"), parameters.value, parameters.activation_value)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        pods = [pod for pod in (await self._store.list(POD, self._namespace)).items if self._counts(pod)]
        return (Reading(float(self._count(pods)), note=f"{len(pods)} Pods with {self._parameters.pod_selector}"),)

    async def run(self, tell: Tell) -> None:
        while True:
            listing = await self._store.list(POD, self._namespace)
            present = {pod["metadata"]["uid"]: pod for pod in listing.items if self._counts(pod)}
            told = self._count(present.values())
            tell(told > self._target.activation)
            try:
                async with self._store.watch(POD, self._namespace, since=listing.resource_version) as changes:
                    async for event in changes:
                        if event.type is EventType.BOOKMARK:
                            continue
                        pod = event.object
                        if event.type is not EventType.DELETED and self._counts(pod):
                            present[pod["metadata"]["uid"]] = pod
                        else:
                            present.pop(pod["metadata"]["uid"], None)
                        if (count := self._count(present.values())) != told:
                            told = count
                            tell(count > self._target.activation)
                return  # the store is closed
            except Expired:
                continue

    async def close(self) -> None:
        """Holds nothing."""

    def _counts(self, pod: Json) -> bool:
        ended = (pod.get("status") or {}).get("phase") in _ENDED
        return not ended and self._parameters.pod_selector.matches(pod["metadata"].get("labels"))

    def _count(self, pods: Iterable[Json]) -> int:
        if not self._parameters.group_by_node:
            return sum(1 for _ in pods)
        return len({node for pod in pods if (node := pod["spec"].get("nodeName"))})


DEFINITION = Definition(WorkloadParameters, WorkloadScaler, "Pods of others, by their labels.", inside=True)
