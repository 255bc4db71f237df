"""An answer without a known end: written until it has run out, the client leaves, or the server stops.

Watches, followed logs, and whatever else stands above the API and tells what happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.types import Receive, Send

from core.apiserver.backend import Write


async def write_body(
    run: Callable[[Write], Awaitable[None]], closing: asyncio.Event, receive: Receive, send: Send
) -> None:
    """Called behind the head, which leaves at once; `run` is canceled where nobody wants more. It must not raise."""

    async def write(chunk: bytes) -> None:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def until_client_leaves() -> None:
        with suppress(OSError):  # it left between two writes
            await run(write)

    await write(b"")
    async with asyncio.TaskGroup() as group:
        ends = (
            group.create_task(until_client_leaves(), name="stream"),
            group.create_task(_departure(receive), name="stream:departure"),
            group.create_task(_set(closing), name="stream:closing"),
        )
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _set(event: asyncio.Event) -> None:
    await event.wait()
