"""A MySQL server that says again what a real one said: `tests/scalers/recorded/mysql.json`.

It answers the queries that were recorded, to whoever comes as `ann`, and nothing else; it checks no password, it says
again what was said to a right one (`denied` false) or to a wrong one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

RECORDED: Final = json.loads((Path(__file__).parents[1] / "scalers/recorded/mysql.json").read_text())
_QUERY: Final = 3


class ReplayedMysql:
    """`asked` are the queries that came; `mute` keeps it from answering any; `hang_up` ends all connections."""

    def __init__(self) -> None:
        self.port = 0
        self.denied = False
        self.mute = False
        self.asked: list[str] = []
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()

    def hang_up(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            await self._converse(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._say(writer, RECORDED["greeting"])
        login = await _packet(reader)
        assert b"ann\0" in login
        self._say(writer, RECORDED["denied" if self.denied else "accepted"])
        while (packet := await _packet(reader))[0] == _QUERY:
            query = packet[1:].decode()
            self.asked.append(query)
            if not self.mute:
                self._say(writer, RECORDED["answers"][query])

    @staticmethod
    def _say(writer: asyncio.StreamWriter, recorded: str) -> None:
        writer.write(base64.b64decode(recorded))


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """One packet's payload: three bytes of length, one of sequence."""
    head = await reader.readexactly(4)
    return await reader.readexactly(int.from_bytes(head[:3], "little"))


@contextlib.asynccontextmanager
async def replayed_mysql() -> AsyncIterator[ReplayedMysql]:
    replayed = ReplayedMysql()
    server = await asyncio.start_server(replayed.serve, "127.0.0.1", 0)
    replayed.port = server.sockets[0].getsockname()[1]
    try:
        yield replayed
    finally:
        server.close()
        replayed.hang_up()
