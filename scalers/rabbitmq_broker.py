"""One RabbitMQ as all its triggers share it: few connections, few questions.

`Statistics` answers from the management API. RabbitMQ's statistics are seconds old anyway, so an answer is good for a
while for all who ask: about nine times as long as it took, which keeps RabbitMQ at a tenth of one core at most.
Where many queues of a virtual host are asked for, one call lists them all.

`Companion` is the management API of a RabbitMQ that triggers read over AMQP, which knows nothing of unacknowledged
messages. Where there is none it is tried again only after minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

from core.clients.http_reader import parse_url
from core.clients.rabbitmq_management import Management, ManagementAccess
from core.clients.rabbitmq_terms import NOT_FOUND, QueueCounts, RabbitmqDown, RabbitmqRefused, again
from core.clock import Clock
from core.errors import PermanentError, TemporaryError
from scalers.auth.tokens import TokenSource, TokenWay
from scalers.base import World
from scalers.service_addresses import urls_of

T = TypeVar("T")

HOLD_TIMES: Final = 9.0
HOLD_LEAST_S: Final = 0.1
HOLD_MOST_S: Final = 2.0
ALONE_MAX: Final = 4
"""So many queues of a virtual host are asked for one by one."""
LISTING_SHARE: Final = 25
"""How many queues RabbitMQ lists in about the time that it takes to answer for one."""
LISTING_S: Final = 30.0
PROBE_S: Final = 1.0
COMPANION_S: Final = 3.0
COMPANION_AGAIN_S: Final = 5.0
COMPANION_GIVEN_UP_S: Final = 300.0

Listing: TypeAlias = Mapping[str, QueueCounts]


class Shared(Generic[T]):
    """A question that many have at a time: asked once for all who wait, its answer good for a while, failures too."""

    def __init__(self, ask: Callable[[float], Awaitable[T]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._turn = asyncio.Lock()
        self._answer: T | None = None
        self._error: TemporaryError | PermanentError | None = None
        self._done_at = -1.0
        self._good_until = -1.0

    async def get(self, timeout_s: float) -> T:
        """TemporaryError, PermanentError."""
        asked_at = self._clock.monotonic()
        if asked_at >= self._good_until:
            async with self._turn:
                if self._done_at < asked_at:
                    await self._go(timeout_s)
        if self._error is not None:
            raise again(self._error)
        return cast(T, self._answer)

    async def _go(self, timeout_s: float) -> None:
        begun = self._clock.monotonic()
        try:
            self._answer, self._error = await self._ask(timeout_s), None
        except (TemporaryError, PermanentError) as error:
            self._answer, self._error = None, error
        self._done_at = self._clock.monotonic()
        took = self._done_at - begun
        self._good_until = self._done_at + min(max(HOLD_TIMES * took, HOLD_LEAST_S), HOLD_MOST_S)


@dataclass(frozen=True, slots=True)
class Api:
    """A management API and who asks it. `namespace`: whose Service its host may be; empty where it is none's."""

    management: ManagementAccess
    way: TokenWay | None = None
    namespace: str = ""


class Statistics:
    """Of one management API, as one user. Made without effect."""

    def __init__(self, api: Api, world: World) -> None:
        self._tokens = TokenSource(api.way, world.clock) if api.way else None
        self.management = Management(api.management, self._tokens, self._find)
        self._clock = world.clock
        self._store = world.store
        self._namespace = api.namespace
        self._wanted: dict[str, Counter[str]] = {}  # virtual host → queue → triggers
        self._shared: dict[Hashable, Shared[Any]] = {}
        self._totals: dict[str, int] = {}  # queues that a virtual host had when it was listed last

    def want(self, vhost: str, queue: str) -> None:
        """A trigger is going to ask for a queue. Each call is to be matched by one of `unwant`."""
        self._wanted.setdefault(vhost, Counter())[queue] += 1

    def unwant(self, vhost: str, queue: str) -> None:
        wanted = self._wanted[vhost]
        wanted[queue] -= 1
        if not wanted[queue]:
            del wanted[queue]
            self._shared.pop((vhost, queue), None)
        if not wanted:
            del self._wanted[vhost]
            self._shared.pop(vhost, None)

    async def queue(self, vhost: str, name: str, timeout_s: float) -> QueueCounts:
        """TemporaryError (RabbitmqRefused with NOT_FOUND: there is no such queue), PermanentError."""
        if self._is_listed(vhost):
            async with _patience(timeout_s, self.management.access.url):
                listing: Listing = await self._share(vhost, lambda _: self._list(vhost)).get(LISTING_S)
            if name in listing:
                return listing[name]
        # One that the pages of a listing have missed while other queues came and went is found by its name.
        shared = self._share((vhost, name), lambda limit_s: self.management.queue(vhost, name, limit_s))
        async with _patience(timeout_s, self.management.access.url):
            return cast(QueueCounts, await shared.get(timeout_s))

    async def matching(self, vhost: str, pattern: str, page_size: int, timeout_s: float) -> Sequence[QueueCounts]:
        """TemporaryError, PermanentError."""

        async def ask(limit_s: float) -> Sequence[QueueCounts]:
            return await self.management.matching(vhost, pattern, page_size, limit_s)

        async with _patience(timeout_s, self.management.access.url):
            found = await self._share((vhost, pattern, page_size), ask).get(timeout_s)
            return cast(Sequence[QueueCounts], found)

    def forget(self, vhost: str, pattern: str, page_size: int) -> None:
        """Nobody, or one fewer, asks `matching` for these."""
        self._shared.pop((vhost, pattern, page_size), None)

    async def close(self) -> None:
        await self.management.close()
        if self._tokens is not None:
            await self._tokens.close()

    async def _find(self, url: str) -> tuple[str, str]:
        return (await urls_of(self._store, parse_url(url), self._namespace))[0]

    def _is_listed(self, vhost: str) -> bool:
        wanted = len(self._wanted.get(vhost, ()))
        return wanted > ALONE_MAX and wanted * LISTING_SHARE >= self._totals.get(vhost, 0)

    async def _list(self, vhost: str) -> Listing:
        queues = await self.management.queues(vhost, LISTING_S)
        self._totals[vhost] = len(queues)
        return {each.name: each for each in queues}

    def _share(self, key: Hashable, ask: Callable[[float], Awaitable[Any]]) -> Shared[Any]:
        return self._shared.setdefault(key, Shared(ask, self._clock))


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Why unacknowledged messages are not known. `missed`: they were, a moment ago."""

    why: str
    missed: bool = False


class Companion:
    """Made without effect. `apis`: where it may be, likeliest first."""

    def __init__(self, apis: Sequence[Api], world: World) -> None:
        self._apis = apis
        self._world = world
        self._clock = world.clock
        self._turn = asyncio.Lock()
        self._statistics: Statistics | None = None
        self._key: Hashable = None
        self._wanted: Counter[tuple[str, str]] = Counter()
        self._quiet = Uncounted("no management API is known")
        self._quiet_until = -1.0 if apis else float("inf")
        self._worked_at = -1.0

    def want(self, vhost: str, queue: str) -> None:
        self._wanted[vhost, queue] += 1
        if self._statistics is not None:
            self._statistics.want(vhost, queue)

    def unwant(self, vhost: str, queue: str) -> None:
        self._wanted[vhost, queue] -= 1
        if self._statistics is not None:
            self._statistics.unwant(vhost, queue)

    async def queue(self, vhost: str, name: str) -> QueueCounts | Uncounted:
        """Never fails: messages that wait are known without it."""
        if self._clock.monotonic() < self._quiet_until:
            return self._quiet
        if self._statistics is None:
            async with self._turn:
                if self._statistics is None and self._clock.monotonic() >= self._quiet_until:
                    await self._find(vhost, name)
        if self._statistics is None:
            return self._quiet
        try:
            counts = await self._statistics.queue(vhost, name, COMPANION_S)
        except (TemporaryError, PermanentError) as error:
            return self._failed(error)
        self._worked_at = self._clock.monotonic()
        return Uncounted(counts.trouble, missed=True) if counts.trouble else counts

    async def close(self) -> None:
        if self._statistics is not None:
            self._statistics = None
            await self._world.pools.give_back(self._key)

    async def _find(self, vhost: str, name: str) -> None:
        """The first of all places that answers as RabbitMQ does; a queue that does not exist is such an answer."""
        reasons = []
        for api in self._apis:
            key = statistics_key(api)
            statistics = borrow_statistics(self._world, api)
            try:
                await statistics.management.queue(vhost, name, PROBE_S)
            except (TemporaryError, PermanentError) as error:
                if not (isinstance(error, RabbitmqRefused) and error.code == NOT_FOUND):
                    reasons.append(str(error))
                    await self._world.pools.give_back(key)
                    continue
            except BaseException:
                await self._world.pools.give_back(key)
                raise
            for (wanted_vhost, queue), times in self._wanted.items():
                for _ in range(times):
                    statistics.want(wanted_vhost, queue)
            self._statistics, self._key = statistics, key
            return
        self._quiet = Uncounted("; ".join(reasons))
        self._quiet_until = self._clock.monotonic() + COMPANION_GIVEN_UP_S

    def _failed(self, error: TemporaryError | PermanentError) -> Uncounted:
        now = self._clock.monotonic()
        if isinstance(error, RabbitmqRefused) and error.code == NOT_FOUND:
            return Uncounted(str(error), missed=True)
        given_up = now - self._worked_at > COMPANION_GIVEN_UP_S
        self._quiet = Uncounted(str(error), missed=not given_up)
        self._quiet_until = now + COMPANION_AGAIN_S
        return self._quiet


def statistics_key(api: Api) -> Hashable:
    return ("rabbitmq statistics", api)


def borrow_statistics(world: World, api: Api) -> Statistics:
    """To be given back by `statistics_key`."""
    return world.pools.borrow(statistics_key(api), lambda: Statistics(api, world))


@contextlib.asynccontextmanager
async def _patience(seconds: float, place: str) -> AsyncIterator[None]:
    """No longer than that, though the question that others share may take longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise RabbitmqDown(f"{place} does not answer within {seconds:g} s") from None
