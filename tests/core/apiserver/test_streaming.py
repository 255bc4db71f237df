from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.apiserver.backend import Write
from core.apiserver.streaming import write_body


async def lines(write: Write) -> None:
    await write(b"1\n")
    await write(b"2\n")


async def endless(write: Write) -> None:
    await write(b"1\n")
    await asyncio.Event().wait()


async def cut_off(write: Write) -> None:
    raise BrokenPipeError("the client left")


@pytest.mark.parametrize(
    ("run", "leaves", "closes", "body"),
    [
        pytest.param(lines, False, False, b"1\n2\n", id="it has run out"),
        pytest.param(endless, True, False, b"1\n", id="the client leaves"),
        pytest.param(endless, False, True, b"1\n", id="the server stops"),
        pytest.param(cut_off, False, False, b"", id="the client left in the middle"),
    ],
)
def test_ends(run: Callable[[Write], Awaitable[None]], leaves: bool, closes: bool, body: bytes) -> None:
    sent: list[Any] = []

    async def main() -> None:
        closing = asyncio.Event()

        async def receive() -> Any:
            if not leaves:
                await asyncio.Event().wait()
            await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if closes and message["body"]:
                closing.set()

        async with asyncio.timeout(5):
            await write_body(run, closing, receive, send)

    asyncio.run(main())
    assert b"".join(message["body"] for message in sent) == body
    assert [message["more_body"] for message in sent] == [True] * (len(sent) - 1) + [False]
