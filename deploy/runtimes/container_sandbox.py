"""One Pod on the container engine: its network, its containers, and what each of them writes until it ends.

Made by `container`, driven by the node. A Pod of one container owns its network itself; one of several shares that of
a holder, so that any of them may be started again without the others noticing.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Final, Protocol

from core.clients.engine import Engine, EngineDown, EngineRefused, used_by
from core.clock import Clock
from deploy.runtimes.base import Address, Container, ContainerPlan, Exit, PodPlan, StartError, Tell, Used, to_nobody
from deploy.runtimes.container_config import as_start_error, digest_of, parse_reference
from deploy.runtimes.container_rooms import Made, Room
from deploy.runtimes.logfile import LogFile

_MESSAGE_BYTES_MAX: Final = 2048
_KILLED: Final = 137
_STATE_AGAIN_S: Final = 0.005  # between the end of its output and its end
_STATE_CALM_S: Final = 1.0  # for one that has closed its output and runs on
_ENGINE_AGAIN_S: Final = 0.5
_LOOK_S: Final = 5.0
"""How long an end that was asked for is left to the output to tell: after an engine's restart its streams may stay
open."""


class Maker(Protocol):
    """What a sandbox asks of its runtime."""

    engine: Engine
    clock: Clock

    async def make(self, plan: PodPlan, container: ContainerPlan, room: Room, tell: Tell) -> Made:
        """Creates a container and takes hold of its output. StartError."""

    async def vacate(self, room: Room, ids: list[str]) -> None:
        """Removes these containers and those made ahead, and gives back the Pod's network."""

    async def discard(self, made: Made) -> None:
        """Removes a container that was not started."""

    async def remove(self, id: str) -> None:
        """Removes any other."""

    def last_words(self, id: str) -> str:
        """What a container wrote where its Pod says that it should."""

    def gone(self, template: str) -> None:
        """A Pod of this template is no more: the next one may come from zero."""

    def spawn(self, container: EngineContainer) -> None:
        """Follows a container until it ends."""


class _Vanished(StartError):
    """A container that was made has been removed by another hand: a `docker system prune` takes what is not started."""


@contextlib.contextmanager
def _noticing_absence() -> Iterator[None]:
    try:
        yield
    except EngineRefused as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise _Vanished("RunContainerError", error.message) from error
        raise


class ContainerSandbox:
    """See `deploy.runtimes.base.Sandbox`."""

    def __init__(self, maker: Maker, plan: PodPlan, room: Room, warnings: tuple[str, ...]) -> None:
        self._maker, self._plan, self._room = maker, plan, room
        self._warnings = warnings
        self._started: dict[str, EngineContainer] = {}

    @property
    def address(self) -> Address | None:
        if self._room.port is None:
            return None
        return Address("127.0.0.1", self._room.port, self._plan.port, self._room.doors)

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._warnings

    async def start(self, container: ContainerPlan, tell: Tell = to_nobody) -> Container:
        if (before := self._started.pop(container.name, None)) is not None:
            await self._maker.remove(before.engine_id)  # a restart begins with the image's files, as in Kubernetes
        made = self._room.made.pop(container.name, None)
        if made is not None and made.plan == container:
            with contextlib.suppress(_Vanished):
                return await self._begin(made)
        elif made is not None:
            await self._maker.discard(made)
        return await self._begin(await self._maker.make(self._plan, container, self._room, tell))

    async def pause(self) -> None:
        await self._freeze(True)

    async def resume(self) -> None:
        await self._freeze(False)

    async def remove(self) -> None:
        await self._maker.vacate(self._room, [container.engine_id for container in self._started.values()])
        for container in self._started.values():
            container.end(Exit(_KILLED, signal=9))
        await asyncio.to_thread(shutil.rmtree, self._plan.scratch_dir, ignore_errors=True)
        self._maker.gone(self._plan.template)

    async def _begin(self, made: Made) -> Container:
        """Starts it. StartError, and _Vanished where there is no such container."""
        container = made.plan
        log = LogFile(self._plan.log_dir / f"{container.name}.log")
        running = EngineContainer(self._maker, made, log)
        try:
            with as_start_error("RunContainerError"), _noticing_absence():
                await self._maker.engine.start(made.id)
        except BaseException:  # also where the Pod is deleted meanwhile: it may run by now
            log.close()
            await self._maker.discard(made)
            raise
        self._started[container.name] = running
        self._maker.spawn(running)
        return running

    async def _freeze(self, frozen: bool) -> None:
        for container in self._started.values():
            if not container.ended and container.paused is not frozen:
                with as_start_error("RunContainerError"):
                    await self._maker.engine.freeze(container.engine_id, frozen)
                container.paused = frozen


class EngineContainer:
    """See `deploy.runtimes.base.Container`."""

    def __init__(self, maker: Maker, made: Made, log: LogFile) -> None:
        self._engine, self._clock = maker.engine, maker.clock
        self._maker = maker
        self._plan, self._image = made.plan, made.image
        self._output, self._log = made.output, log
        self._tail = b""
        self._killed = False  # by us
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.engine_id = made.id
        self.paused = False

    @property
    def id(self) -> str:
        facts = self._engine.facts
        return f"{facts.name if facts is not None else 'container'}://{self.engine_id}"

    @property
    def image_id(self) -> str:
        return digest_of(parse_reference(self._plan.image), self._image.digests, self._image.id)

    @property
    def ended(self) -> bool:
        return self._exit.done()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def stop(self, grace_s: float) -> Exit:
        signal = self._plan.stop_signal or self._image.stop_signal or "SIGTERM"
        if self.paused:
            await self._insist(self._engine.freeze, self.engine_id, False)
            self.paused = False
        if grace_s > 0 and not self.ended:
            await self._insist(self._engine.kill, self.engine_id, signal)
            await self._wait_for_end(grace_s)
        while not self.ended:
            self._killed = True
            await self._insist(self._engine.kill, self.engine_id, "SIGKILL")
            await self._wait_for_end(_LOOK_S)
        return await self.wait()

    async def execute(self, command: tuple[str, ...], timeout_s: float) -> tuple[int, str]:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._engine.execute(self.engine_id, command)
        except TimeoutError:
            return 124, f"command timed out after {timeout_s:g}s"
        except (EngineRefused, EngineDown) as error:
            return 126, str(error)

    async def used(self) -> Used | None:
        with contextlib.suppress(EngineDown, EngineRefused):
            if (found := await used_by(self._engine, self.engine_id)) is not None:
                return Used(*found)
        return None

    async def follow(self) -> None:
        """Moves its output to the log until it ends; an engine that goes away in between is waited for."""
        while not self.ended:
            while (piece := await self._output.read()) is not None:
                self._log.write(*piece)
                self._tail = (self._tail + piece[1])[-_MESSAGE_BYTES_MAX:]
            await self._output.close()
            if (exit_ := await self._ending()) is not None:
                self.end(exit_)
                return
            with contextlib.suppress(EngineDown, EngineRefused):
                self._output = await self._engine.attach(self.engine_id)

    def end(self, exit_: Exit) -> None:
        """Whatever happens after it, happens to nobody."""
        if not self._exit.done():
            self._exit.set_result(exit_)
            self._log.close()

    async def _wait_for_end(self, timeout_s: float) -> None:
        """Returns then at the latest, give or take a look at the engine."""
        deadline = self._clock.monotonic() + timeout_s
        while not self.ended and (left_s := deadline - self._clock.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, _LOOK_S)):
                    await self.wait()
            if not self.ended:
                with contextlib.suppress(EngineDown, EngineRefused):
                    if (exit_ := await self._look()) is not None:
                        self.end(exit_)

    async def _ending(self) -> Exit | None:
        """How it ended; None where only its output has."""
        for _ in range(100):
            try:
                exit_ = await self._look()
            except (EngineDown, EngineRefused):
                await self._clock.sleep(_ENGINE_AGAIN_S)
                continue
            if exit_ is not None:
                return exit_
            await self._clock.sleep(_STATE_AGAIN_S)
        await self._clock.sleep(_STATE_CALM_S)
        return None

    async def _look(self) -> Exit | None:
        """What the engine says: None while it runs. EngineDown, EngineRefused."""
        state = await self._engine.state(self.engine_id)
        if state is None:
            return Exit(_KILLED, signal=9, message=self._message())
        if state.running:
            return None
        signal = state.exit_code - 128 if 128 < state.exit_code <= 192 else 0
        oom = state.oom or self._was_oom(state.exit_code)
        return Exit(state.exit_code, signal, oom, self._message(), self._maker.last_words(self.engine_id))

    def _was_oom(self, code: int) -> bool:
        """Podman does not tell it under cgroup v1; but who else would have killed what we have not."""
        return code == _KILLED and self._plan.limits.memory_bytes is not None and not self._killed

    def _message(self) -> str:
        return self._tail.decode(errors="replace")

    async def _insist(self, ask: Callable[..., Awaitable[None]], *what: object) -> None:
        """Asks until an engine answers: whoever stops a container must not go before it is stopped."""
        while True:
            try:
                return await ask(*what)
            except EngineDown:
                await self._clock.sleep(_ENGINE_AGAIN_S)
