"""What crosses from one thread to the other; the connection itself is tested through `Session`."""

from __future__ import annotations

import asyncio
import threading

from core.clients.rabbitmq_wire import Mailbox


def test_every_call_from_other_threads_is_made_once_and_in_order() -> None:
    async def run() -> None:
        made: list[tuple[str, int]] = []
        mailbox = Mailbox(asyncio.get_running_loop())

        def post(name: str) -> None:
            for number in range(5000):
                mailbox.put(lambda number=number: made.append((name, number)))  # type: ignore[misc]

        threads = [threading.Thread(target=post, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        async with asyncio.timeout(30):
            while len(made) < 10_000:
                await asyncio.sleep(0.001)
        for name in "ab":
            assert [number for each, number in made if each == name] == list(range(5000))

    asyncio.run(run())


def test_a_loop_that_is_closed_is_not_told() -> None:
    loop = asyncio.new_event_loop()
    mailbox = Mailbox(loop)
    loop.close()
    mailbox.put(lambda: None)
