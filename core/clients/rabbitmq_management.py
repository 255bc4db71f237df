"""RabbitMQ's management API: what its statistics say of queues. Over one connection; its user's own rights apply.

Paths are escaped as paths are: a virtual host or queue of any name is one segment of the path. Nothing that fails says
a password or a token.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from core.clients.rabbitmq_access import Trust
from core.clients.rabbitmq_terms import NOT_FOUND, QueueCounts, RabbitmqDown, RabbitmqRefused
from core.clients.rabbitmq_tls import make_context
from core.clock import Clock

PAGE_MAX: Final = 500
"""Queues on a page: RabbitMQ gives no more."""
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
TOKEN_EARLY_S: Final = 10.0
"""So long before its end a token is not used any more."""
COLUMNS: Final = ",".join(
    (
        "name,state,messages,messages_ready,messages_unacknowledged",
        "message_stats.publish,message_stats.publish_details.rate,message_stats.deliver_get_details.rate",
        "message_stats.ack,message_stats.deliver_no_ack,message_stats.get_no_ack",
    )
)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """OAuth2's grant of that name (RFC 6749, section 4.4). `more` is what else is sent for a token."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ManagementAccess:
    """`url` is what stands before `/api`, without user and password."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    trust: Trust = field(default_factory=Trust)
    oauth: ClientCredentials | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may stand in no message."""
        own = (self.password, self.trust.key_password, self.oauth.client_secret if self.oauth else "")
        return tuple(each for each in own if each)


def queues_path(vhost: str, queue: str | None = None) -> str:
    """`/api/queues/VHOST[/QUEUE]`."""
    path = f"/api/queues/{quote(vhost, safe='')}"
    return path if queue is None else f"{path}/{quote(queue, safe='')}"


class Management:
    """Made without effect; connects when it is first asked, on that loop."""

    def __init__(self, access: ManagementAccess, clock: Clock) -> None:
        self.access = access
        self._clock = clock
        self.requests = 0  # since it was made
        self._session: aiohttp.ClientSession | None = None
        self._token = ""
        self._token_until = 0.0

    async def queue(self, vhost: str, name: str, timeout_s: float) -> QueueCounts:
        """RabbitmqDown, RabbitmqRefused (NOT_FOUND), PermanentError (certificates)."""
        try:
            found = await self._get(queues_path(vhost, name), {"columns": COLUMNS}, timeout_s)
        except RabbitmqRefused as error:
            if error.code != NOT_FOUND:
                raise
            place = f"virtual host {vhost} of RabbitMQ at {self.access.url}"
            raise RabbitmqRefused(f"queue {name} does not exist in {place}", NOT_FOUND) from None
        return counts_of({"name": name, **found})

    async def queues(self, vhost: str, timeout_s: float) -> list[QueueCounts]:
        """All of a virtual host. RabbitmqDown, RabbitmqRefused (NOT_FOUND: there is no such host), PermanentError."""
        return await self._pages(vhost, {"page_size": str(PAGE_MAX)}, timeout_s)

    async def matching(self, vhost: str, pattern: str, page_size: int, timeout_s: float) -> list[QueueCounts]:
        """Those whose names a regular expression of Erlang's finds something in. Errors as of `queues`."""
        size = str(min(page_size, PAGE_MAX))
        return await self._pages(vhost, {"page_size": size, "name": pattern, "use_regex": "true"}, timeout_s)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _pages(self, vhost: str, query: Mapping[str, str], timeout_s: float) -> list[QueueCounts]:
        found: dict[str, QueueCounts] = {}
        page, pages = 1, 1
        while page <= pages:
            try:
                answer = await self._get(
                    queues_path(vhost), {**query, "page": str(page), "columns": COLUMNS}, timeout_s
                )
            except RabbitmqRefused as error:
                if error.code == NOT_FOUND:
                    raise RabbitmqRefused(
                        f"virtual host {vhost} does not exist on RabbitMQ at {self.access.url}", NOT_FOUND
                    ) from None
                if page > 1 and "page_out_of_range" in str(error):
                    break  # queues were deleted while the pages were turned
                if error.code == 400 and "name" in query:
                    raise RabbitmqRefused(
                        f"RabbitMQ at {self.access.url} takes {query['name']!r} for no regular expression", 400
                    ) from None
                raise
            if not isinstance(answer.get("items"), list):
                raise self._stranger()
            found.update((each["name"], counts_of(each)) for each in answer["items"])
            pages = int(answer.get("page_count", 1))
            page += 1
        return list(found.values())

    async def _get(self, path: str, query: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
        url = f"{self.access.url}{path}?{urlencode(query, quote_via=quote)}"
        for renewed in (False, True):
            status, body = await self._send("GET", url, await self._authorization(timeout_s), None, timeout_s)
            if status != 401 or self.access.oauth is None or renewed:
                break
            self._token = ""  # it was revoked, or somebody has changed the key that it is signed with
        if status == 200:
            answer = _json(body)
            if not isinstance(answer, dict):
                raise self._stranger()
            return answer
        raise self._refusal(status, body)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: str | None, timeout_s: float
    ) -> tuple[int, bytes]:
        session = self._session or self._connect()
        place = self.access.url if url.startswith(f"{self.access.url}/api/") else url.partition("?")[0]
        self.requests += 1
        try:
            async with session.request(
                method,
                URL(url, encoded=True),
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                answer = await response.content.read(ANSWER_BYTES_MAX + 1)
                while not response.content.at_eof() and len(answer) <= ANSWER_BYTES_MAX:
                    answer += await response.content.read(ANSWER_BYTES_MAX)
                if len(answer) > ANSWER_BYTES_MAX:
                    raise RabbitmqRefused(f"{place} answers with more than {ANSWER_BYTES_MAX} bytes")
                return response.status, answer
        except TimeoutError:
            raise RabbitmqDown(f"{place} does not answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise RabbitmqDown(f"{place} does not answer: {self._masked(_sentence(error))}") from None

    def _connect(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=2, limit_per_host=1, ssl=make_context(self.access.trust))
        self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self._session

    async def _authorization(self, timeout_s: float) -> dict[str, str]:
        access = self.access
        if access.oauth is not None:
            return {"Authorization": f"Bearer {await self._require_token(access.oauth, timeout_s)}"}
        if not access.user and not access.password:
            return {}
        return {"Authorization": _basic(access.user, access.password)}

    async def _require_token(self, oauth: ClientCredentials, timeout_s: float) -> str:
        if self._token and self._clock.monotonic() < self._token_until:
            return self._token
        form = {"grant_type": "client_credentials", **dict(oauth.more)}
        if oauth.scopes:
            form["scope"] = " ".join(oauth.scopes)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        basic = _basic(quote(oauth.client_id, safe=""), quote(oauth.client_secret, safe=""))
        status, body = await self._send(
            "POST", oauth.token_url, {**headers, "Authorization": basic}, urlencode(form), timeout_s
        )
        if status in (400, 401):  # some want them in the form
            form |= {"client_id": oauth.client_id, "client_secret": oauth.client_secret}
            status, body = await self._send("POST", oauth.token_url, headers, urlencode(form), timeout_s)
        answer = _json(body)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if status != 200 or not isinstance(token, str):
            word = answer.get("error") if isinstance(answer, dict) else None
            word = f", {word}" if isinstance(word, str) and re.fullmatch(r"[a-z_]{1,40}", word) else ""
            raise RabbitmqRefused(f"{oauth.token_url} gives client {oauth.client_id} no token: {status}{word}", status)
        self._token = token
        lifetime_s = answer.get("expires_in") if isinstance(answer, dict) else None
        self._token_until = self._clock.monotonic() + (float(lifetime_s) if lifetime_s else 60.0) - TOKEN_EARLY_S
        return token

    def _refusal(self, status: int, body: bytes) -> RabbitmqDown | RabbitmqRefused:
        answer = _json(body)
        said = answer.get("reason") or answer.get("error") if isinstance(answer, dict) else None
        reason = f" ({self._masked(str(said))})" if said else ""
        if status in (401, 403):
            oauth = self.access.oauth
            who = f"client {oauth.client_id}" if oauth else f"user {self.access.user or '(none)'}"
            need = "; it needs the tag management or monitoring" if "management" in reason.lower() else ""
            return RabbitmqRefused(
                f"RabbitMQ's management API at {self.access.url} does not let {who} in{reason}{need}", status
            )
        if status >= 500:
            return RabbitmqDown(f"RabbitMQ's management API at {self.access.url} answers {status}{reason}")
        return RabbitmqRefused(f"RabbitMQ's management API at {self.access.url} answers {status}{reason}", status)

    def _stranger(self) -> RabbitmqRefused:
        return RabbitmqRefused(f"what answers at {self.access.url} is not RabbitMQ's management API")

    def _masked(self, text: str) -> str:
        for each in self.access.secrets:
            text = text.replace(each, "***")
        return text


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


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _sentence(error: Exception) -> str:
    """aiohttp's words for an answer that is none repeat it, with the URL."""
    if isinstance(error, aiohttp.ClientResponseError):
        return "what is there does not speak HTTP"
    return str(error) or type(error).__name__


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
