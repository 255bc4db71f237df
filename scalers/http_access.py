"""How scalers speak HTTP: the parameters of their authentication (pkg/scalers/authentication), and one way in for all.

Connections are shared by all triggers of the same TLS access, tokens by those of the same client. Names of Services of
the platform lead to one of their Pods.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from yarl import URL

from core.clients.http_reader import TIMEOUT_S, Answer, HttpReader, Question, parse_url, shown
from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError
from core.settings.declaration import Choice, Text, Truth
from core.settings.durations import parse_duration
from scalers.auth.tokens import TokenSource, TokenWay
from scalers.base import World
from scalers.params import AUTH, METADATA_OR_AUTH, Parameters, param
from scalers.service_addresses import urls_of

API_KEY, BASIC, TLS, BEARER, CUSTOM, OAUTH = MODES = ("apiKey", "basic", "tls", "bearer", "custom", "oauth")
TOGETHER_MAX: Final = 5  # as upstream
_EXCLUSIVE: Final = (BEARER, BASIC, OAUTH)


@dataclass(frozen=True, slots=True)
class Modes:
    allowed: str = f"must be one or more of {', '.join(MODES)}, with commas between them"

    def read(self, text: str) -> tuple[str, ...]:
        modes = tuple(each.strip() for each in text.split(","))
        if not set(modes) <= set(MODES):
            raise ValueError
        return modes


@dataclass(frozen=True, slots=True)
class Pairs:
    allowed: str = "must be of the form key=value,key2=value2"

    def read(self, text: str) -> tuple[tuple[str, str], ...]:
        pairs = [each.partition("=") for each in text.split(",")]
        if not all(sign and key.strip() for key, sign, _ in pairs):
            raise ValueError
        return tuple((key.strip(), value.strip()) for key, _, value in pairs)


@dataclass(frozen=True, slots=True)
class Wait:
    """KEDA's durations: with a unit as Go's, without one in milliseconds. In seconds here."""

    allowed: str = "must be a duration such as 5s, or a number of milliseconds, greater than 0"

    def read(self, text: str) -> float:
        value = int(text) / 1000 if text.isascii() and text.isdigit() else parse_duration(text)
        if value <= 0:
            raise ValueError(self.allowed)
        return value


@dataclass(frozen=True, slots=True)
class Address:
    """A URL of HTTP; its text is not shown where it is none."""

    allowed: str = "must be a URL of the form http://HOST[:PORT]/PATH or https://…"

    def read(self, text: str) -> str:
        try:
            parse_url(text)
        except PermanentError:
            raise ValueError from None
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParameters(Parameters):
    """What every scaler over HTTP takes. Subclasses that have rules of their own call `problems` of this class, too."""

    modes: tuple[str, ...] = param(
        "authModes",
        Modes(),
        "How to authenticate: one or more of apiKey, basic, tls, bearer, custom, oauth, with commas between them.",
        (),
        sources=METADATA_OR_AUTH,
        aliases=("authMode",),
    )
    bearer_token: str = param(
        "bearerToken", Text(), "bearer: the token.", "", sources=AUTH, aliases=("token",), secret=True
    )
    username: str = param("username", Text(), "basic: the user.", "", sources=AUTH)
    password: str = param("password", Text(), "basic: the password.", "", sources=AUTH, secret=True)
    ca: str = param("ca", Text(), "The authority to trust, as PEM.", "", sources=AUTH)
    cert: str = param("cert", Text(), "tls: our certificate, as PEM.", "", sources=AUTH)
    key: str = param("key", Text(), "tls: its key, as PEM.", "", sources=AUTH, secret=True)
    api_key: str = param("apiKey", Text(), "apiKey: the key.", "", sources=METADATA_OR_AUTH, secret=True)
    method: str = param(
        "method", Choice(("header", "query")), "apiKey: where it goes.", "header", sources=METADATA_OR_AUTH
    )
    key_param_name: str = param(
        "keyParamName",
        Text(),
        "apiKey: the header or parameter that it goes into; X-API-KEY or api_key.",
        "",
        sources=METADATA_OR_AUTH,
    )
    custom_header: str = param("customAuthHeader", Text(), "custom: name of the header.", "", sources=AUTH)
    custom_value: str = param("customAuthValue", Text(), "custom: its value.", "", sources=AUTH, secret=True)
    token_uri: str = param("oauthTokenURI", Address(), "oauth: who gives tokens.", "", sources=AUTH)
    client_id: str = param("clientID", Text(), "oauth: as whom to ask.", "", sources=AUTH)
    client_secret: str = param("clientSecret", Text(), "oauth: its secret.", "", sources=AUTH, secret=True)
    scopes: str = param(
        "scopes", Text(), "oauth: scopes, with commas between them.", "", sources=AUTH, aliases=("scope",)
    )
    endpoint_params: str = param(
        "endpointParams", Text(), "oauth: more to ask with, as a query string.", "", sources=AUTH, secret=True
    )
    unsafe_ssl: bool = param("unsafeSsl", Truth(), "Take whatever certificate the server shows.", False)
    timeout_s: float | None = param(
        "timeout", Wait(), "How long to wait for an answer: a duration, or milliseconds; 3s.", None
    )

    def problems(self) -> Sequence[tuple[str, str]]:
        given = {
            BEARER: {"bearerToken": self.bearer_token},
            BASIC: {"username": self.username},
            TLS: {"cert": self.cert, "key": self.key},
            OAUTH: {"oauthTokenURI": self.token_uri, "clientID": self.client_id},
            CUSTOM: {"customAuthHeader": self.custom_header, "customAuthValue": self.custom_value},
            API_KEY: {"apiKey": self.api_key},
        }
        found = [
            (name, f"is required where authModes has {mode}: a parameter {name} of its authenticationRef")
            for mode in self.modes
            for name, value in given[mode].items()
            if not value
        ]
        chosen = [mode for mode in self.modes if mode in _EXCLUSIVE]
        if len(chosen) > 1:
            found.append(("authModes", f"has {' and '.join(chosen)}, of which there may be one"))
        return found


class HttpAccess:
    """One trigger's way in. Nothing is opened before the first question."""

    def __init__(self, parameters: HttpParameters, world: World, namespace: str) -> None:
        self._parameters = parameters
        self._world = world
        self._namespace = namespace
        tls = TLS in parameters.modes
        self._tls = ClientTls(
            ca=parameters.ca,
            certificate=parameters.cert if tls else "",
            key=parameters.key if tls else "",
            check=not parameters.unsafe_ssl,
        )
        self._headers = _headers(parameters)
        self._way = _way(parameters, self._tls) if OAUTH in parameters.modes else None
        self._reader: HttpReader | None = None
        self._tokens: TokenSource | None = None

    async def ask(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """TemporaryError, PermanentError. An answer may have any status."""
        return await self._ask((await self._addresses(url))[0], headers or {})

    async def ask_all(self, url: str) -> list[Answer | TemporaryError] | str:
        """Every ready Pod behind the Service that a URL names, a few at a time; a text: it names none. TemporaryError:
        there is none; PermanentError."""
        found = await self._addresses(url)
        if not found[0][1]:
            return shown(url)
        few = asyncio.Semaphore(TOGETHER_MAX)

        async def one(where: tuple[str, str]) -> Answer | TemporaryError:
            async with few:
                try:
                    return await self._ask(where, {})
                except TemporaryError as error:
                    return error

        return await asyncio.gather(*map(one, found))

    async def close(self) -> None:
        pools = self._world.pools
        if self._reader is not None:
            self._reader = None
            await pools.give_back(("http", self._tls))
        if self._tokens is not None:
            self._tokens = None
            await pools.give_back(("oauth", self._way))

    async def _addresses(self, url: str) -> list[tuple[str, str]]:
        """Where a URL leads, with the host that was meant where it names a Service of the platform."""
        return await urls_of(self._world.store, parse_url(url), self._namespace)

    async def _ask(self, where: tuple[str, str], headers: Mapping[str, str]) -> Answer:
        token = await self._token()
        found = await self._ask_with(token, where, headers)
        if found.status == 401 and self._tokens is not None:
            self._tokens.forget(token)  # taken back before its end
            found = await self._ask_with(await self._token(), where, headers)
        return found

    async def _ask_with(self, token: str, where: tuple[str, str], headers: Mapping[str, str]) -> Answer:
        if self._reader is None:
            self._reader = self._world.pools.borrow(("http", self._tls), lambda: HttpReader(self._tls))
        url, host = where
        parameters = self._parameters
        if API_KEY in parameters.modes and parameters.method == "query":
            url = str(URL(url).update_query({parameters.key_param_name or "api_key": parameters.api_key}))
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        question = Question(
            url, {**headers, **self._headers, **bearer}, timeout_s=parameters.timeout_s or TIMEOUT_S, host=host
        )
        return await self._reader.ask(question)

    async def _token(self) -> str:
        if self._way is None:
            return ""
        if self._tokens is None:
            way, clock = self._way, self._world.clock
            self._tokens = self._world.pools.borrow(("oauth", way), lambda: TokenSource(way, clock))
        return await self._tokens.token()


def _headers(parameters: HttpParameters) -> dict[str, str]:
    headers: dict[str, str] = {}
    if BEARER in parameters.modes:
        headers["Authorization"] = f"Bearer {parameters.bearer_token}"
    if BASIC in parameters.modes:
        pair = f"{parameters.username}:{parameters.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    if CUSTOM in parameters.modes:
        headers[parameters.custom_header] = parameters.custom_value
    if API_KEY in parameters.modes and parameters.method == "header":
        headers[parameters.key_param_name or "X-API-KEY"] = parameters.api_key
    return headers


def _way(parameters: HttpParameters, tls: ClientTls) -> TokenWay:
    scopes = tuple(each.strip() for each in parameters.scopes.split(",") if each.strip())
    more = tuple(parse_qsl(parameters.endpoint_params, keep_blank_values=True))
    return TokenWay(parameters.token_uri, parameters.client_id, parameters.client_secret, scopes, more, tls)
