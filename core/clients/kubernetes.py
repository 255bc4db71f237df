"""The Kubernetes API as a client sees it: kubeconfig in, JSON out. The only place that knows aiohttp for this.

Used by the command line against our own API server or any other. Errors come out as the `core.errors.ApiError` family,
so a caller reads the same words whichever side refused.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import orjson
import yaml

from core.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Expired,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    TemporaryError,
    TooManyRequests,
    Unauthorized,
)
from core.resources.meta import Json, Kind

_BY_REASON: dict[str, type[ApiError]] = {
    error.reason: error
    for error in (
        AlreadyExists,
        BadRequest,
        Conflict,
        Expired,
        Forbidden,
        Invalid,
        NotFound,
        TooManyRequests,
        Unauthorized,
    )
}
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_LINE_BYTES_MAX = 16 * 1024 * 1024  # one watch event; an object is at most 3 MiB, its old managedFields included


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the API is and who we are there (one context of a kubeconfig)."""

    server: str
    token: str | None = None
    ca_data: str | None = None
    client_certificate: tuple[str, str] | None = None
    namespace: str = "default"


def read_kubeconfig(path: Path, context: str | None = None) -> Connection:
    """A context of a kubeconfig (the current one unless named). ValueError says what is missing."""
    document = yaml.safe_load(path.read_text()) or {}
    name = context or document.get("current-context")
    chosen = _named(document, "contexts", name, path)["context"]
    cluster = _named(document, "clusters", chosen["cluster"], path)["cluster"]
    user = _named(document, "users", chosen["user"], path)["user"]
    certificate = None
    if "client-certificate" in user:
        certificate = (user["client-certificate"], user["client-key"])
    ca_data = cluster.get("certificate-authority-data")
    return Connection(
        server=cluster["server"].rstrip("/"),
        token=user.get("token"),
        ca_data=base64.b64decode(ca_data).decode() if ca_data else None,
        client_certificate=certificate,
        namespace=chosen.get("namespace", "default"),
    )


def _named(document: Json, section: str, name: str | None, path: Path) -> Json:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            return dict(entry)
    raise ValueError(f"{path}: no entry {name!r} under {section}")


class KubernetesClient:
    """Verbs on kinds. Connects on the first call; `async with` closes it. `warn` hears each warning of the API once."""

    def __init__(self, connection: Connection, warn: Callable[[str], None] | None = None) -> None:
        self.connection = connection
        self._warn = warn
        self._warned: set[str] = set()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> KubernetesClient:
        context = ssl.create_default_context(cadata=self.connection.ca_data)
        if self.connection.client_certificate:
            context.load_cert_chain(*self.connection.client_certificate)
        headers = {"Authorization": f"Bearer {self.connection.token}"} if self.connection.token else {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), headers=headers, read_bufsize=_LINE_BYTES_MAX
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def get(self, kind: Kind[Any], name: str, namespace: str = "") -> Json:
        return await self.call("GET", path_of(kind, namespace, name))

    async def list(self, kind: Kind[Any], namespace: str | None = None, **query: str) -> Json:
        return await self.call("GET", path_of(kind, namespace), query=query)

    async def create(self, kind: Kind[Any], obj: Json, **query: str) -> Json:
        path = path_of(kind, obj["metadata"].get("namespace", ""))
        return await self.call("POST", path, body=obj, query=query)

    async def replace(self, kind: Kind[Any], obj: Json, **query: str) -> Json:
        metadata = obj["metadata"]
        path = path_of(kind, metadata.get("namespace", ""), metadata["name"])
        return await self.call("PUT", path, body=obj, query=query)

    async def patch(self, kind: Kind[Any], name: str, namespace: str, patch: Json, **query: str) -> Json:
        """An RFC 7386 merge patch."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return await self.call("PATCH", path_of(kind, namespace, name), body=patch, query=query, headers=headers)

    async def apply(self, kind: Kind[Any], obj: Json, manager: str, *, force: bool = True) -> Json:
        """Server-side apply."""
        metadata = obj["metadata"]
        path = path_of(kind, metadata.get("namespace", ""), metadata["name"])
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return await self.call("PATCH", path, body=obj, query=query, headers=headers)

    async def delete(self, kind: Kind[Any], name: str, namespace: str = "", options: Json | None = None) -> Json:
        return await self.call("DELETE", path_of(kind, namespace, name), body=options)

    async def watch(
        self, kind: Kind[Any], namespace: str | None = None, since: str = "", **query: str
    ) -> AsyncIterator[tuple[str, Json]]:
        """(type, object) for every change after `since`, until the server ends the stream."""
        query = {"watch": "true", "resourceVersion": since, **query}
        async for line in self.stream("GET", path_of(kind, namespace), query):
            event = orjson.loads(line)
            if event["type"] == "ERROR":
                raise _error(event["object"].get("code", 500), event["object"])
            yield event["type"], event["object"]

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """One request. Raises the ApiError that the server's Status names; TemporaryError when nobody answers."""
        data = None if body is None else orjson.dumps(body)
        sent = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        try:
            async with self._open().request(
                method, self.connection.server + path, data=data, params=dict(query or {}), headers=sent
            ) as response:
                content = await response.read()
                self._pass_on(warnings_of(response.headers.getall("Warning", ())))
                return _checked(response.status, content)
        except aiohttp.ClientConnectionError as error:
            raise TemporaryError(f"the API at {self.connection.server} does not answer: {error}") from error

    async def stream(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Json | None = None
    ) -> AsyncIterator[bytes]:
        """The lines of a response that may never end (a watch, `logs -f`, a replay)."""
        data = None if body is None else orjson.dumps(body)
        unbounded = aiohttp.ClientTimeout(total=None, sock_read=None)
        try:
            async with self._open().request(
                method, self.connection.server + path, params=dict(query or {}), data=data, timeout=unbounded
            ) as response:
                if response.status >= 400:
                    _checked(response.status, await response.read())
                async for line in response.content:
                    yield line
        except aiohttp.ClientConnectionError as error:
            raise TemporaryError(f"the API at {self.connection.server} went away: {error}") from error

    def _pass_on(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            if self._warn is not None and warning not in self._warned:
                self._warned.add(warning)
                self._warn(warning)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use KubernetesClient as `async with`")
        return self._session


def warnings_of(headers: Iterable[str]) -> list[str]:
    """The texts of `Warning: 299 - "…"` headers (RFC 7234, 5.5)."""
    return [re.sub(r"\\(.)", r"\1", text) for header in headers for text in _WARNING.findall(header)]


def path_of(kind: Kind[Any], namespace: str | None = None, name: str = "") -> str:
    """The resource's path: of one object, of a namespace's collection, or of all (`namespace` None or empty)."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scope = f"/namespaces/{namespace}" if namespace and kind.namespaced else ""
    return f"{root}{scope}/{kind.plural}" + (f"/{name}" if name else "")


def _checked(status: int, content: bytes) -> Json:
    try:
        answer: Json = orjson.loads(content) if content else {}
    except orjson.JSONDecodeError:
        answer = {"message": content.decode(errors="replace")}
    if status >= 400:
        raise _error(status, answer)
    return answer


def _error(code: int, status: Json) -> ApiError:
    kind = _BY_REASON.get(status.get("reason", ""), ApiError)
    causes = [
        FieldError(cause.get("field", ""), cause.get("message", ""))
        for cause in (status.get("details") or {}).get("causes", ())
    ]
    error = kind(status.get("message") or f"the API answered {code}", causes=causes)
    error.code = code
    return error
