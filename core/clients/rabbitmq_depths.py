"""How many messages wait in queues, over AMQP: one connection for all that ask, opened by the first question.

Unlike `rabbitmq_link` it needs nobody to run it: it connects when it is asked, and again when it is asked after the
connection was lost. Scalers share one for each broker and credential.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeAlias

from core.clients.rabbitmq import Session
from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_terms import NOT_FOUND, RabbitmqRefused, again
from core.clock import Clock
from core.errors import PermanentError, TemporaryError

AGAIN_S: Final = 1.0
"""How long a failure to connect answers all who ask: a thousand triggers are one attempt a second."""


Find: TypeAlias = Callable[[str], Awaitable[str]]
"""`host:port` as documents have it → as it is reached now. TemporaryError."""


async def as_written(address: str) -> str:
    return address


class Depths:
    """Made without effect."""

    def __init__(self, access: Access, name: str, clock: Clock, find: Find = as_written) -> None:
        self._access = access
        self._name = name
        self._clock = clock
        self._find = find
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._failed: TemporaryError | PermanentError | None = None
        self._failed_at = 0.0
        self.opened = 0  # connections, since it was made

    async def depth(self, queue: str) -> int:
        """Messages that no consumer has. TemporaryError, PermanentError (certificates)."""
        session = await self._require()
        try:
            return await session.depth(queue)
        except RabbitmqRefused as error:
            if error.code != NOT_FOUND:
                raise
            place = f"virtual host {self._access.vhost} of RabbitMQ at {self._access.host}:{self._access.port}"
            raise RabbitmqRefused(f"queue {queue} does not exist in {place}", NOT_FOUND) from None

    async def close(self) -> None:
        async with self._opening:
            if self._session is not None:
                await self._session.close()
                self._session = None

    async def _require(self) -> Session:
        if self._session is not None and self._session.alive:
            return self._session
        async with self._opening:
            if self._session is not None and self._session.alive:
                return self._session
            if self._failed is not None and self._clock.monotonic() - self._failed_at < AGAIN_S:
                raise again(self._failed)
            try:
                self._session = await self._open()
            except (TemporaryError, PermanentError) as error:
                self._failed, self._failed_at = error, self._clock.monotonic()
                raise
            self._failed = None
            return self._session

    async def _open(self) -> Session:
        if self._access.trust is not None and self._access.tls:
            self._access.trust.context()  # said here, what is wrong with it is not lost with the connection
        host, _, port = (await self._find(f"{self._access.host}:{self._access.port}")).rpartition(":")
        access = replace(self._access, host=host, port=int(port), server_name=self._access.host)
        session = Session(access, self._name)
        await session.open()
        self.opened += 1
        return session
