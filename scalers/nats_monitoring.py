"""What the monitoring endpoints of a NATS server, or of a cluster of them, tell of JetStream (`/jsz`, `/varz`).

Only the leader of a consumer knows how much it has to do: on other nodes of a cluster the number pending is 0, and a
consumer of one replica does not exist there. One `Monitoring` serves all triggers of an account.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from core.clock import Clock
from core.errors import TemporaryError
from scalers.http_access import HttpAccess

FRESH_S: Final = 0.2  # so old may an answer be that several triggers share


@dataclass(frozen=True, slots=True)
class Place:
    """Which account, and where it is asked for."""

    endpoint: str  # host:port
    account_id: str
    account: str = ""
    https: bool = False


@dataclass(frozen=True, slots=True)
class Consumer:
    pending: int  # not delivered yet
    in_hand: int  # delivered and not acknowledged
    deliveries: int  # ever
    leader: str = ""


class Monitoring:
    def __init__(self, place: Place, access: HttpAccess, clock: Clock) -> None:
        self._place = place
        self._access = access
        self._clock = clock
        self._names: dict[str, str] = {}  # server_id → server_name
        self._leaders: dict[str, str] = {}  # server_name → endpoint
        self._answers: dict[str, tuple[float, Mapping[str, Any]]] = {}  # endpoint → when asked, /jsz
        self._asking: dict[str, asyncio.Lock] = {}

    async def consumer(self, stream: str, consumer: str) -> Consumer:
        """As its leader knows it. TemporaryError: it is not there, or nobody could say."""
        first = await self._of_any(self._jsz)
        found = self._find(first, stream, consumer)
        if _cluster_size(first) <= 1:
            if found is None:
                raise TemporaryError(self._missing(first, stream, consumer))
            return found
        if found is not None and self._names.get(first.get("server_id", "")) == found.leader:
            return found
        if found is not None and found.leader in self._leaders:
            with contextlib.suppress(TemporaryError):  # it may lead no more
                led = await self._led(self._leaders[found.leader], stream, consumer)
                if led is not None:
                    return led
        return await self._search(first, stream, consumer)

    async def close(self) -> None:
        await self._access.close()

    async def _of_any(self, ask: Callable[[str], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
        """The endpoint's answer, or that of another node where it does not answer and one is known."""
        try:
            return await ask(self._place.endpoint)
        except TemporaryError:
            for node in self._leaders.values():
                if node != self._place.endpoint:
                    return await ask(node)
            raise

    async def _search(self, first: Mapping[str, Any], stream: str, consumer: str) -> Consumer:
        """Every node, until one says that it leads."""
        failed: list[str] = []
        nodes = await self._nodes()
        for node in nodes:
            try:
                led = await self._led(node, stream, consumer)
            except TemporaryError as error:
                failed.append(str(error))
                continue
            if led is not None:
                return led
        found = self._find(first, stream, consumer)
        answered = len(nodes) - len(failed)
        if found is None and answered >= _cluster_size(first):
            raise TemporaryError(self._missing(first, stream, consumer))
        what = (
            f"consumer {consumer} of stream {stream}" if found is None else f"the leader {found.leader} of {consumer}"
        )
        raise TemporaryError(
            f"{what} is not among the nodes that could be asked, {answered} of {_cluster_size(first)}"
            + (f": {failed[0]}" if failed else "")
        )

    async def _led(self, endpoint: str, stream: str, consumer: str) -> Consumer | None:
        """The consumer, if that node leads it."""
        answer = await self._jsz(endpoint)
        found = self._find(answer, stream, consumer)
        if found is None:
            return None
        if answer.get("server_id") not in self._names:
            await self._varz(endpoint)
        if self._names.get(answer.get("server_id", "")) != found.leader:
            return None
        self._leaders[found.leader] = endpoint
        return found

    async def _nodes(self) -> list[str]:
        """Advertised addresses with the port that monitoring has here; else, as upstream, names before this host's."""
        info = await self._of_any(self._varz)
        host, _, port = self._place.endpoint.rpartition(":")
        advertised = [_host(each) for each in info.get("connect_urls") or ()]
        if advertised:
            nodes = [f"{each}:{port}" for each in advertised] if host else advertised
        else:
            routes = (info.get("cluster") or {}).get("urls") or ()
            nodes = [f"{_host(each).partition('.')[0]}.{self._place.endpoint}" for each in routes]
        return list(dict.fromkeys([self._place.endpoint, *nodes]))

    async def _jsz(self, endpoint: str) -> Mapping[str, Any]:
        async with self._asking.setdefault(endpoint, asyncio.Lock()):
            at, answer = self._answers.get(endpoint, (0.0, None))
            if answer is not None and self._clock.monotonic() - at <= FRESH_S:
                return answer
            at = self._clock.monotonic()
            query = urlencode({"acc": self._place.account_id, "consumers": "true", "config": "true"})
            answer = await self._get(endpoint, f"jsz?{query}")
            self._answers[endpoint] = at, answer
            return answer

    async def _varz(self, endpoint: str) -> Mapping[str, Any]:
        info = await self._get(endpoint, "varz")
        self._names[str(info.get("server_id"))] = str(info.get("server_name"))
        return info

    async def _get(self, endpoint: str, what: str) -> Mapping[str, Any]:
        answer = await self._access.ask(f"{'https' if self._place.https else 'http'}://{endpoint}/{what}")
        if answer.status != 200:
            raise TemporaryError(f"{answer.shown} answered {answer.status}")
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise TemporaryError(f"{answer.shown} did not answer as NATS does")
        return found

    def _streams(self, answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Streams of the account by name; None: it has none, or is not there."""
        wanted = {self._place.account_id, self._place.account} - {""}
        for account in answer.get("account_details") or ():
            if account.get("id") in wanted or account.get("name") in wanted:
                return {each["name"]: each for each in account.get("stream_detail") or ()}
        return None

    def _find(self, answer: Mapping[str, Any], stream: str, consumer: str) -> Consumer | None:
        detail = (self._streams(answer) or {}).get(stream) or {}
        for each in detail.get("consumer_detail") or ():
            if each.get("name") == consumer:
                return Consumer(
                    max(0, int(each.get("num_pending") or 0)),
                    max(0, int(each.get("num_ack_pending") or 0)),
                    int((each.get("delivered") or {}).get("consumer_seq") or 0),
                    (each.get("cluster") or {}).get("leader") or "",
                )
        return None

    def _missing(self, answer: Mapping[str, Any], stream: str, consumer: str) -> str:
        streams = self._streams(answer)
        if streams is None:
            return f"account {self._place.account_id} is not known at {self._place.endpoint}, or has no JetStream"
        if stream not in streams:
            return f"stream {stream} is not among those of the account: {', '.join(sorted(streams)) or 'none'}"
        names = ", ".join(sorted(each.get("name", "") for each in streams[stream].get("consumer_detail") or ()))
        return f"consumer {consumer} is not among those of stream {stream}: {names or 'none'}"


def _cluster_size(answer: Mapping[str, Any]) -> int:
    return int((answer.get("meta_cluster") or {}).get("cluster_size") or 0)


def _host(address: str) -> str:
    """Without its port; an address of IPv6 keeps its brackets."""
    host, colon, _ = address.rpartition(":")
    return host if colon else address
