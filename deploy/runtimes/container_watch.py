"""Whether there is an engine: found, watched, found again; and what is put in order each time.

Run by `container` as its own loop. Between an engine's going and its coming back running containers go on, and what
could not be removed is removed then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import structlog

from core.clients.engine import Engine, EngineDown, EngineFacts, EngineRefused
from core.clock import Clock
from core.tasks import Started
from deploy.runtimes.base import StartError
from deploy.runtimes.container_config import PLATFORM_LABEL
from deploy.runtimes.container_rooms import OwnContainers, Rooms
from deploy.runtimes.holder import HOLDER_IMAGE

log = structlog.get_logger()

LOOKING: Final = "the container engine is being looked for; try again"
_FIRST_LOOK_S: Final = 0.25
_PATIENCE_S: Final = 10.0  # whoever wants a container in the platform's first second would rather wait than fail
_CHECK_S: Final = 1.0
_CLEAN_UP_S: Final = 20.0


Renew: TypeAlias = Callable[[], Awaitable[None]]


class EngineWatch:
    """`why` says, in one sentence, why nothing can be started; None: it can."""

    def __init__(self, engine: Engine, own: OwnContainers, rooms: Rooms, clock: Clock, renew: Renew) -> None:
        """`renew` is awaited when an engine was found: no stream of before is good any more."""
        self._engine, self._own, self._rooms, self._clock, self._renew = engine, own, rooms, clock, renew
        self._bridge = f"pilotlight-{own.platform}"
        self.why: str | None = LOOKING
        self.limits = (True, True)  # memory, CPU; until the engine has said otherwise
        self._asked_limits = False
        self.looked = asyncio.Event()

    async def require(self) -> EngineFacts:
        """StartError where there is no engine now. Waits for the end of the first look for one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self.looked.wait()
        if self.why is not None or self._engine.facts is None:
            raise StartError("CreateContainerError", self.why or "there is no container engine")
        return self._engine.facts

    async def run(self, started: Started) -> None:
        """Until cancelled. Started after the first look, whatever it found, or when that takes long: a platform
        without a container must not wait for an engine."""
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._bring_up(), name="container:first look")
            await asyncio.wait((looking,), timeout=_FIRST_LOOK_S)
            started()
            await looking
            while True:
                await self._check()
                await self._clock.sleep(_CHECK_S)

    async def clean_up(self) -> None:
        """Containers do not die with the platform by themselves."""
        self.why = "the platform is shutting down"
        if self._engine.facts is None:
            return  # there never was an engine, so nothing of ours is on it
        try:
            async with asyncio.timeout(_CLEAN_UP_S):
                await self._own.remove_all()
                await self._engine.remove_network(self._bridge)
        except (EngineDown, EngineRefused, TimeoutError) as error:
            log.warning("containers left behind, the next start removes them", error=str(error))
        finally:
            await self._engine.close()

    async def _check(self) -> None:
        if self.why is not None:
            await self._bring_up()
            return
        try:
            if self._asked_limits:
                await self._engine.image(HOLDER_IMAGE)  # any answer will do
            else:
                self.limits = await self._engine.limits()
                self._asked_limits = True
        except (EngineDown, EngineRefused) as error:
            self.why = f"the container engine went away: {error}"
            log.warning("container engine went away", error=str(error))

    async def _bring_up(self) -> None:
        """Connects, removes leftovers, makes the bridge."""
        try:
            facts = await self._engine.connect()
            await self._own.remove_leftovers()
            network = await self._engine.ensure_network(self._bridge, {PLATFORM_LABEL: self._own.platform})
            self._rooms.use(facts, network)
            await self._rooms.anchor()
        except (EngineDown, EngineRefused) as error:
            self.why = str(error)
            return
        else:
            self.why = None
        finally:
            self.looked.set()
        await self._renew()  # its first step comes at once: nobody takes hold of a stream of before
        log.info("container engine found", engine=facts.name, version=facts.version, url=facts.url)
