"""The grammar of heads: what is refused, what is understood, and that llhttp never understands something else."""

from __future__ import annotations

import time

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.heads import (
    HEAD_BYTES_MAX,
    Malformed,
    RequestHead,
    ResponseHead,
    check_unfinished,
    parse_request,
    parse_response,
    valid_host,
    values,
    without,
)


def head(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join((first, *lines)) + b"\r\n\r\n"


def understood(data: bytes) -> RequestHead:
    request = parse_request(data)
    assert isinstance(request, RequestHead), request
    return request


REFUSED = {
    "bare LF after the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "bare line feed"),
    "bare LF in the fields": (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400, "bare line feed"),
    "bare CR in a value": (head(b"Host: a", b"X: y\rz"), 400, "carriage return"),
    "space before a colon": (head(b"Host : a"), 400, "white space before a colon"),
    "tab before a colon": (head(b"Host: a", b"X\t: y"), 400, "white space before a colon"),
    "obs-fold": (head(b"Host: a", b"X: y", b" z"), 400, "folded"),
    "first field folded": (head(b" X: y", b"Host: a"), 400, "folded"),
    "no colon": (head(b"Host: a", b"nonsense"), 400, "Name: value"),
    "empty field name": (head(b"Host: a", b": y"), 400, "Name: value"),
    "NUL in a value": (head(b"Host: a", b"X: \x00"), 400, "control"),
    "NUL in a name": (head(b"Host: a", b"X\x00: y"), 400, "control"),
    "DEL in the target": (head(b"Host: a", first=b"GET /\x7f HTTP/1.1"), 400, "control"),
    "bell in a value": (head(b"Host: a", b"X: \x07"), 400, "control"),
    "non-ASCII field name": (head(b"Host: a", b"X\xe9: y"), 400, "Name: value"),
    "no Host in 1.1": (head(b"X: y"), 400, "needs a Host"),
    "two Hosts": (head(b"Host: a", b"host: a"), 400, "more than one Host"),
    "CL and TE": (head(b"Host: a", b"Content-Length: 1", b"Transfer-Encoding: chunked"), 400, "exclude"),
    "TE and CL": (head(b"Host: a", b"Transfer-Encoding: chunked", b"Content-Length: 0"), 400, "exclude"),
    "differing CL": (head(b"Host: a", b"Content-Length: 1", b"Content-Length: 2"), 400, "once"),
    "the same CL twice": (head(b"Host: a", b"Content-Length: 1", b"Content-Length: 1"), 400, "once"),
    "CL list": (head(b"Host: a", b"Content-Length: 1, 1"), 400, "once"),
    "negative CL": (head(b"Host: a", b"Content-Length: -1"), 400, "once"),
    "signed CL": (head(b"Host: a", b"Content-Length: +1"), 400, "once"),
    "hexadecimal CL": (head(b"Host: a", b"Content-Length: 0x1"), 400, "once"),
    "empty CL": (head(b"Host: a", b"Content-Length:"), 400, "once"),
    "huge CL": (head(b"Host: a", b"Content-Length: 99999999999999999999"), 400, "once"),
    "underscored CL": (head(b"Host: a", b"Content-Length: 1_0"), 400, "once"),
    "TE gzip, chunked": (head(b"Host: a", b"Transfer-Encoding: gzip, chunked"), 400, "Transfer-Encoding"),
    "TE chunked twice": (head(b"Host: a", *[b"Transfer-Encoding: chunked"] * 2), 400, "Transfer-Encoding"),
    "TE identity": (head(b"Host: a", b"Transfer-Encoding: identity"), 400, "Transfer-Encoding"),
    "TE xchunked": (head(b"Host: a", b"Transfer-Encoding: xchunked"), 400, "Transfer-Encoding"),
    "TE quoted": (head(b"Host: a", b'Transfer-Encoding: "chunked"'), 400, "Transfer-Encoding"),
    "TE with vertical tab": (head(b"Host: a", b"Transfer-Encoding: \x0bchunked"), 400, "control"),
    "TE in HTTP/1.0": (head(b"Transfer-Encoding: chunked", first=b"GET / HTTP/1.0"), 400, "Transfer-Encoding"),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400, "first line"),
    "HTTP/1.2": (head(b"Host: a", first=b"GET / HTTP/1.2"), 400, "first line"),
    "HTTP/2.0": (head(b"Host: a", first=b"PRI * HTTP/2.0"), 505, "HTTP/1.1"),
    "lower-case version": (head(b"Host: a", first=b"GET / http/1.1"), 400, "first line"),
    "two spaces": (head(b"Host: a", first=b"GET  / HTTP/1.1"), 400, "first line"),
    "tab for a space": (head(b"Host: a", first=b"GET\t/ HTTP/1.1"), 400, "first line"),
    "space in the target": (head(b"Host: a", first=b"GET /a b HTTP/1.1"), 400, "first line"),
    "space after the version": (head(b"Host: a", first=b"GET / HTTP/1.1 "), 400, "first line"),
    "no method": (head(b"Host: a", first=b" / HTTP/1.1"), 400, "first line"),
    "method no token": (head(b"Host: a", first=b"G(T / HTTP/1.1"), 400, "first line"),
    "relative target": (head(b"Host: a", first=b"GET a HTTP/1.1"), 400, "request target"),
    "asterisk for GET": (head(b"Host: a", first=b"GET * HTTP/1.1"), 400, "request target"),
    "other scheme": (head(b"Host: a", first=b"GET ftp://a/ HTTP/1.1"), 400, "request target"),
    "user information": (head(b"Host: a", first=b"GET http://u@a/ HTTP/1.1"), 400, "request target"),
    "URL without host": (head(b"Host: a", first=b"GET http:///x HTTP/1.1"), 400, "request target"),
    "CONNECT": (head(b"Host: a", first=b"CONNECT a:443 HTTP/1.1"), 405, "CONNECT"),
    "other expectation": (head(b"Host: a", b"Expect: 200-ok"), 417, "100-continue"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "status", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_in_the_grammar_is_refused(data: bytes, status: int, says: str) -> None:
    request = parse_request(data)
    assert isinstance(request, Malformed)
    assert (request.status, says in request.detail) == (status, True), request


def test_a_plain_request() -> None:
    request = understood(head(b"Host: Hello.Test:8080 ", b"Accept: */*"))
    assert (request.method, request.target, request.minor, request.host) == (b"GET", b"/", 1, b"hello.test:8080")
    assert request.fields == b"Host: Hello.Test:8080 \r\nAccept: */*\r\n"
    assert request.keep_alive
    assert not request.has_body


KEEP_ALIVE = {
    "1.1": (b"HTTP/1.1", [], True),
    "1.1 close": (b"HTTP/1.1", [b"Connection: close"], False),
    "1.1 Close among others": (b"HTTP/1.1", [b"Connection: foo, CLOSE"], False),
    "1.0": (b"HTTP/1.0", [], False),
    "1.0 keep-alive": (b"HTTP/1.0", [b"Connection: Keep-Alive"], True),
}


@pytest.mark.parametrize(("version", "fields", "keep"), KEEP_ALIVE.values(), ids=KEEP_ALIVE)
def test_keep_alive(version: bytes, fields: list[bytes], keep: bool) -> None:
    assert understood(head(b"Host: a", *fields, first=b"GET / " + version)).keep_alive is keep


def test_what_is_for_this_hop_only_does_not_travel_on() -> None:
    request = understood(
        head(
            b"Host: a", b"Connection: close, X-Mine", b"x-mine: 1", b"Keep-Alive: 5", b"Proxy-Connection: x", b"TE: x",
            b"Proxy-Authorization: x", b"Upgrade: y", b"HTTP2-Settings: z", b"Knative-Serving-Revision: other",
            b"knative-serving-namespace: other", b"K-Proxy-Request: activator", b"Pilotlight-Timing: 1", b"X-Kept: 1",
        )
    )  # fmt: skip
    assert request.fields == b"Host: a\r\nX-Kept: 1\r\n"


@pytest.mark.parametrize("name", [b"host", b"content-length", b"x-forwarded-for", b"Forwarded", b"Expect"])
def test_connection_cannot_take_away_what_frames_or_routes(name: bytes) -> None:
    lines = [b"Host: a", b"Content-Length: 1", b"X-Forwarded-For: b", b"Forwarded: for=b", b"Expect: 100-continue"]
    request = understood(head(*lines, b"Connection: " + name))
    assert request.fields == b"\r\n".join(lines) + b"\r\n"


UPGRADES = {
    "websocket": ([b"Connection: Upgrade", b"Upgrade: WebSocket"], b"websocket"),
    "not nominated": ([b"Upgrade: websocket"], b""),
    "h2c": ([b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"], b""),
    "h2c among others": ([b"Connection: upgrade", b"Upgrade: foo, h2c"], b""),
    "twice": ([b"Connection: upgrade", b"Upgrade: foo", b"Upgrade: bar"], b""),
    "with a body": ([b"Connection: upgrade", b"Upgrade: foo", b"Content-Length: 1"], b""),
}


@pytest.mark.parametrize(("lines", "wanted"), UPGRADES.values(), ids=UPGRADES)
def test_upgrade(lines: list[bytes], wanted: bytes) -> None:
    request = understood(head(b"Host: a", *lines))
    assert request.upgrade == wanted
    assert b"pgrade" not in request.fields


TARGETS = {
    "absolute": (b"GET http://B.test:81/x?y HTTP/1.1", b"/x?y", b"b.test:81"),
    "absolute without a path": (b"GET http://b.test HTTP/1.1", b"/", b"b.test"),
    "absolute with a query only": (b"GET HTTP://b.test?q HTTP/1.1", b"/?q", b"b.test"),
    "https": (b"GET https://b.test/ HTTP/1.1", b"/", b"b.test"),
    "asterisk": (b"OPTIONS * HTTP/1.1", b"*", b"a"),
    "raw UTF-8": ("GET /ü HTTP/1.1".encode(), "/ü".encode(), b"a"),
}


@pytest.mark.parametrize(("first", "target", "host"), TARGETS.values(), ids=TARGETS)
def test_request_targets(first: bytes, target: bytes, host: bytes) -> None:
    request = understood(head(b"Host: a", b"X: y", first=first))
    assert (request.target, request.host) == (target, host)
    sent = values(request.fields, b"host")
    assert [value.lower() for value in sent] == [host]


def test_a_1_0_request_needs_no_host() -> None:
    assert understood(head(first=b"GET / HTTP/1.0")).host == b""


def test_an_unfinished_head_is_refused_as_soon_as_it_cannot_become_a_good_one() -> None:
    assert check_unfinished(b"GET / HTTP/1.1\r\nHost") is None
    assert isinstance(bare := check_unfinished(b"GET / HTTP/1.1\nHost: a\n\n"), Malformed)
    assert bare.status == 400
    assert isinstance(long := check_unfinished(b"x" * (HEAD_BYTES_MAX + 1)), Malformed)
    assert long.status == 431
    assert isinstance(tls := check_unfinished(b"\x16\x03\x01"), Malformed)
    assert (tls.status, "TLS" in tls.detail) == (400, True)


@pytest.mark.parametrize(
    "evil",
    [b"X:" + b" " * 60_000 + b"\x00", b"a" * 60_000, b"X: " + b"\t " * 30_000 + b"\x7f", b"a:b" * 20_000 + b"\x01"],
    ids=["spaces", "one long name", "tabs and spaces", "colons"],
)
def test_no_input_takes_long(evil: bytes) -> None:
    data = head(b"Host: a", evil)
    begin = time.process_time()
    parse_request(data)
    assert time.process_time() - begin < 0.1


BAD_RESPONSES = {
    "CL and TE": (b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    "two CL": (b"Content-Length: 1", b"Content-Length: 1"),
    "TE gzip": (b"Transfer-Encoding: gzip",),
    "control character": (b"X: \x01",),
    "bare LF": (b"X: a\nY: b",),
}


@pytest.mark.parametrize("lines", BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_responses_are_held_to_the_same(lines: tuple[bytes, ...]) -> None:
    response = parse_response(head(*lines, first=b"HTTP/1.1 200 OK"))
    assert isinstance(response, Malformed)
    assert response.status == 502


def test_a_response() -> None:
    lines = (b"Content-Length: 5", b"Connection: close, X-Mine", b"X-Mine: 1", b"Server: x")
    response = parse_response(head(*lines, first=b"HTTP/1.1 404 Not  Found"))
    assert isinstance(response, ResponseHead)
    assert (response.status, response.reason, response.length, response.chunked) == (404, b"Not  Found", 5, False)
    assert not response.keep_alive
    assert response.fields == b"Content-Length: 5\r\nServer: x\r\n"


@pytest.mark.parametrize("first", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.0 200 OK"])
def test_status_lines(first: bytes) -> None:
    response = parse_response(head(first=first))
    assert isinstance(response, ResponseHead)
    assert response.keep_alive is (b"1.1" in first)


HOSTS = {b"a.test": True, b"a.test:80": True, b"[::1]:80": True, b"": True, b"a b": False, b"a/b": False, b"a:x": False}


@pytest.mark.parametrize(("host", "valid"), HOSTS.items(), ids=str)
def test_valid_host(host: bytes, valid: bool) -> None:
    assert valid_host(host) is valid


def test_without_looks_at_whole_names() -> None:
    assert without(b"X-Host: a\r\nHost: b\r\nY: Host: c\r\n", {b"host"}) == b"X-Host: a\r\nY: Host: c\r\n"


class Oracle:
    """What llhttp makes of a head."""

    def __init__(self, data: bytes) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.complete = True
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


PIECES = st.sampled_from(
    [b"Host: a", b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b"X", b"X: y", b"Content-Length: 5", b"\x00", b"\xff",
     b"Transfer-Encoding: chunked", b"Connection: close", b",", b"/", b"HTTP/1.1", b"GET", b"chunked", b"0"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12))
def test_llhttp_understands_the_same_in_all_that_is_accepted(pieces: list[bytes]) -> None:
    """Two parsers that disagree are how requests are smuggled. llhttp sits in Node, and in most Python servers."""
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(pieces) + b"\r\n\r\n"
    request = parse_request(data)
    if isinstance(request, Malformed):
        return
    oracle = Oracle(data)
    assert oracle.complete
    assert (oracle.method, oracle.target) == (request.method, request.target)
    lengths = [value for name, value in oracle.fields if name.lower() == b"content-length"]
    assert [int(length) for length in lengths] == ([request.content_length] if lengths else [])
    assert any(name.lower() == b"transfer-encoding" for name, _ in oracle.fields) is request.chunked


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_understood(data: bytes) -> None:
    for parse in (parse_request, parse_response):
        parse(data)
        parse(b"GET / HTTP/1.1\r\nHost: a\r\n" + data + b"\r\n\r\n")
        parse(b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n")
