"""A request that something in this process answers (`core.inside.Site`): the body is gathered, the answer written.

The gateway makes one where a host belongs to a site; to the client's connection it is what an `Exchange` is. There is
no line and no instance, so nothing here waits but for the site itself.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from activator.exchange import Downstream, Shared
from activator.heads import RequestHead
from activator.problem import Problem, content_too_large, request_timeout
from core.inside import Call, Fields, Reply, Site

TIMEOUT_S: Final = 60.0
"""From the head to the answer; a site that stores before it answers is told to give up long before."""

_FIELD = re.compile(rb"([^:\r\n]+):[\t ]*([^\r\n]*?)[\t ]*\r\n")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_TITLES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


class SiteExchange:
    """One request and its answer. `client.Conversation`."""

    __slots__ = ("_body", "_client", "_due", "_over", "_request", "_shared", "_site", "_size", "begun")

    def __init__(self, shared: Shared, client: Downstream, request: RequestHead, site: Site) -> None:
        self._shared = shared
        self._client = client
        self._request = request
        self._site = site
        self._body: list[bytes] = []
        self._size = 0
        self._over = False
        self._due = 0.0
        self.begun = False  # an answer leaves whole, or not at all

    def start(self, content: bytes, done: bool, trailers: bytes) -> None:
        """The head is here, and the beginning of the body."""
        self._due = self._shared.clock.monotonic() + TIMEOUT_S
        self._client.set_due(self._due)
        if self._request.content_length > self._site.body_bytes_max:
            self._refuse_size()
            return
        if not done and not content and self._request.value(b"expect") is not None:
            self._client.write(_CONTINUE)
        self.body(content, done, trailers)

    def body(self, content: bytes, done: bool, trailers: bytes) -> None:
        """The client has sent more of it."""
        if self._over:
            return
        self._size += len(content)
        if self._size > self._site.body_bytes_max:
            self._refuse_size()
            return
        if content:
            self._body.append(content)
        if done:
            request = self._request
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            call = Call(request.method, request.host, request.target, read_fields(request.fields), body)
            self._site.answer(call, self._reply)

    def leave(self) -> None:
        """The client went away; what the site is doing for it is finished all the same."""
        if not self._over:
            self._over = True
            self._shared.counters.left += 1

    def client_writable(self, writable: bool) -> None:
        """An answer is small and written at once."""

    def expire(self, now: float) -> None:
        """Its time may be up."""
        if now < self._due:
            self._client.set_due(self._due)
        else:
            self._refuse(request_timeout(TIMEOUT_S, "the platform's own answer is late"))
            self._shared.counters.timeouts += 1

    def _reply(self, reply: Reply) -> None:
        if self._over:
            return
        self._over = True
        shared, request = self._shared, self._request
        shared.counters.statuses[reply.status // 100] += 1
        keep = request.keep_alive and not shared.draining
        self._client.write(response(reply, request, keep=keep))
        self._client.answered(keep, shared.clock.monotonic())

    def _refuse_size(self) -> None:
        self._refuse(content_too_large(self._site.body_bytes_max))

    def _refuse(self, problem: Problem) -> None:
        self._over = True
        self._shared.counters.refused += 1
        self._client.refused(problem)


def read_fields(lines: bytes) -> Fields:
    """Field lines, taken apart."""
    return tuple((name.lower(), value) for name, value in _FIELD.findall(lines))


def response(reply: Reply, request: RequestHead, *, keep: bool) -> bytes:
    """Head and body."""
    status = reply.status
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, _TITLES.get(status, b""))]
    lines += [b"%b: %b\r\n" % pair for pair in reply.fields]
    if status != 204:
        lines.append(b"Content-Length: %d\r\n" % len(reply.body))
    if not keep:
        lines.append(b"Connection: close\r\n")
    elif request.minor == 0:
        lines.append(b"Connection: keep-alive\r\n")
    lines.append(b"\r\n")
    if request.method != b"HEAD" and status != 204:
        lines.append(reply.body)
    return b"".join(lines)
