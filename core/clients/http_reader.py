"""Questions over HTTP to systems outside, for scalers and what they authenticate with: one answer or one error.

No secret leaves here: an error shows scheme, host and path of a URL, and says in words of its own what went wrong.
Redirects are followed where they stay on the same host, so that no credential is shown to another.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError

BODY_BYTES_MAX: Final = 16 * 1024 * 1024
REDIRECTS_MAX: Final = 5
TIMEOUT_S: Final = 3.0  # KEDA's KEDA_HTTP_DEFAULT_TIMEOUT
CONNECTIONS_PER_HOST: Final = 4


@dataclass(frozen=True, slots=True)
class Question:
    """`host` is what the server shall be called, where the URL only says how it is reached."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)
    timeout_s: float = TIMEOUT_S
    host: str = ""  # with its port, as in the header Host


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(repr=False)
    shown: str  # the URL, as it may be shown


class HttpReader:
    """Connections of one TLS access, opened on use and kept. To be lent by `Pools`."""

    def __init__(self, tls: ClientTls | None = None, connections_per_host: int = CONNECTIONS_PER_HOST) -> None:
        self._tls = tls or ClientTls()
        self._connections_per_host = connections_per_host
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None  # made for the first https: it reads all authorities

    async def ask(self, question: Question) -> Answer:
        """TemporaryError: nobody answered, or not with HTTP. PermanentError: the URL or the certificates are wrong."""
        url = parse_url(question.url)
        for _ in range(REDIRECTS_MAX + 1):
            answer, location = await self._ask(url, question)
            if location is None:
                return answer
            url = _followed(url, location)
        raise TemporaryError(f"{shown(url)} leads elsewhere more than {REDIRECTS_MAX} times")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, url: URL, question: Question) -> tuple[Answer, str | None]:
        session = self._open()
        timeout = aiohttp.ClientTimeout(total=question.timeout_s)
        headers = CIMultiDict(question.headers)
        if question.host:
            headers["Host"] = question.host
        called = URL(f"//{question.host}").host if question.host else None
        try:
            async with session.request(
                question.method,
                url,
                data=question.body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                ssl=self._open_tls() if url.scheme == "https" else True,
                server_hostname=called if url.scheme == "https" else None,
            ) as response:
                body = await _body(response, url)
                redirected = response.status in (301, 302, 303, 307, 308) and question.method == "GET"
                location = response.headers.get("Location") if redirected else None
                return Answer(response.status, body, shown(url)), location
        except TimeoutError:
            raise TemporaryError(f"{shown(url)} did not answer within {question.timeout_s:g} s") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise TemporaryError(f"{shown(url)} {_reason(error)}") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            if self._tls != ClientTls():
                self._open_tls()  # certificates that are wrong are told whatever is asked
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=self._connections_per_host, ttl_dns_cache=10)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _open_tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = self._tls.context()
        return self._context


def parse_url(text: str) -> URL:
    """PermanentError: it is no URL of HTTP. Its text is not shown: there may be a secret in it."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise PermanentError("is no URL of the form http://HOST[:PORT]/PATH or https://…", "InvalidAddress")
    return url


def shown(url: URL | str) -> str:
    """Without user, password, query and fragment: what messages may say."""
    url = URL(url) if isinstance(url, str) else url
    return str(url.with_user(None).with_query(None).with_fragment(None))


async def _body(response: aiohttp.ClientResponse, url: URL) -> bytes:
    chunks, length = [], 0
    async for chunk in response.content.iter_any():
        length += len(chunk)
        if length > BODY_BYTES_MAX:
            raise TemporaryError(f"{shown(url)} answered with more than {BODY_BYTES_MAX // 1024**2} MiB")
        chunks.append(chunk)
    return b"".join(chunks)


def _followed(url: URL, location: str) -> URL:
    try:
        target = url.join(URL(location))
    except ValueError:
        raise TemporaryError(f"{shown(url)} leads to what is no URL") from None
    if target.host != url.host or (url.scheme == "https" and target.scheme != "https"):
        raise TemporaryError(f"{shown(url)} leads to {shown(target)}, another host: give that address, if it is meant")
    return target


def _reason(error: Exception) -> str:
    """What went wrong, without anything of the request."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"has a certificate that is not trusted: {_certificate(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        found = error.os_error
        if isinstance(found, ssl.SSLError):
            return f"cannot be spoken to by TLS: {found.reason or 'handshake failed'}"
        number = found.errno or 0  # negative: of getaddrinfo
        why = os.strerror(number) if number > 0 else "its name cannot be resolved"
        return f"cannot be reached: {why}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "broke its answer off"
    if isinstance(error, aiohttp.ClientResponseError):
        return "answered with what is no HTTP"
    return f"could not be asked: {type(error).__name__}"


def _certificate(error: Exception) -> str:
    return error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else type(error).__name__
