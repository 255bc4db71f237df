"""Structured concurrency: every loop has a name, a parent that waits for it, and says when it is up.

asyncio's TaskGroup plus two things it lacks: a *started* handshake (trio's `task_status`), and a group whose ordinary
tasks may end without ending the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")
Started: TypeAlias = Callable[[], None]
"""A service calls it once, when it can do its work (its listener listens, its first list has been read)."""
Service: TypeAlias = Callable[[Started], Coroutine[Any, Any, None]]


async def start_service(group: asyncio.TaskGroup, service: Service, name: str) -> asyncio.Task[None]:
    """Starts a service and returns once it has called `started()`; a failure before that is raised here."""
    up = asyncio.Event()
    task = group.create_task(service(up.set), name=name)
    waiter = group.create_task(_wait(up), name=f"{name}:starting")
    await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if task.done() and not up.is_set():
        task.result()
        raise RuntimeError(f"{name} ended before it had started")
    return task


async def run_together(services: Sequence[tuple[str, Service]], started: Started) -> None:
    """Several services as one: each starts when the one before has started, and all end together."""
    async with asyncio.TaskGroup() as group:
        for name, service in services:
            await start_service(group, service, name)
        started()


class OpenGroup:
    """A service that holds a task group open for its owner, who starts tasks in it as they come. They end with it."""

    def __init__(self) -> None:
        self.group: asyncio.TaskGroup | None = None  # None before it is up, and when it ends

    async def run(self, started: Started) -> None:
        """Until canceled."""
        async with asyncio.TaskGroup() as group:
            self.group = group
            try:
                started()
                await asyncio.Event().wait()
            finally:
                self.group = None


async def start_alone(
    group: asyncio.TaskGroup, service: Service, name: str, pause: Callable[[], Awaitable[None]]
) -> asyncio.Task[None]:
    """The same for a service whose faults are not the others': before it is up they are raised here and nowhere else,
    afterwards it is run again after a `pause`."""
    refused: list[Exception] = []

    async def run(started: Started) -> None:
        up = False

        def is_up() -> None:
            nonlocal up
            up = True
            started()

        while True:
            try:
                await service(is_up)
            except Exception as error:
                if not up:
                    refused.append(error)
                    started()
                    return
                log.exception("service failed, and is run again", service=name)
                await pause()
            else:
                return

    task = await start_service(group, run, name)
    if refused:
        raise refused[0]
    return task


async def hear_out(work: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[None]], patience_s: float) -> T:
    """A request that another program carries out once it has it, whoever waits for the answer. Who is cancelled
    meanwhile waits for it all the same, as long as `patience_s`, and has undone what came of it."""
    asked = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(asked)
    except asyncio.CancelledError:
        with contextlib.suppress(asyncio.CancelledError):  # twice: then it waits no longer
            await asyncio.wait((asked,), timeout=patience_s)
        if not asked.cancel() and not asked.cancelled() and asked.exception() is None:
            await undo(asked.result())
        raise


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
