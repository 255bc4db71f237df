"""A MongoDB server that says again what a real one said: `tests/scalers/recorded/mongodb.json`.

It knows the commands that were recorded, in MongoDB's own framing, and refuses any other by hanging up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import bson
from bson import json_util

RECORDED: Final = json_util.loads((Path(__file__).parents[1] / "scalers/recorded/mongodb.json").read_text())["said"]
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_HELLO: Final = ("hello", "ismaster", "isMaster")


class ReplayedMongodb:
    """`asked` are the commands that came; `mute` keeps it from answering any; `hang_up` ends all connections."""

    def __init__(self) -> None:
        self.port = 0
        self.mute = False
        self.asked: list[dict[str, Any]] = []
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/test"

    @property
    def connections(self) -> int:
        return len(self._open)

    def hang_up(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                length, request, _, code = struct.unpack("<iiii", await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                command = _command(code, body)
                self.asked.append(command)
                if not self.mute:
                    writer.write(_framed(request, code, _answer(command)))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, LookupError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


def _command(code: int, body: bytes) -> dict[str, Any]:
    start = 5 if code == _OP_MSG else body.index(b"\0", 4) + 9
    (length,) = struct.unpack_from("<i", body, start)
    return bson.decode(body[start : start + length])


def _answer(command: Mapping[str, Any]) -> Mapping[str, Any]:
    """LookupError: nothing like it was recorded."""
    name = next(iter(command))
    for each in RECORDED:
        asked = each["asked"]
        known = next(iter(asked))
        if name in _HELLO:
            fits = known in _HELLO and ("saslSupportedMechs" in asked) == ("saslSupportedMechs" in command)
        else:
            parts = ("pipeline", "filter", "mechanism")
            fits = known == name and all(_plain(asked.get(part)) == _plain(command.get(part)) for part in parts)
            fits = fits and (name in ("endSessions",) or asked[name] == command[name])
        if fits:
            found: Mapping[str, Any] = each["answered"]
            return found
    raise LookupError(name)


def _plain(value: Any) -> str:
    return json.dumps(value, default=str, sort_keys=True)


def _framed(request: int, code: int, document: Mapping[str, Any]) -> bytes:
    encoded = bson.encode(document)
    if code == _OP_MSG:
        code, payload = _OP_MSG, struct.pack("<iB", 0, 0) + encoded
    else:
        code, payload = _OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + encoded
    return struct.pack("<iiii", 16 + len(payload), 1, request, code) + payload


@contextlib.asynccontextmanager
async def replayed_mongodb() -> AsyncIterator[ReplayedMongodb]:
    replayed = ReplayedMongodb()
    server = await asyncio.start_server(replayed.serve, "127.0.0.1", 0)
    replayed.port = server.sockets[0].getsockname()[1]
    try:
        yield replayed
    finally:
        server.close()
        replayed.hang_up()
        await asyncio.sleep(0)
