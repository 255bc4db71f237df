"""A WebSocket connection (RFC 6455) of the function's server, as an ASGI `websocket` scope.

`server.py` hands a connection over after it has read an upgrade request. No extensions are negotiated: behind a local
gateway compression costs more than it saves.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import sys
from typing import Any

complaints = importlib.import_module(f"{__package__}.complaints")  # by what this folder is called in its process

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
QUEUE_BYTES_HIGH = 64 * 1024  # received, not yet taken by the function; then the client waits
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_CODE, ABNORMAL, BAD_TEXT, TOO_BIG, FAILED = (
    1000, 1001, 1002, 1005, 1006, 1007, 1009, 1011,
)  # fmt: skip


class ProtocolError(Exception):
    """The client broke the protocol; `code` goes into the close frame."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class WebSocket(asyncio.Protocol):
    """From handshake to close. `server` has `app` and the set of connections to wait for when it stops."""

    def __init__(self, server: Any, scope: Any) -> None:
        self.server = server
        self.headers = dict(scope["headers"])
        offered = self.headers.get(b"sec-websocket-protocol", b"").decode("latin-1")
        self.scope = {
            **scope,
            "type": "websocket",
            "scheme": "wss" if scope["scheme"] == "https" else "ws",
            "subprotocols": [name.strip() for name in offered.split(",") if name.strip()],
            "extensions": {"websocket.http.response": {}},
        }
        del self.scope["method"]
        self.writable = asyncio.Event()
        self.writable.set()
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        self._queued_bytes = 0
        self._input = bytearray()
        self._fragments = bytearray()
        self._fragments_kind = 0
        self._accepted = self._closing = self._closed = self._denying = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell_closed(ABNORMAL, "")
        self.writable.set()
        self.server.lost(self)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def drain(self) -> None:
        """The server stops: a WebSocket has no natural end, so the client is asked to come again."""
        if self._accepted:
            self._close(GOING_AWAY, "")
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._input += data
        try:
            while self._read_frame():
                pass
        except ProtocolError as error:
            self._close(error.code, "")
            self._tell_closed(error.code, "")
            self.transport.close()

    # frames in

    def _read_frame(self) -> bool:
        data = self._input
        if len(data) < 2 or self._closed:
            return False
        final, kind, masked, length = data[0] & 0x80, data[0] & 0x0F, data[1] & 0x80, data[1] & 0x7F
        if data[0] & 0x70 or not masked or (kind & 8 and (not final or length > 125)):
            raise ProtocolError(PROTOCOL_ERROR)
        extended = {126: 2, 127: 8}.get(length, 0)
        start = 2 + extended + 4
        if len(data) < start:
            return False
        if extended:
            length = int.from_bytes(data[2 : 2 + extended], "big")
        if length + len(self._fragments) > MESSAGE_BYTES_MAX:
            raise ProtocolError(TOO_BIG)
        if len(data) < start + length:
            return False
        payload = unmask(bytes(data[start : start + length]), bytes(data[start - 4 : start]))
        del data[: start + length]
        self._take(kind, bool(final), payload)
        return True

    def _take(self, kind: int, final: bool, payload: bytes) -> None:
        if kind == PING:
            self._write(PONG, payload)
        elif kind == CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else NO_CODE
            self._close(code if code != NO_CODE else NORMAL, "")
            self._tell_closed(code, payload[2:].decode("utf-8", "replace"))
            self.transport.close()
        elif kind in (TEXT, BINARY, CONTINUATION):
            if (kind == CONTINUATION) != bool(self._fragments_kind):
                raise ProtocolError(PROTOCOL_ERROR)
            self._fragments_kind = self._fragments_kind or kind
            self._fragments += payload
            if final:
                kind, body = self._fragments_kind, bytes(self._fragments)
                self._fragments_kind, self._fragments = 0, bytearray()
                self._deliver(kind, body)
        elif kind != PONG:
            raise ProtocolError(PROTOCOL_ERROR)

    def _deliver(self, kind: int, body: bytes) -> None:
        message: dict[str, Any] = {"type": "websocket.receive", "bytes": body}
        if kind == TEXT:
            try:
                message = {"type": "websocket.receive", "text": body.decode("utf-8")}
            except UnicodeDecodeError:
                raise ProtocolError(BAD_TEXT) from None
        message["size"] = len(body)
        self._queued_bytes += len(body)
        self._inbox.put_nowait(message)
        if self._queued_bytes > QUEUE_BYTES_HIGH:
            self.transport.pause_reading()

    def _tell_closed(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    # frames out

    def _write(self, kind: int, payload: bytes) -> None:
        if self._closing or self.transport.is_closing():
            return
        length = len(payload)
        if length < 126:
            head = bytes((0x80 | kind, length))
        elif length < 65536:
            head = bytes((0x80 | kind, 126)) + length.to_bytes(2, "big")
        else:
            head = bytes((0x80 | kind, 127)) + length.to_bytes(8, "big")
        self.transport.write(head + payload)

    def _close(self, code: int, reason: str) -> None:
        self._write(CLOSE, code.to_bytes(2, "big") + reason.encode()[:123])
        self._closing = True

    # the application's side

    async def _run(self) -> None:
        try:
            await self.server.app(self.scope, self.receive, self.send)
        except Exception as error:
            if not self._closed:
                print(f"Exception on WebSocket {self.scope['path']}", file=sys.stderr)
                complaints.complain(error)
            if self._accepted:
                self._close(FAILED, "")
            elif not self._denying:
                self._deny(500)
        else:
            if self._accepted:
                self._close(NORMAL, "")
            elif not self._denying:
                self._deny(500)
        finally:
            self.transport.close()

    async def receive(self) -> dict[str, Any]:
        message = await self._inbox.get()
        self._queued_bytes -= message.pop("size", 0)
        if self._queued_bytes <= QUEUE_BYTES_HIGH and not self._closed:
            self.transport.resume_reading()
        return message

    async def send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.accept" and not self._accepted:
            self._accept(message)
        elif kind == "websocket.send" and self._accepted:
            if self._closed or self._closing:
                raise OSError("the client has gone")
            text = message.get("text")
            if text is not None:
                self._write(TEXT, text.encode())
            else:
                self._write(BINARY, message["bytes"])
            await self.writable.wait()
        elif kind == "websocket.close":
            if self._accepted:
                self._close(message.get("code", NORMAL), message.get("reason") or "")
            else:
                self._deny(403)
        elif kind == "websocket.http.response.start" and not self._accepted:
            self._deny(message["status"], message.get("headers", ()))
        elif kind == "websocket.http.response.body" and self._denying:
            self.transport.write(message.get("body", b""))
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r}")

    def _accept(self, message: dict[str, Any]) -> None:
        key = self.headers.get(b"sec-websocket-key", b"")
        token = base64.b64encode(hashlib.sha1(key + GUID).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        head += b"sec-websocket-accept: " + token + b"\r\n"
        if message.get("subprotocol"):
            head += b"sec-websocket-protocol: " + message["subprotocol"].encode("latin-1") + b"\r\n"
        for name, value in message.get("headers", ()):
            head += name + b": " + value + b"\r\n"
        self.transport.write(head + b"\r\n")
        self._accepted = True

    def _deny(self, status: int, headers: Any = ((b"content-length", b"0"),)) -> None:
        self._denying = True
        head = b"HTTP/1.1 %d Denied\r\nconnection: close\r\n" % status
        for name, value in headers:
            head += bytes(name) + b": " + bytes(value) + b"\r\n"
        self.transport.write(head + b"\r\n")


def unmask(payload: bytes, mask: bytes) -> bytes:
    """The whole payload at once, as one big number: many times faster than byte by byte."""
    size = len(payload)
    pad = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
