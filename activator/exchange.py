"""One request and its response, from the arrival of the head to the last byte: the middle of the data path.

The client's connection makes it and feeds it the body; the throttler gives it an instance; the upstream connection
feeds it the response. It decides what may be sent again, what becomes of a failure in the middle, and when its time is
up. No tasks and no futures: every step is a call from the event that caused it.

    waiting ──dispatch──▶ dialing ──connected──▶ sent ──respond──▶ begun ──content(done)──▶ over
       ▲                     │ refused             │ lost, no answer yet   │ 101 ──▶ tunnel ──▶ over
       └─────────────────────┴─────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from activator.answers import Answer
from activator.forwarding import NONE, Peer, Traces, request_head, response_head
from activator.heads import RequestHead, ResponseHead
from activator.instances import Instance
from activator.ledger import account
from activator.payload import NO_PAYLOAD, Payload
from activator.problem import Problem, bad_gateway, request_timeout
from activator.routing import Destination
from activator.throttler import Backend
from activator.tunnel import Tunnel
from activator.upstream import Upstream
from core.clock import Clock

REPEATABLE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))
"""Idempotent (RFC 9110, 9.2.2): may be sent again when nobody knows what became of the first."""
STALE_MAX: Final = 10
"""Stale connections that one request meets before it gives up. A new connection that is lost without a word is an
instance that dies: once more then, as Envoy's num_retries, and no more, for it may be this request that kills."""
WEIGHT_BYTES: Final = 2048
"""What a waiting request weighs besides its body: its head, its objects, its socket's."""


class Downstream(Protocol):
    """Whoever asked: a client's connection (or, one day, a caller in this process)."""

    peer: Peer

    def write(self, data: bytes) -> None:
        """Bytes of the response."""

    def hold(self) -> None:
        """Reads no more of the request for now."""

    def unhold(self) -> None:
        """Goes on reading it."""

    def answered(self, keep: bool, now: float) -> None:
        """The response is whole. `keep`: another request may follow."""

    def refused(self, problem: Problem) -> None:
        """There will be no response but this."""

    def abort(self) -> None:
        """The response that has begun will not be whole, and must not look as though it were."""

    def set_due(self, due: float) -> None:
        """Calls `Exchange.expire` then."""

    def switch(self, tunnel: Tunnel) -> None:
        """Joins the two connections; what the client had sent early goes first."""


class Dialer(Protocol):
    """Makes connections."""

    def dial(self, instance: Instance, exchange: Exchange) -> None:
        """Ends in `Exchange.connected` or `Exchange.unreachable`."""


@dataclass(slots=True)
class Counters:
    """Since the start; plain integers, exported by the roof."""

    requests: int = 0
    statuses: list[int] = field(default_factory=lambda: [0] * 10)  # of instances' answers, by hundreds
    queued: int = 0
    cold: int = 0
    refused: int = 0  # answered by the gateway itself
    left: int = 0  # clients that went away
    redispatched: int = 0
    timeouts: int = 0
    aborted: int = 0
    malformed: int = 0


@dataclass(slots=True)
class Shared:
    """What all exchanges of a gateway share."""

    clock: Clock
    traces: Traces
    dialer: Dialer
    counters: Counters = field(default_factory=Counters)
    draining: bool = False


class Exchange:
    """`throttler.Waiter` to the line, `upstream.Reader` to the connection."""

    __slots__ = (
        "_answer", "_backend", "_client", "_destination", "_died", "_instance", "_over", "_payload", "_request",
        "_sent_at", "_shared", "_stale", "_upstream", "arrived", "begun", "held_bytes", "last_write", "method",
        "queued",
    )  # fmt: skip

    def __init__(
        self, shared: Shared, client: Downstream, request: RequestHead, destination: Destination, backend: Backend
    ) -> None:
        self._shared = shared
        self._client = client
        self._request = request
        self._destination = destination
        self._backend = backend
        self.method = request.method
        self.queued = False
        self._instance: Instance | None = None
        self._upstream: Upstream | None = None
        self._stale = 0  # connections that had been closed while they were idle
        self._died = False  # an instance closed a new connection without a word
        self.begun = False  # the client has the head of the response
        self._over = False

    def start(self, content: bytes, done: bool, trailers: bytes) -> None:
        """The head is here, and the beginning of the body."""
        shared, client = self._shared, self._client
        request = self._request
        self._payload = Payload(content, done, request.chunked, trailers) if request.has_body else NO_PAYLOAD
        self.held_bytes = WEIGHT_BYTES + len(content)
        now = self.arrived = self._sent_at = self.last_write = shared.clock.monotonic()
        client.set_due(now + self._backend.limits.first_byte_s)
        self._backend.arrive(self, now)
        if self._instance is None and not self._over:
            self.queued = True
            shared.counters.queued += 1
        if not done and self._upstream is None and not self._over:
            client.hold()

    def dispatch(self, instance: Instance) -> None:
        """The throttler has a slot for it."""
        self._instance = instance
        now = self._shared.clock.monotonic() if self.queued else self.arrived
        connection = instance.take(now, repeatable=self._payload.kept and self.method in REPEATABLE)
        if isinstance(connection, Upstream):
            self._send(connection, now)
        else:
            self._shared.dialer.dial(instance, self)

    def connected(self, upstream: Upstream) -> None:
        """The dialer has a connection for it, unless it has gone since."""
        now = self._shared.clock.monotonic()
        if self._over or self._upstream is not None or self._instance is not upstream.instance:
            upstream.instance.put(upstream, now)
        else:
            self._send(upstream, now)

    def unreachable(self, instance: Instance) -> None:
        """The dialer has none: not a byte was sent."""
        if not self._over and self._instance is instance:
            self._send_again(reachable=False)

    def _send(self, upstream: Upstream, now: float) -> None:
        self._upstream = upstream
        self._sent_at = now
        upstream.instance.failures = 0
        head = request_head(self._request, self._destination, self._client.peer, self._shared.traces)
        body = self._payload.all()
        upstream.begin(self, head + body if body else head)
        if not self._payload.done:
            self._client.unhold()

    def _send_again(self, *, reachable: bool) -> None:
        """Back to the front of the line."""
        instance, self._instance, self._upstream = self._instance, None, None
        assert instance is not None
        self._shared.counters.redispatched += 1
        self.queued = True
        if not self._payload.done:
            self._client.hold()
        self.held_bytes = WEIGHT_BYTES + self._payload.held_bytes
        self._backend.again(self, instance, self._shared.clock.monotonic(), reachable=reachable)

    def body(self, content: bytes, done: bool, trailers: bytes) -> None:
        """The client has sent more of its body."""
        upstream = self._upstream
        data = self._payload.add(content, done, trailers, sending=upstream is not None)
        if data and upstream is not None and not upstream.closed:
            upstream.transport.write(data)

    def leave(self) -> None:
        """The client went away."""
        if not self._over:
            self._shared.counters.left += 1
            self.end(self._shared.clock.monotonic())

    def client_writable(self, writable: bool) -> None:
        """Backpressure from the client."""
        if self._upstream is not None and not self._upstream.closed:
            transport = self._upstream.transport
            if writable:
                transport.resume_reading()
            else:
                transport.pause_reading()

    def expire(self, now: float) -> None:
        """Its time may be up."""
        limits = self._backend.limits
        total = limits.last_byte_s if self.begun else min(limits.timeout_s, limits.start_s)
        due = min(self.arrived + total, self.last_write + limits.idle_s)
        if now < due:
            self._client.set_due(due)
            return
        self._shared.counters.timeouts += 1
        state = "an instance has the request" if self._upstream is not None else self._backend.starting
        self.refuse(request_timeout(limits.first_byte_s, state or "no instance was free"))

    def interim(self, head: ResponseHead) -> None:
        if self._request.minor == 1:
            self._client.write(response_head(head, NONE, b""))

    def respond(self, head: ResponseHead, content: bytes, done: bool) -> None:
        request, shared = self._request, self._shared
        self.begun = True
        self.last_write = now = shared.clock.monotonic()
        answer = self._answer = Answer(head, request, self._payload.done and not shared.draining)
        more = self._timing(now) if self.queued or request.special else b""
        data = answer.head(head, request, more) + answer.content(content, done)
        shared.counters.statuses[head.status // 100] += 1
        if done:
            self.end(now)
        self._client.write(data)
        if done:
            self._client.answered(answer.keep, now)

    def content(self, content: bytes, done: bool, trailers: bytes) -> None:
        now = self.last_write = self._shared.clock.monotonic()
        data = self._answer.content(content, done, trailers)
        if done:
            self.end(now)
        if data:
            self._client.write(data)
        if done:
            self._client.answered(self._answer.keep, now)

    def switched(self, head: ResponseHead, data: bytes) -> None:
        upstream = self._upstream
        assert upstream is not None
        if not self._request.upgrade or not head.upgrade:
            self.refuse(bad_gateway("it switched protocols without being asked to."))
            return
        self.begun = True
        self._shared.counters.statuses[1] += 1
        lines = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade
        self._client.write(response_head(head, NONE, lines) + data)
        self._client.switch(Tunnel(self, self._client, upstream, self._shared.clock))

    def lost(self, answered: bool) -> None:
        upstream = self._upstream
        assert upstream is not None
        fresh = upstream.fresh
        tries_left = not self._died if fresh else self._stale < STALE_MAX
        if not answered and not self.begun and tries_left and self._payload.kept and self.method in REPEATABLE:
            self._died = self._died or fresh
            self._stale += not fresh
            # One that dies may still take a connection, and is out of the way before it is tried again.
            self._send_again(reachable=not fresh)
        else:
            self.refuse(bad_gateway("it closed the connection."))

    def upstream_writable(self, writable: bool) -> None:
        """Backpressure from the instance."""
        if not self._payload.done:
            if writable:
                self._client.unhold()
            else:
                self._client.hold()

    def refuse(self, problem: Problem) -> None:
        """There will be no whole answer from an instance."""
        if self._over:
            return
        self.end(self._shared.clock.monotonic())
        if self.begun:
            self._shared.counters.aborted += 1
            self._client.abort()
        else:
            self._shared.counters.refused += 1
            self._client.refused(problem)

    def end(self, now: float) -> None:
        """Gives back the connection and the slot, and counts the request out; once."""
        if self._over:
            return
        self._over = True
        upstream, instance = self._upstream, self._instance
        if upstream is not None:
            upstream.reusable = upstream.reusable and self._payload.done
            upstream.end(now)
        self._backend.depart(self, instance, now)

    def _timing(self, now: float) -> bytes:
        """The `Server-Timing` line of a cold request, or of one that asked for it."""
        asked = self._request.value(b"pilotlight-timing") is not None
        if self._instance is None or not (self.queued or asked):
            return b""
        wall = self._shared.clock.wall() - now
        ledger = account(wall + self.arrived, wall + self._sent_at, wall + now, self._instance.endpoint.timeline)
        self._shared.counters.cold += ledger.cold
        return ledger.field() if ledger.cold or asked else b""
