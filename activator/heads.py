"""Reads the head of an HTTP/1.1 message (RFC 9112), strictly: what is not in the grammar is refused, never mended.

The gateway calls `parse_request`, the upstream side `parse_response`; both forward what was parsed here and nothing
else. One regular expression holds the whole grammar, so a head is valid in every byte or not at all, and there is no
second parser to disagree with (the usual way to smuggle a request). Knows no routes, no sockets, no bodies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HEAD_BYTES_MAX: Final = 64 * 1024
"""Request line and fields together; nginx allows 4 x 8 KiB, Go 1 MiB, Envoy 60 KiB."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# Possessive quantifiers: a mismatch is found in one pass, whatever was sent.
FIELDS: Final = rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+"
_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e\x80-\xff]++) HTTP/1\.([01])\r\n(" + FIELDS + rb")\r\n")
_RESPONSE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?\r\n(" + FIELDS + rb")\r\n")
# The fields that mean something to a proxy, looked for in the lowered head (one pass in C, not one call per field).
_REQUEST_MEANING = re.compile(
    rb"\n(host|connection|content-length|transfer-encoding|expect|upgrade|te|trailer|keep-alive|proxy-connection"
    rb"|proxy-authorization|http2-settings|forwarded|x-forwarded-for|x-forwarded-host|x-forwarded-proto"
    rb"|knative-serving-revision|knative-serving-namespace|knative-serving-tag|k-proxy-request|pilotlight-timing"
    rb"|traceparent|x-b3-traceid|x-b3-spanid):[\t ]*+([^\r]*+)"
)
_RESPONSE_MEANING = re.compile(
    rb"\n(connection|content-length|transfer-encoding|upgrade|te|keep-alive|proxy-connection|proxy-authenticate"
    rb"):[\t ]*+([^\r]*+)"
)
_DIGITS = re.compile(rb"[0-9]{1,18}")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]*+)([/?][^#]*+)?", re.IGNORECASE)
_HOST = re.compile(rb"(?:[a-z0-9._~!$&'()*+,;=%-]*+|\[[0-9a-f:.]++\])(?::[0-9]{0,5})?")

_ALWAYS_HOP_BY_HOP = (b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"transfer-encoding")
_REQUEST_DROPPED: Final = frozenset(
    (*_ALWAYS_HOP_BY_HOP, b"proxy-authorization", b"http2-settings", b"knative-serving-revision",
     b"knative-serving-namespace", b"k-proxy-request", b"pilotlight-timing")
)  # fmt: skip
_RESPONSE_DROPPED: Final = frozenset((*_ALWAYS_HOP_BY_HOP, b"proxy-authenticate"))
FORWARDED: Final = frozenset((b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"))
TRACE: Final = frozenset((b"traceparent", b"x-b3-traceid", b"x-b3-spanid"))
# `Connection: content-length` must not take away what frames or routes the message.
_NOT_NOMINABLE: Final = FORWARDED | {b"host", b"content-length", b"expect", b"trailer"}

Special = tuple[tuple[bytes, bytes], ...]
"""The fields with a meaning, but Host: lowered name, lowered value."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a message is refused. `detail` is for the person at the other end."""

    status: int
    detail: str


class RequestHead:
    """A request as it was understood. `fields` are whole lines, as they came, less those that must not travel on."""

    # Values of most requests, overwritten on those that have others.
    content_length = 0
    chunked = False
    upgrade = b""  # the protocol asked for
    special: Special = ()

    def __init__(self, method: bytes, target: bytes, minor: int, fields: bytes, host: bytes) -> None:
        self.method = method
        self.target = target  # origin-form, or `*`
        self.minor = minor
        self.fields = fields
        self.host = host  # lowered; with the port, as it was sent
        self.keep_alive = minor == 1

    @property
    def has_body(self) -> bool:
        return self.chunked or self.content_length > 0

    def value(self, name: bytes) -> bytes | None:
        """The lowered value of the first such field with a meaning."""
        return next((value for other, value in self.special if other == name), None)


class ResponseHead:
    """A response as it was understood. `length` is None where the end of the connection ends the body."""

    length: int | None = None
    chunked = False
    upgrade = b""

    def __init__(self, status: int, reason: bytes, minor: int, fields: bytes) -> None:
        self.status = status
        self.reason = reason
        self.minor = minor
        self.fields = fields
        self.keep_alive = minor == 1


def parse_request(head: bytes) -> RequestHead | Malformed:
    """`head` is everything up to and with the empty line."""
    match = _REQUEST.fullmatch(head)
    if match is None:
        return Malformed(*_explain(head))
    method, target, minor, fields = match.groups()
    host: bytes | None = None
    special: list[tuple[bytes, bytes]] = []
    for name, value in _REQUEST_MEANING.findall(head.lower()):
        if name != b"host":
            special.append((name, value.rstrip(b" \t")))
        elif host is None:
            host = value.rstrip(b" \t")
        else:
            return Malformed(400, "There is more than one Host field.")
    if host is None and minor == b"1":
        return Malformed(400, "An HTTP/1.1 request needs a Host field.")
    request = RequestHead(method, target, 1 if minor == b"1" else 0, fields, host or b"")
    if special:
        request.special = tuple(special)
        if malformed := _interpret_request(request):
            return malformed
    if target[0] != 0x2F:
        return _absolute(request)
    return request


def _interpret_request(request: RequestHead) -> Malformed | None:
    """What the fields with a meaning say about framing and the connection."""
    dropped = {name for name, _ in request.special if name in _REQUEST_DROPPED}
    length: bytes | None = None
    for name, value in request.special:
        if name == b"content-length":
            if length is not None or not _DIGITS.fullmatch(value):
                return Malformed(400, "Content-Length must be there once, as one decimal number.")
            length = value
            request.content_length = int(value)
        elif name == b"transfer-encoding":
            if request.chunked or value != b"chunked" or request.minor == 0:
                return Malformed(400, "The only Transfer-Encoding understood here is one 'chunked', in HTTP/1.1.")
            request.chunked = True
        elif name == b"connection":
            dropped |= _nominated(value)
            tokens = _tokens(value)
            request.keep_alive = b"close" not in tokens and (request.minor == 1 or b"keep-alive" in tokens)
        elif name == b"expect" and value != b"100-continue":
            return Malformed(417, "The only expectation understood here is '100-continue'.")
    if request.chunked and length is not None:
        return Malformed(400, "Content-Length and Transfer-Encoding exclude each other.")
    if request.minor == 1 and not request.has_body:
        request.upgrade = _wanted_upgrade(request.special)
    if dropped:
        request.fields = without(request.fields, dropped)
    return None


def _wanted_upgrade(special: Special) -> bytes:
    """h2c is left out: the tunnel would carry requests past every rule of this gateway."""
    if not any(name == b"connection" and b"upgrade" in _tokens(value) for name, value in special):
        return b""
    protocols = [value for name, value in special if name == b"upgrade"]
    return protocols[0] if len(protocols) == 1 and b"h2c" not in _tokens(protocols[0]) else b""


def _absolute(request: RequestHead) -> RequestHead | Malformed:
    """The other forms of a request target (RFC 9112, 3.2). An absolute one replaces the Host field (3.2.2)."""
    if request.method == b"CONNECT":
        return Malformed(405, "CONNECT is not served here.")
    if request.target == b"*" and request.method == b"OPTIONS":
        return request
    match = _ABSOLUTE.fullmatch(request.target)
    if match is None or not match[1]:
        return Malformed(400, "The request target is neither a path nor a URL.")
    path = match[2] or b"/"
    request.target = path if path[:1] == b"/" else b"/" + path
    request.host = match[1].lower()
    request.fields = b"Host: %b\r\n%b" % (match[1], without(request.fields, {b"host"}))
    return request


def parse_response(head: bytes) -> ResponseHead | Malformed:
    """`head` is everything up to and with the empty line; a Malformed one is the instance's fault: 502."""
    match = _RESPONSE.fullmatch(head)
    if match is None:
        return Malformed(502, _explain(head)[1])
    minor, status, reason, fields = match.groups()
    response = ResponseHead(int(status), reason or b"", 1 if minor == b"1" else 0, fields)
    dropped: set[bytes] = set()
    for name, raw in _RESPONSE_MEANING.findall(head.lower()):
        value = raw.rstrip(b" \t")
        if name == b"content-length":
            if response.length is not None or not _DIGITS.fullmatch(value):
                return Malformed(502, "Content-Length must be there once, as one decimal number.")
            response.length = int(value)
            continue
        dropped.add(name)
        if name == b"transfer-encoding":
            if response.chunked or value != b"chunked":
                return Malformed(502, "The only Transfer-Encoding understood here is one 'chunked'.")
            response.chunked = True
        elif name == b"connection":
            tokens = _tokens(value)
            response.keep_alive = b"close" not in tokens and (response.minor == 1 or b"keep-alive" in tokens)
            dropped |= _nominated(value)
        elif name == b"upgrade":
            response.upgrade = value
    if response.chunked and response.length is not None:
        return Malformed(502, "Content-Length and Transfer-Encoding exclude each other.")
    if dropped:
        response.fields = without(fields, dropped)
    return response


def without(fields: bytes, names: set[bytes] | frozenset[bytes]) -> bytes:
    """The lines of `fields` whose lowered name is not among `names`."""
    return b"".join(line for line in fields.splitlines(keepends=True) if line[: line.index(b":")].lower() not in names)


def values(fields: bytes, name: bytes) -> list[bytes]:
    """The values, as they were sent, of every line of that (lowered) name."""
    found = (line.partition(b":") for line in fields.splitlines())
    return [value.strip(b" \t") for other, _, value in found if other.lower() == name]


def valid_host(host: bytes) -> bool:
    """Whether a lowered Host value is one: a name, an IPv4 address or a bracketed IPv6 one, and perhaps a port."""
    return _HOST.fullmatch(host) is not None


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip(b" \t") for token in value.split(b",")]


def _nominated(connection: bytes) -> set[bytes]:
    """The fields that a Connection field declares to be for this hop only."""
    return {token for token in _tokens(connection) if token not in _NOT_NOMINABLE}


_FAULTS: Final = (
    (re.compile(rb"(?<!\r)\n"), 400, "A line ends in a bare line feed."),
    (re.compile(rb"\r(?!\n)"), 400, "There is a carriage return inside a line."),
    (re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"), 400, "There is a control character in the head."),
    (re.compile(rb"\r\n[ \t]"), 400, "A field is folded over two lines."),
    (re.compile(rb"\r\n[^\r:]*[ \t]:"), 400, "There is white space before a colon."),
    (re.compile(rb"\A[^\r]* HTTP/(?:0|[2-9])[.0-9]*\r\n"), 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here."),
    (re.compile(rb"\A(?!" + _TOKEN + rb" [^ \r]+ HTTP/1\.[01]\r\n)"), 400, "The first line is not an HTTP/1.1 one."),
)  # fmt: skip


def _explain(head: bytes) -> tuple[int, str]:
    """The first fault in a head that does not match, in words."""
    for pattern, status, detail in _FAULTS:
        if pattern.search(head):
            return status, detail
    return 400, "A field is not of the form 'Name: value'."


TLS_HANDSHAKE: Final = b"\x16"
"""The first byte of a ClientHello's record (RFC 8446, 5.1); no HTTP request begins with it."""
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


def check_unfinished(data: bytes) -> Malformed | None:
    """Whether a head that has not ended yet can still become a good one."""
    if len(data) > HEAD_BYTES_MAX:
        return Malformed(431, f"The request line and the fields may take {HEAD_BYTES_MAX} bytes together.")
    if data[:1] == TLS_HANDSHAKE:
        return Malformed(400, "This is a TLS handshake, and this port speaks plain HTTP: use http:// in the URL.")
    if _BARE_LF.search(data):
        return Malformed(400, "A line ends in a bare line feed.")
    return None
