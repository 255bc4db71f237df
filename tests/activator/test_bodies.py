"""Bodies, in whatever pieces they arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.bodies import (
    CHUNK_LINE_BYTES_MAX,
    EXTENSION_BYTES_MAX,
    TRAILER_BYTES_MAX,
    BadBody,
    Body,
    ChunkedBody,
    EndlessBody,
    LengthBody,
    chunk,
    last_chunk,
)


def feed(body: Body, data: bytes, size: int) -> bytes:
    """All of it, `size` bytes at a time; what is left after the end is added to `rest`."""
    content = b""
    for at in range(0, len(data), size):
        if body.done:
            body.rest += data[at : at + size]
        else:
            content += body.feed(data[at : at + size])
    return content


CONTENTS = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


@given(CONTENTS, st.integers(1, 60), st.binary(max_size=20), st.sampled_from([b"", b"X-Sum: 1\r\n"]))
def test_chunks_come_out_as_they_went_in(contents: list[bytes], size: int, after: bytes, trailers: bytes) -> None:
    data = b"".join(chunk(content) for content in contents) + last_chunk(trailers) + after
    body = ChunkedBody()
    assert feed(body, data, size) == b"".join(contents)
    assert (body.done, body.rest, body.trailers) == (True, after, trailers)


@given(st.binary(max_size=60), st.integers(1, 70), st.binary(max_size=20))
def test_so_many_bytes(content: bytes, size: int, after: bytes) -> None:
    body = LengthBody(len(content))
    assert feed(body, content + after, size) == content
    assert body.done
    assert body.rest == after


def test_an_endless_body_is_never_done() -> None:
    body = EndlessBody()
    assert body.feed(b"x") == b"x"
    assert not body.done


BAD = {
    "no number": b"x\r\n",
    "empty line": b"\r\n",
    "negative": b"-1\r\n",
    "plus": b"+1\r\na\r\n",
    "prefix": b"0x1\r\na\r\n",
    "underscore": b"1_0\r\n",
    "white space before": b" 1\r\na\r\n",
    "white space after": b"1 \r\na\r\n",
    "too large": b"f" * 16 + b"\r\n",
    "bare LF": b"1\na\r\n",
    "bare CR": b"1\ra\r\n",
    "bare LF in an extension": b"1;a\nb\r\na\r\n",
    "NUL in an extension": b"1;\x00\r\na\r\n",
    "content longer than its size": b"1\r\nab\r\n",
    "two bytes that are no line end": b"1\r\naXX1\r\n",
    "LF for the line end of a chunk": b"1\r\na\n0\r\n\r\n",
    "long extension": b"1;" + b"a" * CHUNK_LINE_BYTES_MAX + b"\r\n",
    "many extensions": (b"1;" + b"a" * 250 + b"\r\na\r\n") * (EXTENSION_BYTES_MAX // 250 + 1),
    "trailer folded": b"0\r\nX: y\r\n z\r\n\r\n",
    "trailer without colon": b"0\r\nnonsense\r\n\r\n",
    "long trailers": b"0\r\n" + b"X: " + b"y" * TRAILER_BYTES_MAX + b"\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_broken_framing(data: bytes, size: int) -> None:
    with pytest.raises(BadBody):
        feed(ChunkedBody(), data, size)


def test_extensions_are_read_over() -> None:
    body = ChunkedBody()
    assert body.feed(b"1;a=b\r\nx\r\n0;c\r\n\r\n") == b"x"
    assert body.done


def test_trailers_that_would_change_the_message_are_dropped() -> None:
    body = ChunkedBody()
    body.feed(b"0\r\nContent-Length: 5\r\nX-Sum: 1\r\nhost: b\r\n\r\n")
    assert body.trailers == b"X-Sum: 1\r\n"
