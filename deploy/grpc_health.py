"""One question to a gRPC server: grpc.health.v1.Health/Check, over cleartext HTTP/2.

A gRPC probe is the platform's only gRPC call, and it is the same few bytes every time; so they are written out here,
and no HTTP/2 library is needed. Headers are sent as HPACK literals without indexing, and those received are not read:
only the answer's DATA counts (RFC 9113, RFC 7541 6.2.2, grpc PROTOCOL-HTTP2).
"""

from __future__ import annotations

import asyncio
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
STREAM = 1
SERVING = 1
STATUS_NAMES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def ask_health(host: str, port: int, service: str) -> tuple[bool, str]:
    """(whether it says SERVING, else why not). OSError where it cannot be reached. The caller sets the deadline."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(PREFACE + _frame(SETTINGS, 0, 0, b"") + make_request(f"{host}:{port}", service))
        return await _read_answer(reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        return False, f'failed to connect service "{host}:{port}": it does not speak HTTP/2'
    finally:
        writer.close()


def make_request(authority: str, service: str) -> bytes:
    """The HEADERS and DATA frames of the question."""
    headers = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "kube-probe"),
    )
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    body = struct.pack(">BI", 0, len(message)) + message
    return _frame(HEADERS, END_HEADERS, STREAM, block) + _frame(DATA, END_STREAM, STREAM, body)


def read_status(body: bytes) -> int | None:
    """The serving status in a HealthCheckResponse with its gRPC prefix; None where it is not all there yet."""
    if len(body) < 5 or len(body) < 5 + struct.unpack(">I", body[1:5])[0]:
        return None
    message = body[5:]
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0


async def _read_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[bool, str]:
    body = b""
    while True:
        head = await reader.readexactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        payload = await reader.readexactly(length)
        if kind == SETTINGS and not flags & ACK:
            writer.write(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            writer.write(_frame(PING, ACK, 0, payload))
        elif kind in (RST_STREAM, GOAWAY):
            return False, "the server refused the health check"
        elif kind == DATA and stream == STREAM:
            body += payload[1 : len(payload) - payload[0]] if flags & PADDED else payload
            if (status := read_status(body)) is not None:
                word = STATUS_NAMES.get(status, str(status))
                return status == SERVING, "" if status == SERVING else f'service unhealthy (responded with "{word}")'
        if flags & END_STREAM and kind in (DATA, HEADERS) and stream == STREAM:
            return False, "the server does not implement the grpc health protocol (grpc.health.v1.Health)"


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _text(text: str) -> bytes:
    """An HPACK string literal without Huffman coding; all of ours are shorter than 127 bytes, but for odd hosts."""
    raw = text.encode()
    if len(raw) < 127:
        return bytes((len(raw),)) + raw
    return b"\x7f" + _varint(len(raw) - 127) + raw


def _varint(number: int) -> bytes:
    """Seven bits at a time, least first: HPACK's continuation and protobuf's varint alike."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
