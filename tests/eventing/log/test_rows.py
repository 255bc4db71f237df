from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.log.base import NOW
from eventing.log.positions import Position
from eventing.log.rows import StreamRow, stream_values, subscription_values, whole_stream, whole_subscription
from tests.support.event_log import STREAM, TRIGGER, events, opened

ROW = StreamRow(3, "broker/default/b", 5, 2**40)


@given(st.sampled_from(["number", "name", "head", "tail"]), st.integers(0, 62))
def test_one_flipped_bit_in_a_stream_is_undone(column: str, bit: int) -> None:
    number, name, head, tail, checksum = stream_values(ROW)
    numbers = {"number": number, "head": head, "tail": tail}
    text = bytearray(name.encode())
    if column == "name":
        text[bit // 8] ^= 1 << bit % 8
    else:
        numbers[column] ^= 1 << bit
    assert whole_stream(numbers["number"], bytes(text), numbers["head"], numbers["tail"], checksum) == ROW


def test_a_stream_that_cannot_be_told_is_lost_with_its_number() -> None:
    number, _, head, tail, checksum = stream_values(ROW)
    for name in (b"another name", b"\xff\xfe", None):
        assert whole_stream(number, name, head, tail, checksum) == StreamRow(3, "lost/3", 0, 0)


def test_one_flipped_bit_in_a_subscription_is_undone() -> None:
    position = Position(7, [(9, 12)])
    data, checksum = subscription_values(2, TRIGGER, 1, position)
    flipped = bytes([data[0] ^ 64, *data[1:]])
    found = whole_subscription(2, TRIGGER.encode(), 1, 1, flipped, checksum)
    assert found.position is not None
    assert (found.position.low, found.position.ranges, found.name) == (7, [(9, 12)], TRIGGER)
    assert whole_subscription(2, TRIGGER.replace("r", "R", 1).encode(), 1, 1, data, checksum).name == TRIGGER
    assert whole_subscription(2, TRIGGER.encode(), 5, 1, data, checksum).stream == 1
    assert whole_subscription(2, b"other", 1, 1, data, checksum).position is None
    assert whole_subscription(2, b"\xff", 1, 1, None, checksum).position is None


@pytest.mark.parametrize(
    "spoil",
    [
        "update streams set name = 'bRoker/default/b'",
        "update streams set head = 4",
        "update subscriptions set name = 'tRigger/default/t'",
        "update subscriptions set number = number + 8",
        "update subscriptions set stream = 3",
    ],
)
def test_what_a_flipped_bit_would_have_lost_is_found_and_stays_mended(spoil: str, tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, NOW)
            await log.append_nowait(STREAM, events(10))
            cursor.ack(0, 3)
        with sqlite3.connect(tmp_path / "events.db") as connection:
            connection.execute(spoil)
        connection.close()
        for low in (3, 5, 8):
            async with opened(tmp_path / "events.db") as log:
                again = await log.subscribe(TRIGGER, STREAM, NOW)
                assert again.position.low == low
                assert (log.stream(STREAM).head, log.stream(STREAM).tail) == (0, 10)
                again.ack(low, 5 if low == 3 else 8)

    asyncio.run(body())
