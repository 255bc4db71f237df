"""A subscriber that costs next to nothing: counts events, and how long ago each was sent. `GET /` tells and forgets.

Run by the platform as a `process`; with `reply` it answers each order with an event that says when it was answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from typing import Any

import uvloop

SENT = re.compile(rb"\r\nce-sent: ([0-9]+)\r\n", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)
TYPE = re.compile(rb"\r\nce-type: ([^\r]+)\r\n", re.IGNORECASE)
DONE = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
REPLY = (
    b"HTTP/1.1 200 OK\r\nce-specversion: 1.0\r\nce-id: %d\r\nce-source: /subscriber\r\nce-type: reply\r\n"
    b"ce-sent: %d\r\nContent-Length: 0\r\n\r\n"
)
replies = "reply" in sys.argv[1:]
took_us: dict[str, list[int]] = {}
count = 0


class Subscriber(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._early = b""

    def data_received(self, data: bytes) -> None:
        data = self._early + data
        while (end := data.find(b"\r\n\r\n") + 4) >= 4:
            head = data[:end]
            length = LENGTH.search(head)
            end += int(length[1]) if length else 0
            if len(data) < end:
                break
            data = data[end:]
            self._transport.write(answer(head))
        self._early = data


def answer(head: bytes) -> bytes:
    global count
    now = time.time_ns() // 1000
    if head.startswith(b"GET"):
        said = json.dumps({"count": count, "took_us": took_us}).encode()
        took_us.clear()
        count = 0
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
    count += 1
    kind = TYPE.search(head)
    sent = SENT.search(head)
    if sent and kind:
        took_us.setdefault(kind[1].decode(), []).append(now - int(sent[1]))
    return REPLY % (count, now) if replies and kind and kind[1] != b"reply" else DONE


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Subscriber, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
