"""What is sent on, in both directions: heads re-serialised from what was parsed, with this hop's own fields.

Runtime contract: `Forwarded` and `X-Forwarded-For/-Proto/-Host` are always there, trace context too; the headers by
which Knative's ingress tells its activator the target never reach the app. Lines travel as they came wherever that is
allowed; only heads with something to change are taken apart.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from activator.heads import FORWARDED, TRACE, RequestHead, ResponseHead, values, without
from activator.routing import Destination

_SPELLINGS_MAX: Final = 64
_MASK: Final = (1 << 64) - 1
_ODD: Final = 0x9E3779B97F4A7C15  # spreads a counter over all 64 bits


class Framing(Enum):
    """How the end of a response's body is known to the client."""

    NONE = "none"  # there is no body
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"  # the end of the connection (to an HTTP/1.0 client)


NONE, LENGTH, CHUNKED, CLOSE = Framing  # an enum's members are slow to look up


class Peer:
    """A client, as the app is told of it. One per connection, so that its lines are made once per host."""

    __slots__ = ("_lines", "node", "scheme", "text")

    def __init__(self, address: str, scheme: str = "http") -> None:
        self.text = address.encode()
        self.node = b'"[%b]"' % self.text if ":" in address else self.text
        self.scheme = scheme.encode()
        self._lines: dict[bytes, bytes] = {}

    def lines(self, host: bytes) -> bytes:
        """For a request that no proxy has forwarded yet."""
        found = self._lines.get(host)
        if found is None:
            found = self._forwarded(host, [], self.scheme, host)
            if len(self._lines) < _SPELLINGS_MAX:
                self._lines[host] = found
        return found

    def further_lines(self, head: RequestHead) -> bytes:
        """For one that some proxy has: this hop is added to its list, what the first proxy saw is kept."""
        proto = (*values(head.fields, b"x-forwarded-proto"), self.scheme)[0]
        host = (*values(head.fields, b"x-forwarded-host"), head.host)[0]
        lines = self._forwarded(head.host, values(head.fields, b"x-forwarded-for"), proto, host)
        if earlier := values(head.fields, b"forwarded"):
            own = lines[lines.index(b"Forwarded: ") :]
            lines = lines.removesuffix(own) + b"Forwarded: %b, %b" % (b", ".join(earlier), own[len(b"Forwarded: ") :])
        return lines

    def _forwarded(self, host: bytes, path: list[bytes], proto: bytes, first_host: bytes) -> bytes:
        node = b"for=%b" % self.node
        for_list = b", ".join((*path, self.text))
        quoted = b'"%b"' % host if b":" in host else host
        element = b";".join((node, b"host=%b" % quoted, b"proto=%b" % proto) if host else (node, b"proto=%b" % proto))
        if path:  # synthesised from what X-Forwarded-For says of the hops before
            element = b", ".join((*(b"for=%b" % _node(hop) for hop in b",".join(path).split(b",")), element))
        return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n%bForwarded: %b\r\n" % (
            for_list,
            proto,
            b"X-Forwarded-Host: %b\r\n" % first_host if first_host else b"",
            element,
        )


_HOP = re.compile(rb"[0-9A-Za-z._-]+|\[?[0-9A-Fa-f:.]+\]?")


def _node(hop: bytes) -> bytes:
    """An address of X-Forwarded-For as RFC 7239 writes it; what is none is `unknown`."""
    hop = hop.strip(b" \t")
    if not _HOP.fullmatch(hop):
        return b"unknown"
    return b'"[%b]"' % hop.strip(b"[]") if b":" in hop else hop


class Traces:
    """Trace context for requests that come without: unique, not sampled. W3C's header and B3, which apps still read."""

    __slots__ = ("_count", "_prefix")

    def __init__(self, seed: int) -> None:
        self._prefix = b"%016x" % (seed & _MASK or 1)
        self._count = seed & _MASK

    def lines(self) -> bytes:
        self._count = (self._count + _ODD) & _MASK
        span = b"%016x" % (self._count or 1)
        trace = self._prefix + span
        return b"traceparent: 00-%b-%b-00\r\nX-B3-TraceId: %b\r\nX-B3-SpanId: %b\r\nX-B3-Sampled: 0\r\n" % (
            trace, span, trace, span,
        )  # fmt: skip


def request_head(head: RequestHead, destination: Destination, peer: Peer, traces: Traces) -> bytes:
    """The request's head for the instance."""
    fields, more = head.fields, destination.extra
    seen = {name for name, _ in head.special} if head.special else ()
    if seen:
        if head.chunked:
            more += b"Transfer-Encoding: chunked\r\n"
        if head.upgrade:
            more += b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade
    if destination.host:
        fields = b"Host: %b\r\n%b" % (destination.host, without(fields, {b"host"}))
    if FORWARDED.isdisjoint(seen):
        more += peer.lines(head.host)
    else:
        fields = without(fields, FORWARDED)
        more += peer.further_lines(head)
    if TRACE.isdisjoint(seen):
        more += traces.lines()
    elif b"x-b3-traceid" not in seen:
        more += _b3(head.value(b"traceparent") or b"")
    return b"%b %b HTTP/1.1\r\n%b%b\r\n" % (head.method, head.target, fields, more)


def _b3(traceparent: bytes) -> bytes:
    parts = traceparent.split(b"-")
    if len(parts) < 4 or len(parts[1]) != 32 or len(parts[2]) != 16:
        return b""
    return b"X-B3-TraceId: %b\r\nX-B3-SpanId: %b\r\n" % (parts[1], parts[2])


def has_no_body(method: bytes, status: int) -> bool:
    """RFC 9112, 6.3: rules 1 and 2."""
    return status < 200 or status in (204, 304) or method == b"HEAD"


def response_framing(head: ResponseHead, request: RequestHead) -> Framing:
    if has_no_body(request.method, head.status):
        return NONE
    if head.length is not None:
        return LENGTH
    return CHUNKED if request.minor == 1 else CLOSE


def response_head(head: ResponseHead, framing: Framing, more: bytes) -> bytes:
    """The response's head for the client; `more` are this hop's own lines."""
    fields = head.fields
    if framing is CHUNKED:
        more += b"Transfer-Encoding: chunked\r\n"
    elif head.length is not None and (head.status < 200 or head.status == 204):
        fields = without(fields, {b"content-length"})
    return b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (head.status, head.reason, fields, more)
