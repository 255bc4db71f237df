"""Plain HTTP to a given address with a Host of one's choosing: how the command line calls a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from core.errors import TemporaryError


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
