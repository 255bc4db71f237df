"""Images for the container runtime: found in the engine's store, or pulled as the pull policy says, once at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final

from core.clients.engine import Engine, EngineDown, EngineRefused, ImageFacts
from deploy.runtimes.base import ContainerPlan, RegistryAuth, StartError, Tell, to_nobody
from deploy.runtimes.container_config import find_credentials, parse_reference

LOCAL_ONLY: Final = frozenset({"localhost", "ko.local", "kind.local", "dev.local"})
"""What builders call the engine's own store: there is no registry of that name to ask for something newer."""


class Images:
    """Asks the engine; remembers nothing but which image lacks a /tmp."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pulls: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._without_tmp: dict[str, bool] = {}

    async def ensure(self, container: ContainerPlan, auth: RegistryAuth, tell: Tell = to_nobody) -> ImageFacts:
        """The image, pulled if need be. StartError in the kubelet's words."""
        name, reference = container.image, parse_reference(container.image)
        always = container.pull_policy == "Always" and not reference.digest and reference.registry not in LOCAL_ONLY
        try:
            if not always and (found := await self._engine.image(name)) is not None:
                return found
            if container.pull_policy == "Never":
                message = f'Container image "{name}" is not present with pull policy of Never'
                raise StartError("ErrImageNeverPull", message)
            async with self._pulls[name]:
                if not always and (found := await self._engine.image(name)) is not None:
                    return found  # another instance has pulled it meanwhile
                tell("Pulling", f'Pulling image "{name}"')
                await self._engine.pull(str(reference), find_credentials(auth, reference))
            found = await self._engine.image(str(reference)) or await self._engine.image(name)
        except EngineRefused as error:
            raise StartError("ErrImagePull", f'Failed to pull image "{name}": {error.message}') from error
        except EngineDown as error:
            raise StartError("ErrImagePull", f'Failed to pull image "{name}": {error}') from error
        if found is None:
            raise StartError("ErrImagePull", f'Failed to pull image "{name}": it is not there after the pull')
        return found

    def lacks_tmp(self, image: ImageFacts) -> bool | None:
        """Whether the image has no /tmp; None: not known yet."""
        return self._without_tmp.get(image.id)

    def note_tmp(self, image: ImageFacts, there: bool) -> None:
        self._without_tmp[image.id] = not there
