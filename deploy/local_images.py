"""Images on one machine: the runtime that would start a container also knows the immutable name of its image."""

from __future__ import annotations

from core.resources.meta import Json
from deploy.images import ImageProblem, Resolution, Resolved, RuntimeProblem
from deploy.planning import Planner
from deploy.runtimes.base import ContainerPlan, StartError


class LocalImages:
    """`deploy.images.Images` over the node's runtimes."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    async def resolve(self, namespace: str, spec: Json, container: Json) -> Resolution:
        try:
            runtime = self._planner.runtime({"spec": spec})
        except StartError as error:
            return RuntimeProblem(error.message)
        plan = ContainerPlan(
            name=container.get("name") or "",
            image=container.get("image") or "",
            command=tuple(container.get("command") or ()),
            pull_policy=container.get("imagePullPolicy") or "IfNotPresent",
        )
        try:
            return Resolved(await runtime.resolve(plan, await self._planner.registry_auth(namespace, spec)))
        except StartError as error:
            return ImageProblem(error.message)
