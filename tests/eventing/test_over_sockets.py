"""The whole way in: gateway, ingress, entrance, log, over a real socket and a real file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from core.clock import SystemClock
from core.inside import Fields
from eventing.codec import encode_batch, encode_binary, encode_structured
from eventing.entrance import Entrance
from eventing.event import Event
from eventing.ingress import Ingress, by_path
from eventing.intake import Stored, Terms, with_dead_letters
from eventing.log.log import EventLog
from tests.support.data_path import Client, DataPath, data_path
from tests.support.events import plain

HOST = "broker-ingress.test"
STREAM = "broker/default/orders"


class LogIntake:
    def __init__(self, log: EventLog) -> None:
        self._log = log

    def append(self, events: Sequence[Event]) -> Stored:
        return self._log.append_nowait(STREAM, events)


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[tuple[DataPath, EventLog]]:
    log = EventLog(folder / "events.db", SystemClock())
    await log.open()
    try:
        entrance = Entrance(LogIntake(log), with_dead_letters(log.dead_letters, STREAM), Terms(), SystemClock())
        async with data_path() as path:
            path.sites.put(HOST, Ingress(by_path({b"/default/orders": entrance}), "broker"))
            yield path, log
    finally:
        await log.close()


async def post(path: DataPath, fields: Fields, body: bytes, length: int | None = None) -> tuple[int, str]:
    """Status, and the reason of a refusal."""
    client = await Client.connect(path.port)
    head = [f"{name.decode()}: {value.decode('latin-1')}" for name, value in fields]
    client.get("/default/orders", HOST, [f"Content-Length: {len(body) if length is None else length}", *head], "POST")
    client.send(body)
    response = await client.read()
    client.close()
    return response.status, json.loads(response.body)["reason"] if response.body else ""


def test_what_is_answered_with_202_is_in_the_file(tmp_path: Path) -> None:
    sent = [
        plain(b"\x00\xff", id="binary", subject="ä ö"),
        plain(b'{"a": 1.10}', id="structured"),
        plain(id="1"),
        plain(id="2"),
    ]

    async def main() -> None:
        async with broker(tmp_path) as (path, _):
            assert await post(path, *encode_binary(sent[0])) == (202, "")
            assert await post(path, *encode_structured(sent[1])) == (202, "")
            assert await post(path, *encode_batch(sent[2:])) == (202, "")
        log = EventLog(tmp_path / "events.db", SystemClock())
        await log.open()
        assert [entry.event for entry in await log.read(STREAM, 0) if hasattr(entry, "event")] == sent
        await log.close()

    asyncio.run(main())


def test_bad_input_leaves_nothing(tmp_path: Path) -> None:
    fields, _ = encode_binary(plain())
    batch = ((b"content-type", b"application/cloudevents-batch+json"),)

    async def main() -> None:
        async with broker(tmp_path) as (path, log):
            for expected, bad, body in (
                ((400, "InvalidEvent"), (*fields, (b"ce-x", b"%C0%A0")), b""),
                ((400, "InvalidEvent"), fields[1:], b""),
                ((400, "InvalidEvent"), (*fields, (b"ce-id", b"again")), b""),
                ((400, "InvalidEvent"), batch, b"[{}]"),
                ((400, "EmptyBatch"), batch, b"[]"),
                ((413, "TooLarge"), fields, b"x" * (1024 * 1024 + 1)),
                ((415, "UnsupportedFormat"), ((b"content-type", b"application/cloudevents+avro"),), b"x"),
            ):
                assert await post(path, bad, body) == expected
            status, _ = await post(path, fields, b"", length=10_000_000)
            assert status == 413  # before a byte of it has come
            client = await Client.connect(path.port)
            client.send(b"POST /default/orders HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nce-x : y\r\n\r\n")
            assert (await client.read()).status == 400
            client.close()
            assert log.stream(STREAM).records == 0
            assert await post(path, fields, b"") == (202, "")

    asyncio.run(main())
