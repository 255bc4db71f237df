"""redis and redis-streams: what waits in a list (or set, or hash), or in a stream for a consumer group; each also of a
cluster and behind sentinels (pkg/scalers/redis_scaler.go, redis_streams_scaler.go).

A key that does not exist is empty: Redis removes a list with its last element. A group that does not exist yet, whose
lag is asked for, has the whole stream before it. A lag that Redis does not know (entries were deleted) is counted, up
to a bound. Entries that consumers have and did not acknowledge are in flight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.clients.redis import COUNTED_MAX, Group, RedisAccess, RedisClient, RedisLayout
from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError
from core.settings.declaration import Choice, Text, Truth, Whole
from scalers.base import Definition, Scaler, World
from scalers.lent import Lent
from scalers.metric_names import normalize
from scalers.params import AUTH, Parameters, Source, param
from scalers.readings import Quality, Reading, Target, Trigger

_META_AUTH_ENV: Final = (Source.METADATA, Source.AUTH, Source.ENV)
_META_ENV_AUTH: Final = (Source.METADATA, Source.ENV, Source.AUTH)
_AT_LEAST_ONE: Final = "0 is refused: nothing can be divided by it"


@dataclass(frozen=True, slots=True)
class Words:
    """Texts between commas."""

    allowed: str = "must be a list with commas"

    def read(self, text: str) -> tuple[str, ...]:
        return tuple(word.strip() for word in text.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisParameters(Parameters):
    """Where it is, and as whom: of all six types."""

    addresses: tuple[str, ...] = param(
        "address", Words(), "host:port, several with commas.", (), sources=_META_AUTH_ENV, aliases=("addresses",)
    )
    hosts: tuple[str, ...] = param(
        "host", Words(), "Hosts, with as many ports.", (), sources=_META_ENV_AUTH, aliases=("hosts",)
    )
    ports: tuple[str, ...] = param("port", Words(), "Their ports.", (), sources=_META_ENV_AUTH, aliases=("ports",))
    username: str = param("username", Text(), "Who asks.", "", sources=_META_ENV_AUTH)
    password: str = param("password", Text(), "Its password.", "", sources=_META_ENV_AUTH, secret=True)
    sentinel_username: str = param("sentinelUsername", Text(), "Who asks the sentinels.", "", sources=_META_AUTH_ENV)
    sentinel_password: str = param(
        "sentinelPassword", Text(), "The password for the sentinels.", "", sources=_META_AUTH_ENV, secret=True
    )
    sentinel_master: str = param("sentinelMaster", Text(), "What sentinels call it.", "", sources=_META_AUTH_ENV)
    database: int = param("databaseIndex", Whole(0), "Of the databases of a server.", 0)
    enable_tls: bool | None = param("enableTLS", Truth(), "Speak TLS.", None)
    tls: str | None = param("tls", Choice(("enable", "disable")), "The same, said by a credential.", None, sources=AUTH)
    unsafe_ssl: bool = param("unsafeSsl", Truth(), "Take any certificate of the server.", False)
    ca: str = param("ca", Text(), "Who signed the server's certificate, in PEM.", "", sources=AUTH)
    cert: str = param("cert", Text(), "The client's certificate, in PEM.", "", sources=AUTH, aliases=("Cert",))
    key: str = param("key", Text(), "Its key, in PEM.", "", sources=AUTH, secret=True)
    key_password: str = param("keyPassword", Text(), "The password of the key.", "", sources=AUTH, secret=True)

    def problems(self) -> Sequence[tuple[str, str]]:
        if self.hosts and self.ports and len(self.hosts) != len(self.ports):
            return [("host", f"names {len(self.hosts)} hosts, and port {len(self.ports)} ports; as many are wanted")]
        if not any(self.all_addresses):
            return [("address", "is required: host:port, or a host and a port of their own")]
        if self.enable_tls is not None and self.tls is not None:
            return [("enableTLS", "is said here, and tls in the authenticationRef; one of them is wanted")]
        return ()

    @property
    def all_addresses(self) -> tuple[str, ...]:
        return (*self.addresses, *map(_joined, self.hosts, self.ports))

    def access(self, layout: RedisLayout) -> RedisAccess:
        tls = ClientTls(self.ca, self.cert, self.key, self.key_password, check=not self.unsafe_ssl)
        return RedisAccess(
            self.all_addresses,
            layout,
            self.database,
            self.username,
            self.password,
            self.sentinel_master,
            self.sentinel_username,
            self.sentinel_password,
            tls if self.enable_tls or self.tls == "enable" else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListParameters(RedisParameters):
    list_name: str = param("listName", Text(), "Key of the list, set, sorted set or hash.")
    list_length: int = param("listLength", Whole(1), "Elements per replica.", 5, differs=_AT_LEAST_ONE)
    activation: int = param("activationListLength", Whole(), "Active above so many elements.", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamParameters(RedisParameters):
    stream: str = param("stream", Text(), "Key of the stream.")
    group: str = param("consumerGroup", Text(), "Whose entries count; without one the whole stream does.", "")
    pending: int = param(
        "pendingEntriesCount", Whole(1), "Unacknowledged entries of the group per replica.", 5, differs=_AT_LEAST_ONE
    )
    length: int = param("streamLength", Whole(1), "Entries of the stream per replica.", 5, differs=_AT_LEAST_ONE)
    lag: int = param("lagCount", Whole(0), "Entries that the group was not given yet, per replica.", 0)
    activation: int = param("activationLagCount", Whole(), "Active above so many entries.", 0)


class ListScaler:
    """How many elements a key has."""

    def __init__(self, parameters: ListParameters, trigger: Trigger, world: World) -> None:
        self._key = parameters.list_name
        self._server = Lent(parameters.access(_layout(trigger.type)), RedisClient, trigger, world)
        self._target = Target(
            normalize(f"redis-{parameters.list_name}"), float(parameters.list_length), float(parameters.activation)
        )

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        kind, elements = await (await self._server.client()).count(self._key)
        note = f"there is no key {self._key!r}, as when nothing is in it" if kind == "none" else f"a {kind}"
        return (Reading(float(elements), note=note),)

    async def close(self) -> None:
        await self._server.give_back()


class StreamScaler:
    """How many entries wait, by one of three measures."""

    def __init__(self, parameters: StreamParameters, trigger: Trigger, world: World) -> None:
        self._stream, self._group = parameters.stream, parameters.group
        self._by_lag = parameters.lag > 0
        self._server = Lent(parameters.access(_layout(trigger.type)), RedisClient, trigger, world)
        each = parameters.length
        if parameters.group:
            each = parameters.lag or parameters.pending
        self._target = Target(
            normalize(f"redis-streams-{parameters.stream}"), float(each), float(parameters.activation)
        )

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        client = await self._server.client()
        if not self._group:
            return (Reading(float(await client.stream_length(self._stream)), note="all entries of the stream"),)
        groups = await client.stream_groups(self._stream)
        group = next((each for each in groups or () if each.name == self._group), None)
        if not self._by_lag:
            return (self._pending(group),)
        if groups is None:
            return (Reading(0.0, note=f"there is no stream {self._stream!r} yet"),)
        if group is None:
            length = float(await client.stream_length(self._stream))
            return (Reading(length, note=f"there is no group {self._group!r} yet: all entries of the stream"),)
        return (await self._lag(group, client),)

    def _pending(self, group: Group | None) -> Reading:
        """What nobody was given yet wakes the first consumer: without one nothing becomes pending."""
        if group is None:
            raise TemporaryError(
                f"there is no group {self._group!r} of a stream {self._stream!r}: XGROUP CREATE makes it"
            )
        pending = float(group.pending)
        note = "entries without an acknowledgement"
        return Reading(pending, activation=pending + (group.lag or 0), in_flight=pending, note=note)

    async def _lag(self, group: Group, client: RedisClient) -> Reading:
        if not group.counts_lag:
            raise TemporaryError("lagCount needs Redis 7 or newer, which counts what a group was not given")
        if group.lag is not None:
            return Reading(
                float(group.lag), in_flight=float(group.pending), note="entries that the group was not given"
            )
        behind = await client.stream_behind(self._stream, group.last_delivered)
        whole = behind < COUNTED_MAX
        note = "counted, as Redis does not know the lag" + ("" if whole else f"; at least {COUNTED_MAX}")
        quality = Quality.WHOLE if whole else Quality.PARTIAL
        return Reading(float(behind), in_flight=float(group.pending), quality=quality, note=note)

    async def close(self) -> None:
        await self._server.give_back()


def _joined(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_LAYOUTS: Final = {"": RedisLayout.SINGLE, "cluster": RedisLayout.CLUSTER, "sentinel": RedisLayout.SENTINEL}


def _layout(type_: str) -> RedisLayout:
    """`redis-cluster-streams` → cluster."""
    return _LAYOUTS[type_.removeprefix("redis").removesuffix("-streams").lstrip("-")]


def _make_list(parameters: ListParameters, trigger: Trigger, world: World) -> Scaler:
    return ListScaler(parameters, trigger, world)


def _make_stream(parameters: StreamParameters, trigger: Trigger, world: World) -> Scaler:
    return StreamScaler(parameters, trigger, world)


def _check(parameters: RedisParameters, trigger: Trigger) -> None:
    if _layout(trigger.type) is RedisLayout.SENTINEL and not parameters.sentinel_master:
        raise PermanentError(
            f"{trigger.path}.metadata.sentinelMaster: is required: sentinels know their masters by name",
            "InvalidTrigger",
        )


def _lists(where: str) -> Definition[ListParameters]:
    return Definition(ListParameters, _make_list, f"Elements of a list, set or hash in Redis{where}.", "redis", _check)


def _streams(where: str) -> Definition[StreamParameters]:
    return Definition(StreamParameters, _make_stream, f"Entries of a stream in Redis{where}.", "redis", _check)


DEFINITIONS: Final = {
    "redis": _lists(""),
    "redis-cluster": _lists(", as a cluster"),
    "redis-sentinel": _lists(" behind sentinels"),
    "redis-streams": _streams(""),
    "redis-cluster-streams": _streams(", as a cluster"),
    "redis-sentinel-streams": _streams(" behind sentinels"),
}
