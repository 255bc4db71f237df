"""Redis: a server, a cluster, or the master that sentinels name; as whoever counts what waits there sees it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from core.clients.loading import load_client
from core.clients.masking import in_one_line
from core.clients.tls import ClientTls, TlsFiles
from core.errors import PermanentError, TemporaryError

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.sentinel import Sentinel

    Connected: TypeAlias = Redis | RedisCluster

CONNECT_S: Final = 3.0
ANSWER_S: Final = 5.0
CONNECTIONS_MAX: Final = 2  # all triggers of a server share them: an answer takes less than a millisecond
COUNTED_MAX: Final = 10_000
_SETTINGS: Final[Mapping[str, Any]] = {
    "socket_connect_timeout": CONNECT_S,
    "socket_timeout": ANSWER_S,
    "decode_responses": True,
    "encoding_errors": "replace",
    "protocol": 2,  # which every Redis and every proxy before one speaks
}

# Upstream's (pkg/scalers/redis_scaler.go), with the type told where it cannot be counted.
_COUNT: Final = """
local kind = redis.call('type', KEYS[1]).ok
local commands = {zset = 'zcard', set = 'scard', list = 'llen', hash = 'hlen', none = 'llen'}
if not commands[kind] then return {kind, -1} end
return {kind, redis.call(commands[kind], KEYS[1])}
"""
# Entries behind the one that a group was given last, without their contents.
_COUNT_BEHIND: Final = "return #redis.call('xrange', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])"


class RedisLayout(StrEnum):
    SINGLE = "single"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """`addresses` are `host:port`: of the server, of some nodes of a cluster, or of sentinels."""

    addresses: tuple[str, ...]
    layout: RedisLayout = RedisLayout.SINGLE
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_master: str = ""
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    tls: ClientTls | None = None

    def __str__(self) -> str:
        if self.layout is RedisLayout.SENTINEL:
            return f"Redis {self.sentinel_master} behind the sentinels {', '.join(self.addresses)}"
        return f"Redis at {', '.join(self.addresses)}"

    def at(self, addresses: Sequence[str]) -> RedisAccess:
        return replace(self, addresses=tuple(addresses))

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.password, self.sentinel_password, *((self.tls.key, self.tls.key_password) if self.tls else ()))


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group of a stream. `pending`: entries that its consumers have and did not acknowledge.

    `lag`: those that it was not given. None: Redis does not know it, as after entries were deleted, or does not count
    it (before 7).
    """

    name: str
    pending: int
    lag: int | None
    last_delivered: str
    counts_lag: bool = True


class RedisClient:
    """Made without effect. Connects when it is first asked, and again when a connection broke.

    TemporaryError of every question: nobody answers in time, or Redis refuses. PermanentError: the library is missing,
    or the certificates cannot be read.
    """

    def __init__(self, access: RedisAccess) -> None:
        self.access = access
        self._connected: Connected | None = None
        self._sentinel: Sentinel | None = None
        self._files: TlsFiles | None = None
        self._places = asyncio.Semaphore(CONNECTIONS_MAX)

    async def count(self, key: str) -> tuple[str, int]:
        """(type, elements) of a list, set, sorted set or hash; `none`: there is no such key, which is nothing in it."""
        async with self._asking() as connected:
            kind, elements = await connected.eval(_COUNT, 1, key)
        if elements < 0:
            raise TemporaryError(
                f"{self.access}: key {key!r} is a {kind}, which is not counted; lists, sets and hashes are"
            )
        return kind, int(elements)

    async def stream_length(self, stream: str) -> int:
        """0 where there is none."""
        async with self._asking() as connected:
            return int(await connected.xlen(stream))

    async def stream_groups(self, stream: str) -> list[Group] | None:
        """None: there is no such stream."""
        async with self._asking() as connected:
            if not await connected.exists(stream):
                return None
            found = await connected.xinfo_groups(stream)
        return [
            Group(each["name"], int(each["pending"]), each.get("lag"), each["last-delivered-id"], "lag" in each)
            for each in found
        ]

    async def stream_behind(self, stream: str, entry: str) -> int:
        """Entries behind that one, at most COUNTED_MAX."""
        async with self._asking() as connected:
            return int(await connected.eval(_COUNT_BEHIND, 1, stream, entry, str(COUNTED_MAX)))

    async def close(self) -> None:
        open_, self._connected, self._sentinel = (self._connected, self._sentinel), None, None
        for each in open_:
            if each is not None:
                with contextlib.suppress(Exception):  # what cannot be closed is gone
                    await each.aclose()
        if self._files is not None:
            self._files.close()
            self._files = None

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[Connected]:
        await load_client("redis.asyncio", "Redis", "redis")
        import redis as library

        try:
            async with asyncio.timeout(CONNECT_S + ANSWER_S), self._places:
                if self._connected is None:
                    self._connected = self._connect()
                yield self._connected
        except library.AuthenticationError as error:
            self._fail("refuses the credentials", error)
        except (TimeoutError, library.TimeoutError) as error:
            raise TemporaryError(f"{self.access} does not answer within {CONNECT_S + ANSWER_S:g} s") from error
        except (library.ConnectionError, library.exceptions.RedisClusterException, OSError) as error:
            self._fail("cannot be reached", error)
        except library.ResponseError as error:
            self._fail("refuses", error)
        except library.RedisError as error:
            self._fail("failed", error)

    def _fail(self, what: str, error: Exception) -> NoReturn:
        raise TemporaryError(f"{self.access} {what}: {in_one_line(error, self.access.secrets)}") from error

    def _connect(self) -> Connected:
        """Nothing of the network is touched yet."""
        from redis.asyncio import Redis, RedisCluster
        from redis.asyncio.cluster import ClusterNode
        from redis.asyncio.sentinel import Sentinel

        access = self.access
        nodes = [_host_and_port(address) for address in access.addresses]
        shared = {**_SETTINGS, **self._once_more(), **self._tls_settings()}
        settings = {**shared, "username": access.username or None, "password": access.password or None}
        if access.layout is RedisLayout.CLUSTER:
            return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in nodes], **settings)
        settings["db"] = access.database
        if access.layout is RedisLayout.SINGLE:
            return Redis(host=nodes[0][0], port=nodes[0][1], **settings)
        known_to = {"username": access.sentinel_username or None, "password": access.sentinel_password or None}
        # redis-py has no types for this one.
        self._sentinel = Sentinel(nodes, sentinel_kwargs={**shared, **known_to})  # type: ignore[no-untyped-call]
        master: Redis = self._sentinel.master_for(access.sentinel_master, **settings)
        return master

    @staticmethod
    def _once_more() -> dict[str, Any]:
        """A connection that the server has closed meanwhile is made anew, once, at once."""
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        return {"retry": Retry(NoBackoff(), 1)}

    def _tls_settings(self) -> dict[str, Any]:
        """The library takes files only, and would ask at the terminal for the password of a key."""
        tls = self.access.tls
        if tls is None:
            return {}
        tls.context()
        self._files = self._files or TlsFiles(tls)
        client = self._files.certificate_and_key or None
        return {
            "ssl": True,
            "ssl_ca_data": tls.ca or None,
            "ssl_certfile": client,
            "ssl_keyfile": client,
            "ssl_cert_reqs": "required" if tls.check else "none",
            "ssl_check_hostname": tls.check,
        }


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isascii() or not port.isdigit() or not host.strip("[]"):
        raise PermanentError(f"Redis address {address!r} must be host:port, such as redis:6379", "InvalidAddress")
    return host.strip("[]"), int(port)
