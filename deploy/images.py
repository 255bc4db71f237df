"""How the Revision controller learns the immutable name of an image: the roof hands in something that knows.

Types only. On one machine the runtime answers (an image digest, the content digest of a folder); on Kubernetes a client
of the registry would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from core.resources.meta import Json


@dataclass(frozen=True, slots=True)
class Resolved:
    """`digest` is put in place of the image; "" leaves the image as it is written (`process` has none)."""

    digest: str = ""


@dataclass(frozen=True, slots=True)
class ImageProblem:
    """The image cannot be had: it does not exist, or the registry refuses. `message` is the engine's own sentence."""

    message: str


@dataclass(frozen=True, slots=True)
class RuntimeProblem:
    """Nothing here can run it now: no engine answers, say. `message` says what to do."""

    message: str


Resolution: TypeAlias = Resolved | ImageProblem | RuntimeProblem


class Images(Protocol):
    """Given by the roof."""

    async def resolve(self, namespace: str, spec: Json, container: Json) -> Resolution:
        """`spec` is the Revision's, for its runtime class, service account and pull secrets; `container` one of its."""
