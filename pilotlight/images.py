"""What the Revision controller asks of the machine: the immutable name of an image, from the runtime that would run it.

Implements `deploy.images.Images` over the runtimes.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.resources.meta import Json
from core.resources.serving_podspec import runtime_class
from deploy.images import ImageProblem, Resolution, Resolved, RuntimeProblem
from deploy.runtimes.base import ContainerPlan, Runtime, StartError


class RuntimeImages:
    """Asks the runtime that the spec names."""

    def __init__(self, runtimes: Mapping[str, Runtime]) -> None:
        self._runtimes = runtimes

    async def resolve(self, namespace: str, spec: Json, container: Json) -> Resolution:
        name = runtime_class(spec)
        runtime = self._runtimes.get(name)
        if runtime is None:
            return RuntimeProblem(f"this machine has no runtime {name!r}; it has {', '.join(self._runtimes)}")
        if (problem := runtime.available()) is not None:
            return RuntimeProblem(problem)
        plan = ContainerPlan(
            name=container.get("name") or "",
            image=container.get("image") or "",
            command=tuple(container.get("command") or ()),
            pull_policy=container.get("imagePullPolicy") or "IfNotPresent",
        )
        try:
            return Resolved(await runtime.resolve(plan))
        except StartError as error:
            return ImageProblem(error.message)
