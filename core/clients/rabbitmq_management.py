"""RabbitMQ's management API: what its statistics say of queues. Over one connection; its user's own rights apply.

Paths are escaped as paths are: a virtual host or queue of any name is one segment of the path. Nothing that fails says
a password or a token.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import quote, urlencode

import orjson

from core.clients.http_reader import Answer, HttpReader, Question
from core.clients.masking import mask
from core.clients.rabbitmq_terms import NOT_FOUND, QueueCounts, RabbitmqDown, RabbitmqRefused
from core.clients.tls import ClientTls

PAGE_MAX: Final = 500
"""Queues on a page: RabbitMQ gives no more."""
COLUMNS: Final = ",".join(
    (
        "name,state,messages,messages_ready,messages_unacknowledged",
        "message_stats.publish,message_stats.publish_details.rate,message_stats.deliver_get_details.rate",
        "message_stats.ack,message_stats.deliver_no_ack,message_stats.get_no_ack",
    )
)


@dataclass(frozen=True, slots=True)
class ManagementAccess:
    """`url` is what stands before `/api`, without user and password."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    tls: ClientTls = field(default_factory=ClientTls)


class Tokens(Protocol):
    """Instead of a password."""

    async def token(self) -> str: ...

    def forget(self, token: str) -> None: ...


Find: TypeAlias = Callable[[str], Awaitable[tuple[str, str]]]
"""A URL → where it is reached now, and what its host shall be called if not so. TemporaryError."""


async def as_written(url: str) -> tuple[str, str]:
    return url, ""


def queues_path(vhost: str, queue: str | None = None) -> str:
    """`/api/queues/VHOST[/QUEUE]`."""
    path = f"/api/queues/{quote(vhost, safe='')}"
    return path if queue is None else f"{path}/{quote(queue, safe='')}"


class Management:
    """Made without effect; connects when it is first asked, on that loop."""

    def __init__(self, access: ManagementAccess, tokens: Tokens | None = None, find: Find = as_written) -> None:
        self.access = access
        self.requests = 0  # since it was made
        self._tokens = tokens
        self._find = find
        self._reader = HttpReader(access.tls, connections_per_host=1)

    async def queue(self, vhost: str, name: str, timeout_s: float) -> QueueCounts:
        """TemporaryError (RabbitmqRefused with NOT_FOUND: there is no such queue), PermanentError (certificates)."""
        try:
            found = await self._get(queues_path(vhost, name), {"columns": COLUMNS}, timeout_s)
        except RabbitmqRefused as error:
            if error.code != NOT_FOUND:
                raise
            place = f"virtual host {vhost} of RabbitMQ at {self.access.url}"
            raise RabbitmqRefused(f"queue {name} does not exist in {place}", NOT_FOUND) from None
        return counts_of({"name": name, **found})

    async def queues(self, vhost: str, timeout_s: float) -> list[QueueCounts]:
        """All of a virtual host. TemporaryError (NOT_FOUND: there is no such host), PermanentError."""
        return await self._pages(vhost, {"page_size": str(PAGE_MAX)}, timeout_s)

    async def matching(self, vhost: str, pattern: str, page_size: int, timeout_s: float) -> list[QueueCounts]:
        """Those whose names a regular expression of Erlang's finds something in. Errors as of `queues`."""
        size = str(min(page_size, PAGE_MAX))
        return await self._pages(vhost, {"page_size": size, "name": pattern, "use_regex": "true"}, timeout_s)

    async def close(self) -> None:
        await self._reader.close()

    async def _pages(self, vhost: str, query: Mapping[str, str], timeout_s: float) -> list[QueueCounts]:
        found: dict[str, QueueCounts] = {}
        page, pages = 1, 1
        while page <= pages:
            try:
                answer = await self._get(
                    queues_path(vhost), {**query, "page": str(page), "columns": COLUMNS}, timeout_s
                )
            except RabbitmqRefused as error:
                if page > 1 and "page_out_of_range" in str(error):
                    break  # queues were deleted while the pages were turned
                raise self._refused_list(error, vhost, query) from None
            if not isinstance(answer.get("items"), list):
                raise self._stranger()
            found.update((each["name"], counts_of(each)) for each in answer["items"])
            pages = int(answer.get("page_count", 1))
            page += 1
        return list(found.values())

    async def _get(self, path: str, query: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
        url = f"{self.access.url}{path}?{urlencode(query, quote_via=quote)}"
        token = await self._tokens.token() if self._tokens else ""
        answer = await self._ask(url, token, timeout_s)
        if answer.status == 401 and self._tokens is not None:
            self._tokens.forget(token)  # revoked, or somebody has changed the key that it is signed with
            answer = await self._ask(url, await self._tokens.token(), timeout_s)
        if answer.status != 200:
            raise self._refusal(answer)
        found = _json(answer.body)
        if not isinstance(found, dict):
            raise self._stranger()
        return found

    async def _ask(self, url: str, token: str, timeout_s: float) -> Answer:
        access, headers = self.access, {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif access.user or access.password:
            pair = f"{access.user}:{access.password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        where, host = await self._find(url)
        self.requests += 1
        return await self._reader.ask(Question(where, headers, timeout_s=timeout_s, host=host))

    def _refusal(self, answer: Answer) -> RabbitmqDown | RabbitmqRefused:
        found, status = _json(answer.body), answer.status
        said = found.get("reason") or found.get("error") if isinstance(found, dict) else None
        reason = f" ({mask(str(said), (self.access.password,))})" if said else ""
        if status in (401, 403):
            who = "the client of its token" if self._tokens else f"user {self.access.user or '(none)'}"
            need = "; it needs the tag management or monitoring" if "management" in reason.lower() else ""
            return RabbitmqRefused(
                f"RabbitMQ's management API at {self.access.url} does not let {who} in{reason}{need}", status
            )
        if status >= 500:
            return RabbitmqDown(f"RabbitMQ's management API at {self.access.url} answers {status}{reason}")
        return RabbitmqRefused(f"RabbitMQ's management API at {self.access.url} answers {status}{reason}", status)

    def _refused_list(self, error: RabbitmqRefused, vhost: str, query: Mapping[str, str]) -> RabbitmqRefused:
        if error.code == NOT_FOUND:
            return RabbitmqRefused(f"virtual host {vhost} does not exist on RabbitMQ at {self.access.url}", NOT_FOUND)
        if error.code == 400 and "name" in query:
            return RabbitmqRefused(
                f"RabbitMQ at {self.access.url} takes {query['name']!r} for no regular expression", error.code
            )
        return error

    def _stranger(self) -> RabbitmqRefused:
        return RabbitmqRefused(f"what answers at {self.access.url} is not RabbitMQ's management API")


def counts_of(answer: Mapping[str, Any]) -> QueueCounts:
    """A queue as RabbitMQ describes it."""
    name, messages = str(answer["name"]), answer.get("messages")
    if not isinstance(messages, int):
        state = answer.get("state")
        why = f"it is {state}" if state not in (None, "running", "idle") else "RabbitMQ has not counted it yet"
        return QueueCounts(name, trouble=f"nothing is known of the messages of queue {name}: {why}")
    unacknowledged = int(answer.get("messages_unacknowledged") or 0)
    stats = answer.get("message_stats") or {}
    return QueueCounts(
        name,
        messages,
        int(answer.get("messages_ready", max(0, messages - unacknowledged))),
        unacknowledged,
        _rate(stats, "publish_details"),
        _rate(stats, "deliver_get_details"),
        _count(stats, ("publish",)),
        _count(stats, ("ack", "deliver_no_ack", "get_no_ack")),
    )


def _rate(stats: Mapping[str, Any], name: str) -> float:
    return max(0.0, float((stats.get(name) or {}).get("rate") or 0.0))


def _count(stats: Mapping[str, Any], names: Sequence[str]) -> float | None:
    known = [float(stats[name]) for name in names if name in stats]
    return sum(known) if known else None


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
