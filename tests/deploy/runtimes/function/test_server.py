"""deploy/runtimes/function/server.py and deploy/runtimes/function/exchange.py: HTTP/1.1, seen from the wire."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.functions import Served, served, write

APP = """
    import asyncio

    async def body(receive):
        data = b""
        while True:
            message = await receive()
            data += message.get("body", b"")
            if not message.get("more_body"):
                return data

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["word"] = "kept"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"]
        headers = []
        if path == "/length":
            headers = [(b"content-length", b"5")]
        elif path == "/split":
            headers = [(b"x-a", b"b\\r\\nset-cookie: c")]
        if path == "/before":
            raise RuntimeError("before")
        if path == "/hold":
            await asyncio.sleep(5)
        data = await body(receive) if path == "/echo" else b""
        await send({"type": "http.response.start", "status": 204 if path == "/204" else 200, "headers": headers})
        if path == "/echo":
            await send({"type": "http.response.body", "body": data})
        elif path == "/stream":
            for piece in (b"one", b"", b"two"):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.sleep(0)
            await send({"type": "http.response.body"})
        elif path == "/during":
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError("during")
        elif path == "/endless":
            try:
                while True:
                    await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            except OSError:
                print("the client left", flush=True)
        elif path == "/left":
            await receive()
            print((await receive())["type"], flush=True)
        elif path == "/late":
            await asyncio.sleep(0.1)
            await send({"type": "http.response.body", "body": b"late"})
        elif path == "/state":
            await send({"type": "http.response.body", "body": scope["state"]["word"].encode()})
        elif path == "/scope":
            said = [scope["scheme"], scope["client"][0], scope["query_string"].decode(), scope["raw_path"].decode()]
            await send({"type": "http.response.body", "body": " ".join(said).encode()})
        else:
            await send({"type": "http.response.body", "body": b"short" if path == "/length" else b"plain"})
"""


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(write(tmp_path_factory.mktemp("server") / "f", main=APP)) as running:
        yield running


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1", body: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "host: h", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


CLOSE = "connection: close"
WIRE = [
    ("plain", get("/", CLOSE), b"200 OK", b"\r\n\r\nplain"),
    ("the length is known where the body is whole", get("/", CLOSE), b"content-length: 5", b"plain"),
    ("a stream is chunked", get("/stream", CLOSE), b"transfer-encoding: chunked", b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
    ("a stream for HTTP/1.0 ends with the connection", get("/stream", version="1.0"), b"200 OK", b"\r\n\r\nonetwo"),
    ("HEAD has no body", get("/", CLOSE, method="HEAD"), b"200 OK", b"\r\n\r\n"),
    ("204 has no body", get("/204", CLOSE), b"204 No Content", b"\r\n\r\n"),
    ("a request body", get("/echo", CLOSE, "content-length: 3", method="POST", body="abc"), b"200", b"\r\n\r\nabc"),
    (
        "a chunked request body",
        get("/echo", CLOSE, "transfer-encoding: chunked", method="POST", body="1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
        b"200",
        b"\r\n\r\nabc",
    ),
    ("two requests at once", get("/late") + get("/", CLOSE), b"200 OK", b"plain"),
    ("an exception before the head", get("/before"), b"500 Internal", b"\r\n\r\nInternal Server Error"),
    ("an exception before the head, HEAD", get("/before", method="HEAD"), b"500 Internal", b"\r\n\r\n"),
    ("a line break in a header", get("/split"), b"500 Internal", b"Internal Server Error"),
    ("no HTTP", b"\x16\x03\x01nonsense\r\n\r\n", b"400 Bad Request", b"\r\n\r\n"),
    ("both framings", get("/", "content-length: 1", "transfer-encoding: chunked", method="POST"), b"400", b"\r\n\r\n"),
    ("an endless head", get("/", "a: " + "x" * 70_000)[:-4], b"431", b"\r\n\r\n"),
    ("state of the lifespan", get("/state", CLOSE), b"200", b"kept"),
    (
        "what the gateway says about the client",
        get("/sc%6Fpe?q=1", CLOSE, "x-forwarded-proto: https", "x-forwarded-for: 9.9.9.9, 1.2.3.4"),
        b"200",
        b"https 1.2.3.4 q=1 /sc%6Fpe",
    ),
]


@pytest.mark.parametrize(("sent", "within", "end"), [w[1:] for w in WIRE], ids=[w[0] for w in WIRE])
def test_on_the_wire(function: Served, sent: bytes, within: bytes, end: bytes) -> None:
    received = function.raw(sent)
    assert within in received
    assert received.endswith(end)


def test_pipelined_answers_keep_their_order(function: Served) -> None:
    received = function.raw(get("/late") + get("/length") + get("/scope", CLOSE))
    assert received.index(b"late") < received.index(b"short") < received.index(b"http 127.0.0.1")


def test_more_pipelined_requests_than_are_read_ahead(function: Served) -> None:
    received = function.raw(b"".join(get("/length") for _ in range(40)) + get("/", CLOSE))
    assert received.count(b"short") == 40


def test_an_answer_that_breaks_off_is_reset_and_not_ended(function: Served) -> None:
    with socket.create_connection(("127.0.0.1", function.port)) as client:
        client.sendall(get("/during"))
        received = b""
        reset = False
        while not reset:
            try:
                chunk = client.recv(65536)
                assert chunk, "an orderly end"
                received += chunk
            except ConnectionResetError:
                reset = True
    assert b"0\r\n\r\n" not in received


def test_expect_continue_is_answered_when_the_body_is_wanted(function: Served) -> None:
    with socket.create_connection(("127.0.0.1", function.port)) as client:
        client.sendall(get("/echo", CLOSE, "expect: 100-continue", "content-length: 2", method="POST"))
        first = client.recv(65536)
        client.sendall(b"ok")
        rest = b""
        while chunk := client.recv(65536):
            rest += chunk
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert rest.endswith(b"ok")


def test_the_function_learns_that_the_client_has_gone(function: Served) -> None:
    for path in ("/left", "/endless"):
        with socket.create_connection(("127.0.0.1", function.port)) as client:
            client.sendall(get(path))
            client.recv(100)
    wait_for(function, "http.disconnect", "the client left")


def test_a_body_that_nobody_reads_stops_coming(function: Served) -> None:
    with socket.create_connection(("127.0.0.1", function.port)) as client:
        client.settimeout(1)
        client.sendall(get("/hold", f"content-length: {1 << 30}", method="POST"))
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 1 << 30:
                sent += client.send(b"x" * 65536)
    assert 0 < sent < 32 << 20


def test_connections_are_kept(function: Served) -> None:
    with socket.create_connection(("127.0.0.1", function.port)) as client:
        for _ in range(3):
            client.sendall(get("/length"))
            received = b""
            while not received.endswith(b"short"):
                received += client.recv(65536)


def test_many_connections_at_once(function: Served) -> None:
    threads = [threading.Thread(target=function.raw, args=(get("/late", CLOSE),)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


def wait_for(function: Served, *words: str) -> None:
    deadline = time.monotonic() + 10
    while not all(word in function.log.read_text() for word in words):
        assert time.monotonic() < deadline, function.log.read_text()
        time.sleep(0.01)
