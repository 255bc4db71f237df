"""Asks an instance how much work it has in hand: now and then while it runs, often while it is to stop.

Run by `deploy/pods`. A file under a mount is read where it lies on this machine; one elsewhere costs a command in the
container, so it is asked for less often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import structlog

from core.clock import Clock
from core.errors import TemporaryError
from core.stats import InstanceKey, InstanceLoads
from deploy.containers import ContainerLoop
from deploy.probing import resolve_port
from deploy.work_reports import AskFile, AskHttp, Question, in_words, read_answer

if TYPE_CHECKING:
    from core.clients.http import HttpClient

PERIOD_S: Final = 0.5
COMMAND_PERIOD_S: Final = 5.0
STOPPING_PERIOD_S: Final = 0.05
STOPPING_COMMAND_PERIOD_S: Final = 0.5
TIMEOUT_S: Final = 1.0
ANSWER_BYTES_MAX: Final = 4096
FAREWELL_SHARE: Final = 10  # of the grace that much is not for requests, see `farewell_s`
FAREWELL_S_MAX: Final = 10.0

log = structlog.get_logger()


class Working:
    """`look` gives the container that is asked; `said` is its last answer in words, empty where nothing is asked."""

    def __init__(self, question: Question | None, look: Callable[[], ContainerLoop | None], clock: Clock) -> None:
        self._question, self._look, self._clock = question, look, clock
        self.said = ""

    async def run(self, changed: Callable[[bool], None]) -> None:
        """Asks for as long as it runs; where nothing is to be asked it ends."""
        if self._question is None:
            return
        async with make_client() as http:
            while True:
                if (loop := self._look()) is not None and loop.is_running:
                    said = in_words(await self._ask(self._question, loop, http))
                    if said != self.said:
                        self.said = said
                        changed(False)
                elif self.said:
                    self.said = ""
                    changed(False)
                await self._clock.sleep(PERIOD_S if self._is_cheap else COMMAND_PERIOD_S)

    async def end(self, instance: InstanceKey, loads: InstanceLoads, grace_s: float) -> None:
        """Returns once its last request has ended and it says that it has nothing in hand. One that takes work for ever
        is told to stop while half of the grace is left to finish in."""
        begun = self._clock.monotonic()
        if not await loads.drain(instance, grace_s - farewell_s(grace_s)):
            log.warning("stopped with requests in flight", pod=instance.name, in_flight=loads.in_flight(instance))
        if self._question is None:
            return
        left_s = grace_s / 2 - (self._clock.monotonic() - begun)
        async with asyncio.TaskGroup() as group:
            finishing = group.create_task(self._finished(self._question))
            waiting = group.create_task(self._clock.sleep(max(0.0, left_s)))
            await asyncio.wait((finishing, waiting), return_when=asyncio.FIRST_COMPLETED)
            finishing.cancel()
            waiting.cancel()

    async def _finished(self, question: Question) -> None:
        async with make_client() as http:
            while (loop := self._look()) is not None and loop.is_running:
                if await self._ask(question, loop, http) == 0:
                    return
                await self._clock.sleep(STOPPING_PERIOD_S if self._is_cheap else STOPPING_COMMAND_PERIOD_S)

    @property
    def _is_cheap(self) -> bool:
        loop = self._look()
        if loop is None or not isinstance(self._question, AskFile):
            return True
        return _on_this_machine(self._question, loop) is not None

    async def _ask(self, question: Question, loop: ContainerLoop, http: HttpClient) -> int | None:
        try:
            if isinstance(question, AskHttp):
                return await _ask_http(question, loop, http)
            if (path := _on_this_machine(question, loop)) is not None:
                return read_answer(await asyncio.to_thread(_read, path))
            if loop.container is None:
                return None
            code, output = await loop.container.execute(("cat", question.path), TIMEOUT_S)
        except (TemporaryError, OSError):
            return None
        return read_answer(output) if code == 0 else None


def farewell_s(grace_s: float) -> float:
    """What is left between SIGTERM and SIGKILL where requests do not end: an instance with WebSockets or endless
    streams can tell its clients, and close them in order."""
    return min(FAREWELL_S_MAX, grace_s / FAREWELL_SHARE)


def make_client() -> HttpClient:
    from core.clients.http import HttpClient  # here, for few Pods say what they have in hand, and `up` must start fast

    return HttpClient(1)


async def _ask_http(question: AskHttp, loop: ContainerLoop, http: HttpClient) -> int | None:
    where = loop.ties.where
    port = resolve_port(question.port or None, loop.document, where)
    if port is None:
        return None
    from core.clients.http import HttpRequest

    address = f"{where.host}:{port}"
    answer = await http.send(HttpRequest(f"http://{address}{question.path}", address, timeout_s=TIMEOUT_S))
    return read_answer(answer.body[:ANSWER_BYTES_MAX].decode(errors="replace")) if answer.status == 200 else None


def _on_this_machine(question: AskFile, loop: ContainerLoop) -> Path | None:
    """Where the file lies, if it is under a mount."""
    wanted = PurePosixPath(question.path)
    if ".." in wanted.parts:
        return None
    for mount in loop.plan.mounts:
        if wanted.is_relative_to(mount.path):
            return mount.source / wanted.relative_to(mount.path)
    return None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(ANSWER_BYTES_MAX).decode(errors="replace")
