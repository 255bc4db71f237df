"""A request of the platform's own to what the gateway serves: `core.inside.Caller`, without a socket to ourselves.

A call is parsed, routed, queued, limited and counted as one that came over the network; its answer is gathered instead
of written to a connection.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from activator.bodies import BadBody, ChunkedBody
from activator.client import Conversation
from activator.forwarding import Peer
from activator.gateway import Gateway
from activator.heads import Malformed, ResponseHead, parse_request, parse_response
from activator.problem import Problem
from activator.sites import read_fields
from activator.tunnel import Tunnel
from activator.wheel import NEVER
from core.inside import REPLY_BYTES_MAX, Call, CallFailed, Reply

_PEER: Final = Peer("127.0.0.1")


class InsideCaller:
    """On one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def serves(self, host: bytes) -> bool:
        return self._gateway.find(host.lower()) is not None

    def wake(self, host: bytes) -> None:
        routes = self._gateway.find(host.lower())
        if routes is not None:
            self._gateway.wake(routes)

    async def call(self, call: Call, timeout_s: float) -> Reply:
        """CallFailed."""
        request = parse_request(_head(call))
        if isinstance(request, Malformed):
            raise CallFailed(f"the request cannot be written as HTTP: {request.detail}")
        asker = _Asker(self._gateway)
        exchange = self._gateway.open(asker, request)
        if isinstance(exchange, Problem):
            return _as_reply(exchange)
        asker.exchange = exchange
        try:
            async with asyncio.timeout(timeout_s):
                exchange.start(call.body, True, b"")
                return await asker.reply
        except TimeoutError:
            raise CallFailed(f"there was no answer within {timeout_s:g} s") from None
        finally:
            asker.close()


class _Asker:
    """`exchange.Downstream` for one call."""

    def __init__(self, gateway: Gateway) -> None:
        self.peer = _PEER
        self.public = False
        self.due = NEVER
        self.filed = NEVER
        self.exchange: Conversation | None = None
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._gateway = gateway
        self._data: list[bytes] = []
        self._size = 0
        self.set_due = partial(gateway.wheel.arm, self)

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= REPLY_BYTES_MAX:
            self._data.append(data)
        elif not self.reply.done():
            self.reply.set_exception(CallFailed(f"the answer has more than {REPLY_BYTES_MAX} bytes"))

    def hold(self) -> None:
        """The body is all here."""

    def unhold(self) -> None:
        """As above."""

    def answered(self, keep: bool, now: float) -> None:
        if not self.reply.done():
            reply = _read(b"".join(self._data))
            if isinstance(reply, Reply):
                self.reply.set_result(reply)
            else:
                self.reply.set_exception(CallFailed(reply))

    def refused(self, problem: Problem) -> None:
        if not self.reply.done():
            self.reply.set_result(_as_reply(problem))

    def abort(self) -> None:
        if not self.reply.done():
            self.reply.set_exception(CallFailed("the connection ended in the middle of the answer"))

    def switch(self, tunnel: Tunnel) -> None:
        self.abort()

    def expire(self, now: float) -> None:
        """From the wheel."""
        if self.exchange is not None:
            self.exchange.expire(now)

    def close(self) -> None:
        """Nobody waits any more: gives back the slot where it is still held."""
        self._gateway.wheel.remove(self)
        if self.exchange is not None:
            self.exchange.leave()
        if self.reply.done() and not self.reply.cancelled():
            self.reply.exception()  # seen, whoever cancelled the call meanwhile


def _head(call: Call) -> bytes:
    lines = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (call.method, call.target, call.host)]
    lines += [b"%b: %b\r\n" % pair for pair in call.fields]
    if call.body or call.method not in (b"GET", b"HEAD", b"OPTIONS"):
        lines.append(b"Content-Length: %d\r\n" % len(call.body))
    lines.append(b"\r\n")
    return b"".join(lines)


def _read(data: bytes) -> Reply | str:
    """An answer off its bytes, or what is wrong with it."""
    while True:
        end = data.find(b"\r\n\r\n") + 4
        head = parse_response(data[:end])
        if not isinstance(head, ResponseHead):
            return head.detail
        data = data[end:]
        if head.status >= 200:
            break
    if head.chunked:
        body = ChunkedBody()
        try:
            data = body.feed(data)
        except BadBody as error:
            return str(error)
    return Reply(head.status, read_fields(head.fields), data)


def _as_reply(problem: Problem) -> Reply:
    fields = [(b"content-type", b"application/problem+json")]
    if problem.retry_after_s is not None:
        fields.append((b"retry-after", b"%d" % problem.retry_after_s))
    return Reply(problem.status, tuple(fields), problem.body())
