"""HTTP as a client: to an address with a Host of one's choosing, as the command line calls a function, and to sinks
elsewhere, with a guard before private networks."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

import aiohttp
import aiohttp.abc
from multidict import CIMultiDict
from yarl import URL

from core.errors import TemporaryError
from core.inside import REPLY_BYTES_MAX, Call, CallFailed, Reply


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`url` is where to connect; `host` what the request is for."""

    url: str
    host: str
    method: str = "GET"
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """`async with`; connections are reused while it is open."""

    def __init__(self, connections_max: int = 100) -> None:
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpClient:
        connector = aiohttp.TCPConnector(limit=self._connections_max)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """TemporaryError when nobody answers in time."""
        if self._session is None:
            raise RuntimeError("use HttpClient as `async with`")
        headers = {**(request.headers or {}), "Host": request.host}
        timeout = aiohttp.ClientTimeout(total=request.timeout_s)
        try:
            async with self._session.request(
                request.method, request.url, data=request.body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return HttpResponse(response.status, response.headers.copy(), await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            why = str(error) or f"no answer within {request.timeout_s:g} s"
            raise TemporaryError(f"{request.url} for {request.host}: {why}") from error


Allowed: TypeAlias = Callable[[str, IPv4Address | IPv6Address], bool]
"""Whether a host may be called at an address that its name resolves to."""


class OutsideClient:
    """Calls to what the platform does not serve itself, wherever its URL leads that `allowed` lets it (SSRF guard).

    Every address that a name resolves to is judged at each connection, so a name that changes its mind is judged anew.
    Redirects are answers, not followed. `async with`.
    """

    def __init__(self, allowed: Allowed, connections_max: int = 100) -> None:
        self._allowed = allowed
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> OutsideClient:
        connector = aiohttp.TCPConnector(
            limit=self._connections_max, resolver=_GuardedResolver(self._allowed), ttl_dns_cache=10
        )
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()

    async def call(self, url: str, call: Call, timeout_s: float) -> Reply:
        """`call.host` and `call.target` are in the URL. CallFailed."""
        if self._session is None:
            raise RuntimeError("use OutsideClient as `async with`")
        headers = CIMultiDict((name.decode(), value.decode("latin-1")) for name, value in call.fields)
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        method = call.method.decode()
        try:
            self._judge(URL(url).host or "")
            async with self._session.request(
                method, url, data=call.body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                body = await response.content.read(REPLY_BYTES_MAX + 1)
                while not response.content.at_eof() and len(body) <= REPLY_BYTES_MAX:
                    body += await response.content.read(REPLY_BYTES_MAX)
                if len(body) > REPLY_BYTES_MAX:
                    raise CallFailed(f"the answer has more than {REPLY_BYTES_MAX} bytes")
                fields = tuple((name.lower().encode(), value.encode()) for name, value in response.headers.items())
                return Reply(response.status, fields, body)
        except TimeoutError:
            raise CallFailed(f"there was no answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise CallFailed(str(error) or type(error).__name__) from error

    def _judge(self, host: str) -> None:
        """An address written as one is never resolved."""
        try:
            address = ip_address(host)
        except ValueError:
            return
        if not self._allowed(host, address):
            raise CallFailed(refused(host))


class _GuardedResolver(aiohttp.abc.AbstractResolver):
    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        good = [each for each in found if self._allowed(host, ip_address(each["host"].partition("%")[0]))]
        if found and not good:
            raise OSError(errno.EACCES, refused(host))
        return good

    async def close(self) -> None:
        await self._resolver.close()


def refused(host: str) -> str:
    return (
        f"{host} is an address of this machine or of a private network, which sinks may not be; "
        "`allowed-sinks` in the ConfigMap knative-eventing/config-sinks names exceptions"
    )
