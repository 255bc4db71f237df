"""The pages about events: over a real log and data plane, asked as the command line asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from core.inside import Reply
from core.resources.eventing import BROKER, TRIGGER
from eventing.replay import Replays
from pilotlight.console import Console
from pilotlight.event_console import EventConsole
from tests.support.eventing import Eventing, eventing, until
from tests.support.subscribers import event

TOKEN = "t0ken"
Json = dict[str, Any]


class Client:
    """Straight through ASGI."""

    def __init__(self, app: Starlette, world: Eventing, closing: asyncio.Event) -> None:
        self.world = world
        self.closing = closing
        self._app = app

    async def __call__(self, method: str, path: str, body: Json | None = None, query: str = "") -> tuple[int, Any]:
        """Status and JSON; of a stream, all its lines."""
        lines: list[bytes] = []
        status = [0]
        await self.stream(method, path, body, query, lines.append, status)
        text = b"".join(lines)
        if b"\n" in text:
            return status[0], [json.loads(line) for line in text.splitlines()]
        return status[0], json.loads(text)

    async def stream(
        self,
        method: str,
        path: str,
        body: Json | None,
        query: str,
        hear: Callable[[bytes], None],
        status: list[int],
    ) -> None:
        asked = False

        async def receive() -> Any:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()
            asked = True
            return {"type": "http.request", "body": json.dumps(body).encode() if body else b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
            else:
                hear(message["body"])

        headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
        scope = {
            "type": "http", "method": method, "path": f"/pilotlight/v1{path}", "query_string": query.encode(),
            "headers": headers,
        }  # fmt: skip
        await self._app(scope, receive, send)


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[Client]:
    """A broker with one trigger whose subscriber is at `fn`."""

    async def no_loads() -> list[Any]:
        return []

    async with eventing(folder) as world:
        closing = asyncio.Event()
        replays = Replays(world.plane, world.log, world.plane.parts)
        pages = EventConsole(world.store, world.clock, world.log, world.plane, world.chronicle, replays, closing)
        console = Console(TOKEN, lambda namespace, name: [], no_loads, dict, pages)
        world.people.answers = {"fn": lambda _: Reply(200)}
        await world.apply(BROKER, "main")
        await world.ready(BROKER, "main")
        await world.apply(TRIGGER, "t", {"broker": "main", "subscriber": {"uri": "http://fn/"}})
        await world.ready(TRIGGER, "t")
        yield Client(console.above(Starlette()), world, closing)


def playing(scene: Callable[[Client], Awaitable[None]], folder: Path) -> None:
    async def main() -> None:
        async with asking(folder) as client, asyncio.timeout(20):
            await scene(client)

    asyncio.run(main())


def test_a_tail_tells_what_happens_until_the_platform_stops(tmp_path: Path) -> None:
    async def scene(client: Client) -> None:
        heard: list[Json] = []
        hear = lambda chunk: heard.extend(json.loads(line) for line in chunk.splitlines())  # noqa: E731
        query = "stream=broker/default/main"
        tail = asyncio.ensure_future(client.stream("GET", "/events/tail", None, query, hear, [0]))

        async def listening() -> bool | None:
            return bool(heard) or None

        await until(listening, "nobody listens")
        await client.world.post(event("1"))

        async def delivered() -> bool | None:
            return any(each["what"] == "delivered" for each in heard) or None

        await until(delivered, "nothing is told")
        client.closing.set()
        await tail
        assert [each["what"] for each in heard] == ["listening", "accepted", "delivered"]
        assert (heard[1]["about"], heard[1]["event"]["id"], heard[2]["code"]) == ("broker/default/main", "1", 200)

    playing(scene, tmp_path)


def test_why_and_how_each_subscription_stands(tmp_path: Path) -> None:
    async def scene(client: Client) -> None:
        await client.world.post(event("1"))
        await client.world.received("fn", 1)

        async def delivered() -> Json | None:
            status, answer = await client("GET", "/events/why", query="id=1")
            assert status == 200
            (verdict,) = answer["found"][0]["subscriptions"]
            return verdict if verdict["state"] == "delivered" else None

        verdict = await until(delivered, "not delivered")
        assert (verdict["subscription"], verdict["code"]) == ("trigger/default/t", 200)
        assert (await client("GET", "/events/why"))[0] == 400
        _, standing = await client("GET", "/subscriptions")
        (row,) = standing["items"]
        assert (row["name"], row["stream"], row["state"]) == ("t", "broker/default/main", "running")
        assert (row["backlog"], row["inFlight"], row["retrying"], row["deadLetters"]) == (0, 0, 0, 0)

    playing(scene, tmp_path)


def test_a_replay_tells_how_far_it_is(tmp_path: Path) -> None:
    async def scene(client: Client) -> None:
        for number in range(3):
            await client.world.post(event(str(number)))
        await client.world.received("fn", 3)
        wish = {"subscription": "trigger/default/t", "from": "1"}
        _, lines = await client("POST", "/events/replay", {**wish, "dryRun": True})
        assert [line["what"] for line in lines] == ["replay", "would-send", "would-send", "end"]
        client.world.people.answers["fn"] = lambda got: Reply(400 if got.id == "2" else 200)
        _, lines = await client("POST", "/events/replay", wish)
        assert lines[0] == {"what": "replay", "from": 1, "to": 3, "dryRun": False}
        assert {"failed", "end"} <= {line["what"] for line in lines}
        counts = {"next": 3, "to": 3, "matched": 2, "delivered": 1, "failed": 1, "lost": 0}
        assert lines[-1] == {"what": "end", **counts}

    playing(scene, tmp_path)


@pytest.mark.parametrize(
    ("wish", "code", "message"),
    [
        pytest.param({}, 400, "from is '': `earliest`, an offset", id="no start"),
        pytest.param({"from": "yesterday"}, 400, "from is 'yesterday'", id="no time"),
        pytest.param({"from": "0", "subscription": "trigger/default/x"}, 404, "there is no trigger", id="no trigger"),
        pytest.param({"from": "0", "filter": "type = "}, 400, "filter: Invalid value:", id="no filter"),
    ],
)
def test_replays_that_are_refused(tmp_path: Path, wish: Json, code: int, message: str) -> None:
    async def scene(client: Client) -> None:
        status, answer = await client("POST", "/events/replay", {"subscription": "trigger/default/t", **wish})
        assert status == code
        assert answer["message"].startswith(message)

    playing(scene, tmp_path)


def test_dead_letters_are_listed_shown_redriven_and_dropped(tmp_path: Path) -> None:
    async def scene(client: Client) -> None:
        client.world.people.answers["fn"] = lambda _: Reply(400)
        for number in range(3):
            await client.world.post(event(str(number), data=f"{{{number}"))

        async def buried() -> list[Json] | None:
            _, page = await client("GET", "/dead-letters", query="namespace=default&subscription=trigger/default/t")
            return page["items"] if len(page["items"]) == 3 else None

        items = await until(buried, "nothing is buried")
        assert [(item["number"], item["fate"]) for item in items] == [(1, "waiting"), (2, "waiting"), (3, "waiting")]
        assert (await client("GET", "/dead-letters", query="namespace=other"))[1]["items"] == []
        _, letter = await client("GET", "/dead-letters/2")
        assert letter["event"]["data_base64"]
        assert [attempt["code"] for attempt in letter["attempts"]] == [400]
        assert (await client("GET", "/dead-letters/9"))[0] == 404
        client.world.people.answers["fn"] = lambda _: Reply(200)
        assert (await client("POST", "/dead-letters/redrive", {"numbers": [2]}))[1] == {"redriven": [2], "refused": []}
        _, rest = await client("POST", "/dead-letters/drop", {"subscription": "trigger/default/t"})
        assert rest == {"dropped": [1, 3]}
        assert (await client("POST", "/dead-letters/drop", {}))[0] == 400

    playing(scene, tmp_path)
