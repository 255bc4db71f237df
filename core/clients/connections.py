"""A few connections to one server, lent for one question each: for libraries that bring no pool of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

C = TypeVar("C")
T = TypeVar("T")


class Driver(Protocol[C]):
    """What a library does with its connections."""

    async def open(self) -> C: ...

    async def close(self, connection: C) -> None: ...

    def usable(self, connection: C) -> bool:
        """Whether another question may go through it, after one that failed."""


class Connections(Generic[C]):
    """At most `most` are open. Made without effect; what is idle stays open until `close`."""

    def __init__(self, driver: Driver[C], most: int) -> None:
        self._driver = driver
        self._places = asyncio.Semaphore(most)
        self._idle: list[C] = []
        self._closed = False

    async def ask(self, question: Callable[[C], Awaitable[T]]) -> T:
        """The question's answer, or its exception. Asked again where a connection turns out to have broken while it was
        idle, so it must have no effect."""
        async with self._places:
            while True:
                was_idle = bool(self._idle)
                connection = self._idle.pop() if was_idle else await self._driver.open()
                try:
                    answer = await question(connection)
                except Exception:
                    if self._driver.usable(connection):
                        await self._keep(connection)
                        raise
                    await self._drop(connection)
                    if not was_idle:
                        raise
                except BaseException:  # cancelled: nobody knows what is still under way in it
                    await self._drop(connection)
                    raise
                else:
                    await self._keep(connection)
                    return answer

    async def close(self) -> None:
        """Those that are lent are closed when they come back."""
        self._closed = True
        while self._idle:
            await self._drop(self._idle.pop())

    async def _keep(self, connection: C) -> None:
        if self._closed:
            await self._drop(connection)
        else:
            self._idle.append(connection)

    async def _drop(self, connection: C) -> None:
        with contextlib.suppress(Exception):  # what cannot be closed is gone
            await self._driver.close(connection)
