"""Access tokens by OAuth 2 client credentials (RFC 6749, 4.4), kept until shortly before they expire.

Scalers get the way to a token from a TriggerAuthentication's `oauth2`, and share one source for each such way.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus, urlencode

import orjson

from core.clients.http_reader import HttpReader, Question
from core.clients.tls import ClientTls
from core.clock import Clock
from core.errors import PermanentError, TemporaryError

EARLY_S: Final = 10.0  # as golang.org/x/oauth2's expiryDelta
_REFUSED: Final = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""What RFC 6749, 5.2, lets a server say. Anything else that it says is not shown."""


@dataclass(frozen=True, slots=True)
class TokenWay:
    """Whom to ask, and as whom. `parameters` are further ones of the request, as a query."""

    url: str = field(repr=False)
    client_id: str
    client_secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tls: ClientTls = field(default_factory=ClientTls)


class TokenSource:
    """The token of one way. Whoever is refused with it says so by `forget`."""

    def __init__(self, way: TokenWay, clock: Clock) -> None:
        self._way = way
        self._clock = clock
        self._reader = HttpReader(way.tls)
        self._asking = asyncio.Lock()
        self._token = ""
        self._expires_at = 0.0
        self._in_header = True  # where servers shall take id and secret from; found out at the first token

    async def token(self) -> str:
        """TemporaryError: it was not given. PermanentError: the address is wrong."""
        async with self._asking:
            if not self._token or self._clock.monotonic() >= self._expires_at:
                self._token = await self._fetch()
            return self._token

    def forget(self, token: str) -> None:
        """That token was refused: the next is a new one."""
        if token == self._token:
            self._token = ""

    async def close(self) -> None:
        await self._reader.close()

    async def _fetch(self) -> str:
        try:
            return await self._grant(self._in_header)
        except _ClientRefused:
            pass
        try:
            token = await self._grant(not self._in_header)
        except _ClientRefused as refused:
            raise TemporaryError(f"{refused}: check clientId and clientSecret of oauth2") from None
        self._in_header = not self._in_header
        return token

    async def _grant(self, in_header: bool) -> str:
        way = self._way
        form: dict[str, str] = {"grant_type": "client_credentials", **dict(way.parameters)}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if way.scopes:
            form["scope"] = " ".join(way.scopes)
        if in_header:
            pair = f"{quote_plus(way.client_id)}:{quote_plus(way.client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": way.client_id, "client_secret": way.client_secret}
        try:
            answer = await self._reader.ask(Question(way.url, headers, "POST", urlencode(form).encode()))
        except PermanentError as error:
            raise PermanentError(f"tokenUrl of oauth2 {error}", error.reason) from None
        found = _object(answer.body)
        if answer.status in (400, 401, 403):
            said = found.get("error")
            words = f" with {said}" if said in _REFUSED else ""
            raise _ClientRefused(f"{answer.shown} refused a token ({answer.status}){words}")
        token = found.get("access_token")
        if not 200 <= answer.status < 300 or not isinstance(token, str) or not token:
            raise TemporaryError(f"{answer.shown} answered {answer.status}, without a token")
        self._expires_at = self._clock.monotonic() + _seconds(found.get("expires_in")) - EARLY_S
        return token


class _ClientRefused(TemporaryError):
    """The server does not take this client, or not in this manner."""


def _object(body: bytes) -> Mapping[str, object]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(said: object) -> float:
    """A lifetime; servers that say none are believed to mean for ever, until they refuse the token."""
    try:
        return float(str(said)) if said is not None else float("inf")
    except ValueError:
        return 0.0
