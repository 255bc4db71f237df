"""Heads as they are sent on."""

from __future__ import annotations

import re

import pytest

from activator.answers import Answer
from activator.forwarding import Framing, Peer, Traces, request_head, response_framing
from activator.heads import RequestHead, ResponseHead, parse_request, parse_response, values
from activator.routing import Destination
from core.stats import RevisionKey

# knative.dev/serving/test/conformance/runtime/header_test.go
KNATIVE_FORWARDED = re.compile(r"""((^|\s*[,;]\s*)((for|by)=("[^"]+"|[0-9.:]+)|proto=https?|host=[^",;]+))+$""")


def request(*fields: str, first: str = "GET / HTTP/1.1") -> RequestHead:
    head = parse_request(("\r\n".join((first, "Host: a.test:8080", *fields)) + "\r\n\r\n").encode())
    assert isinstance(head, RequestHead)
    return head


def sent(head: RequestHead, peer: str = "10.0.0.9", **destination: bytes) -> dict[str, list[str]]:
    data = request_head(head, Destination(RevisionKey("n", "r"), **destination), Peer(peer), Traces(7))
    again = parse_request(data)
    assert isinstance(again, RequestHead), again
    names = {line.partition(b":")[0].lower() for line in data.split(b"\r\n")[1:] if line}
    return {name.decode(): [v.decode() for v in values(data.partition(b"\r\n")[2][:-2], name)] for name in names}


def test_a_request_that_no_proxy_has_seen() -> None:
    fields = sent(request("Accept: x"))
    assert fields["host"] == ["a.test:8080"]
    assert fields["accept"] == ["x"]
    assert fields["x-forwarded-for"] == ["10.0.0.9"]
    assert fields["x-forwarded-proto"] == ["http"]
    assert fields["x-forwarded-host"] == ["a.test:8080"]
    assert fields["forwarded"] == ['for=10.0.0.9;host="a.test:8080";proto=http']
    assert "via" not in fields


FORWARDED = {
    "by X-Forwarded-For": (
        ("X-Forwarded-For: 1.1.1.1, 2.2.2.2", "X-Forwarded-Proto: https", "X-Forwarded-Host: b.test"),
        "1.1.1.1, 2.2.2.2, 10.0.0.9",
        'for=1.1.1.1, for=2.2.2.2, for=10.0.0.9;host="a.test:8080";proto=https',
    ),
    "in two lines": (
        ("X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2"),
        "1.1.1.1, 2.2.2.2, 10.0.0.9",
        'for=1.1.1.1, for=2.2.2.2, for=10.0.0.9;host="a.test:8080";proto=http',
    ),
    "by Forwarded": (
        ("Forwarded: for=1.1.1.1;proto=https",),
        "10.0.0.9",
        'for=1.1.1.1;proto=https, for=10.0.0.9;host="a.test:8080";proto=http',
    ),
    "IPv6": (
        ("X-Forwarded-For: 2001:db8::1",),
        "2001:db8::1, 10.0.0.9",
        'for="[2001:db8::1]", for=10.0.0.9;host="a.test:8080";proto=http',
    ),
    "no address": (
        ('X-Forwarded-For: a";b=c',),
        'a";b=c, 10.0.0.9',
        'for=unknown, for=10.0.0.9;host="a.test:8080";proto=http',
    ),
}


@pytest.mark.parametrize(("lines", "for_list", "forwarded"), FORWARDED.values(), ids=FORWARDED)
def test_a_request_that_some_proxy_has_seen(lines: tuple[str, ...], for_list: str, forwarded: str) -> None:
    fields = sent(request(*lines))
    assert fields["x-forwarded-for"] == [for_list]
    assert fields["forwarded"] == [forwarded]
    assert KNATIVE_FORWARDED.search(forwarded)


def test_an_ipv6_client() -> None:
    fields = sent(request(), "::1")
    assert fields["x-forwarded-for"] == ["::1"]
    assert fields["forwarded"][0].startswith('for="[::1]"')


def test_trace_context_is_made_where_there_is_none() -> None:
    fields = sent(request())
    version, trace, span, flags = fields["traceparent"][0].split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "00")
    assert (fields["x-b3-traceid"], fields["x-b3-spanid"]) == ([trace], [span])
    traces = Traces(7)
    assert len({traces.lines() for _ in range(1000)}) == 1000


def test_trace_context_is_kept_and_told_in_b3_too() -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    fields = sent(request(f"traceparent: 00-{trace}-{span}-01"))
    assert fields["traceparent"] == [f"00-{trace}-{span}-01"]
    assert (fields["x-b3-traceid"], fields["x-b3-spanid"]) == ([trace], [span])
    b3 = sent(request("X-B3-TraceId: 1", "X-B3-SpanId: 2"))
    assert (b3["x-b3-traceid"], b3["x-b3-spanid"], "traceparent" in b3) == (["1"], ["2"], False)


def test_what_framing_and_upgrades_need_is_said_anew() -> None:
    assert sent(request("Transfer-Encoding: chunked", "Expect: 100-continue"))["transfer-encoding"] == ["chunked"]
    fields = sent(request("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"))
    assert (fields["connection"], fields["upgrade"]) == (["Upgrade"], ["websocket"])
    assert "connection" not in sent(request("Connection: close"))


def test_a_rewritten_host_and_appended_lines() -> None:
    fields = sent(request(), host=b"inner.test", extra=b"X-Tag: 1\r\n")
    assert (fields["host"], fields["x-tag"]) == (["inner.test"], ["1"])
    assert fields["x-forwarded-host"] == ["a.test:8080"]


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RESPONSES = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "GET / HTTP/1.1", Framing.LENGTH, True),
    "chunked": (CHUNKED, "GET / HTTP/1.1", Framing.CHUNKED, True),
    "until close": (b"HTTP/1.0 200 OK\r\n\r\n", "GET / HTTP/1.1", Framing.CHUNKED, True),
    "chunked for 1.0": (CHUNKED, "GET / HTTP/1.0", Framing.CLOSE, False),
    "HEAD": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD / HTTP/1.1", Framing.NONE, True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", "GET / HTTP/1.1", Framing.NONE, True),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "GET / HTTP/1.1", Framing.NONE, True),
}  # fmt: skip


@pytest.mark.parametrize(("data", "first", "framing", "keep"), RESPONSES.values(), ids=RESPONSES)
def test_framing(data: bytes, first: str, framing: Framing, keep: bool) -> None:
    response, asked = parse_response(data), request(first=first)
    assert isinstance(response, ResponseHead)
    assert response_framing(response, asked) is framing
    asked.keep_alive = True
    assert Answer(response, asked, keep=True).keep is keep


def test_answers() -> None:
    response, asked = parse_response(RESPONSES["chunked"][0]), request()
    assert isinstance(response, ResponseHead)
    answer = Answer(response, asked, keep=False)
    assert answer.head(response, asked, b"X: y\r\n") == (
        b"HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert answer.content(b"ab", True, b"X-Sum: 1\r\n") == b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"
    assert answer.content(b"", False) == b""


def test_a_204_has_no_length_and_a_304_keeps_it() -> None:
    for status, length in ((b"204 No Content", False), (b"304 Not Modified", True)):
        response = parse_response(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n" % status)
        assert isinstance(response, ResponseHead)
        asked = request()
        assert (b"Content-Length" in Answer(response, asked, True).head(response, asked, b"")) is length
