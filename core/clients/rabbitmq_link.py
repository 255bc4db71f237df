"""A connection to RabbitMQ that comes back: sessions one after the other, each prepared before anybody gets it.

Broker and source run one each for what they publish and for what they consume. Says where it stands in `trouble`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import structlog

from core.clients.rabbitmq import Session
from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_terms import RabbitmqDown
from core.clock import Clock
from core.errors import PermanentError, TemporaryError
from core.tasks import Started

log = structlog.get_logger()

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 15.0
PATIENCE_S: Final = 1.0
"""How long the first connection may keep a start."""

Find: TypeAlias = Callable[[], Awaitable[Access]]
"""Where RabbitMQ is, asked before each connection: a password that was changed meanwhile is used by the next one.
PermanentError, TemporaryError."""
Prepare: TypeAlias = Callable[[Session], Awaitable[None]]


class Link:
    """`prepare` makes what must be there before anything goes through a new session; it may be called often."""

    def __init__(self, name: str, find: Find, prepare: Prepare, clock: Clock) -> None:
        self.session: Session | None = None
        self.trouble = "RabbitMQ has not been reached yet"
        self.proven = False  # it has been up once
        self.access: Access | None = None  # where it was last sought
        self._name = name
        self._find = find
        self._prepare = prepare
        self._clock = clock
        self.changed: Callable[[], None] = lambda: None  # it is up, or down
        self._news = asyncio.Condition()

    async def run(self, started: Started) -> None:
        """Until canceled. Has started when it is up, or after a moment all the same."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self.up()
            except TimeoutError:
                pass
            started()

    async def up(self, after: Session | None = None) -> Session:
        """The session, as soon as there is one, and one other than `after`."""
        async with self._news:
            await self._news.wait_for(lambda: self.session is not None and self.session is not after)
            assert self.session is not None
            return self.session

    def require(self) -> Session:
        """The session now. RabbitmqDown, RabbitmqRefused."""
        if self.session is None:
            raise RabbitmqDown(self.trouble, retry_after_s=1)
        return self.session

    async def _keep(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                self.access = await self._find()
                session = Session(self.access, self._name)
                try:
                    await session.open()
                    await self._prepare(session)
                    await self._set(session, "")
                    wait_s = FIRST_WAIT_S
                    reason = await session.ended()
                finally:
                    await session.close()
            except (PermanentError, TemporaryError) as error:
                reason = str(error)
            if self.session is not None or reason != self.trouble:
                log.warning("no connection to RabbitMQ", name=self._name, reason=reason)
            await self._set(None, reason)
            await self._clock.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _set(self, session: Session | None, trouble: str) -> None:
        async with self._news:
            self.session, self.trouble = session, trouble
            self.proven = self.proven or session is not None
            self._news.notify_all()
        self.changed()
