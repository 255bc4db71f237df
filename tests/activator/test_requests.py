"""Requests off a byte stream (activator/requests.py), and their bodies on the way out (activator/payload.py)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.heads import Malformed, RequestHead
from activator.payload import REPEATED_BYTES_MAX, Payload
from activator.requests import Requests

STREAM = (
    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
    b"\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
    b"DELETE /4 HTTP/1.0\r\n\r\n"
)
EXPECTED = [(b"/1", b"", b""), (b"/2", b"hello", b""), (b"/3", b"abcde", b"X-Sum: 1\r\n"), (b"/4", b"", b"")]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200))
def test_the_same_requests_come_out_however_the_bytes_are_cut(sizes: list[int]) -> None:
    requests, found, at = Requests(), [], 0
    for size in [*sizes, len(STREAM)]:
        data, at = STREAM[at : at + size], at + size
        while data:
            if requests.body is not None:
                found[-1][1] += requests.read_body(requests.body, data)
                data, requests.early = requests.early, b""
            elif isinstance(head := requests.read_head(data), RequestHead):
                found.append([head.target, requests.content, b""])
                data, requests.early = (requests.early, b"") if requests.body is None else (b"", b"")
            else:
                assert head is None
                break
            if found and requests.body is None:
                found[-1][2] = requests.trailers
    assert [tuple(one) for one in found] == EXPECTED


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\n", b"x" * 70_000, b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_what_cannot_become_a_request(data: bytes) -> None:
    assert isinstance(Requests().read_head(data), Malformed)


def test_a_broken_body_that_came_with_its_head() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert isinstance(Requests().read_head(head), Malformed)


def test_a_payload_is_kept_while_it_waits_and_sent_once_it_goes() -> None:
    payload = Payload(b"ab", done=False, chunked=True)
    assert payload.add(b"c", False, b"", sending=False) == b""
    assert payload.all() == b"2\r\nab\r\n1\r\nc\r\n"
    assert payload.add(b"de", True, b"X: y\r\n", sending=True) == b"2\r\nde\r\n0\r\nX: y\r\n\r\n"
    assert payload.kept
    assert payload.all() == b"2\r\nab\r\n1\r\nc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"


def test_a_large_payload_is_let_go_once_it_is_on_its_way() -> None:
    payload = Payload(b"a" * REPEATED_BYTES_MAX, done=False, chunked=False)
    assert payload.all() == b"a" * REPEATED_BYTES_MAX
    assert payload.kept
    assert payload.add(b"b", False, b"", sending=True) == b"b"
    assert not payload.kept
    assert payload.all() == b""
