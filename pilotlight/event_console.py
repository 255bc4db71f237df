"""What the platform tells about events, and what it can be asked to do with them; beside the Kubernetes API.

`events tail|why|replay`, `dlq` and `top` of the command line come here, through `pilotlight/console.py` and its token.
Streams are lines of JSON and end when the client leaves or the platform stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.apiserver.backend import Write
from core.apiserver.streaming import write_body
from core.clock import Clock
from core.errors import BadRequest, NotFound
from core.resources.eventing import TRIGGER
from core.resources.eventing_options import StartRule, SubscriptionOptions, read_options
from core.resources.messaging import SUBSCRIPTION
from core.resources.meta import Json, Kind
from core.resources.pilotlight import START as START_ANNOTATION
from core.resources.timestamps import epoch_of
from core.store.base import Store
from eventing.chronicle import Chronicle, Happening
from eventing.dataplane import DataPlane
from eventing.filters.clauses import Filter
from eventing.filters.dialects import cesql_filter
from eventing.log.base import Origin, Start
from eventing.log.log import EventLog
from eventing.redrive import chosen, redrive
from eventing.replay import Failure, Replay, Replays, Wish
from eventing.why import Why
from pilotlight.event_documents import (
    counts_document,
    failure_document,
    happening_document,
    letter_document,
    record_document,
    why_document,
)

log = structlog.get_logger()

PAGE_MAX: Final = 500
TELL_S: Final = 0.25
"""How often a replay says how far it is."""
_KINDS: Final[Mapping[str, Kind[Any]]] = {"trigger": TRIGGER, "subscription": SUBSCRIPTION}
_ORIGINS: Final = {
    StartRule.EARLIEST: Origin.EARLIEST,
    StartRule.TIME: Origin.TIME,
    StartRule.OFFSET: Origin.OFFSET,
}


@dataclass(frozen=True, slots=True)
class EventConsole:
    """`closing` ends its streams."""

    store: Store
    clock: Clock
    log: EventLog
    plane: DataPlane
    chronicle: Chronicle
    replays: Replays
    closing: asyncio.Event

    # -- what happens, and what happened -------------------------------------------------------------------------------

    async def tail(self, request: Request) -> Response:
        """Happenings from now on: of one broker's stream with its subscriptions, of one subscription, or all."""
        query = request.query_params
        stream, subscription = query.get("stream", ""), query.get("subscription", "")
        with_data = query.get("data") == "1"

        async def run(write: Write) -> None:
            with self.chronicle.listen() as listener:
                await write(_line({"what": "listening"}))
                told = 0
                async for happening in listener:
                    if listener.missed > told:
                        await write(_line({"what": "missed", "count": listener.missed - told}))
                        told = listener.missed
                    if self._is_of(happening, stream, subscription):
                        await write(_line(happening_document(happening, with_data=with_data)))

        return Lines(run, self.closing)

    async def why(self, request: Request) -> Response:
        id = request.query_params.get("id", "")
        if not id:
            raise BadRequest("id is missing: the event's")
        why = Why(self.plane, self.log, self.chronicle, self._began)
        return _answer(why_document(id, await why.of(id, self.clock.wall())))

    async def subscriptions(self, request: Request) -> Response:
        """How each stands: what waits, what is under way, what is tried again, what is dead."""
        return _answer({"items": [await self._standing(name) for name in sorted(self.plane.streams_of)]})

    # -- replay --------------------------------------------------------------------------------------------------------

    async def replay(self, request: Request) -> Response:
        """`{"subscription", "from", "filter", "sink", "dryRun"}` → lines: what will be done, how far it is, the end."""
        body = await _body(request)
        wish = Wish(
            str(body.get("subscription", "")), _start(str(body.get("from") or "")), _filter(body), body.get("sink")
        )
        failures: asyncio.Queue[Failure] = asyncio.Queue()
        replay = await self.replays.plan(wish, failures.put_nowait)
        dry_run = bool(body.get("dryRun"))

        async def run(write: Write) -> None:
            feed = replay.feed
            await write(_line({"what": "replay", "from": feed.first, "to": feed.end, "dryRun": dry_run}))
            if dry_run:
                async for record in feed.records():
                    await write(_line(record_document(record)))
            else:
                await _follow(replay, failures, write)
            await write(_line({"what": "end", **counts_document(feed)}))

        return Lines(run, self.closing)

    # -- dead letters --------------------------------------------------------------------------------------------------

    async def letters(self, request: Request) -> Response:
        """A page of them, with a number above `after`; `subscription`, or `namespace`, chooses."""
        query = request.query_params
        subscription, namespace = query.get("subscription") or None, query.get("namespace", "")
        after = int(query["after"]) if query.get("after", "").isdigit() else 0
        page = await self.log.dead_letters.list(subscription, after, PAGE_MAX)
        items = [
            letter_document(each) for each in page if not namespace or each.subscription.split("/")[1:2] == [namespace]
        ]
        return _answer({"items": items, "next": page[-1].number if len(page) == PAGE_MAX else None})

    async def letter(self, request: Request) -> Response:
        """One, with every attempt and the event's data."""
        number = int(request.path_params["number"])
        letter = await self.log.dead_letters.get(number)
        if letter is None:
            raise NotFound(f"there is no dead letter {number}")
        return _answer(letter_document(letter, whole=True))

    async def redrive(self, request: Request) -> Response:
        numbers = await self._chosen(await _body(request))
        result = await redrive(self.plane, self.log.dead_letters, numbers)
        refused = [{"number": number, "reason": reason} for number, reason in result.refused]
        return _answer({"redriven": result.numbers, "refused": refused})

    async def drop(self, request: Request) -> Response:
        numbers = await self._chosen(await _body(request))
        await self.log.dead_letters.drop(numbers)
        return _answer({"dropped": numbers})

    # ------------------------------------------------------------------------------------------------------------------

    async def _chosen(self, body: Json) -> Sequence[int]:
        numbers, subscription = body.get("numbers") or [], body.get("subscription")
        if bool(numbers) == bool(subscription) or not all(isinstance(number, int) for number in numbers):
            raise BadRequest("either numbers of dead letters or a subscription is expected")
        return await chosen(self.log.dead_letters, numbers, subscription)

    async def _standing(self, name: str) -> Json:
        running, cursor = self.plane.running.get(name), self.log.cursor(name)
        sort, namespace, own = name.split("/", 2)
        backlog = cursor.backlog if cursor is not None else 0
        return {
            "subscription": name,
            "kind": sort,
            "namespace": namespace,
            "name": own,
            "stream": self.plane.streams_of.get(name),
            "backlog": running.dispatcher.feed.backlog if running is not None else backlog,
            "inFlight": running.dispatcher.in_flight if running is not None else 0,
            "retrying": len(cursor.failing) if cursor is not None else 0,
            "deadLetters": await self.log.dead_letters.count(name),
            "state": "held" if running is None else "gone" if running.gone else "running",
        }

    def _is_of(self, happening: Happening, stream: str, subscription: str) -> bool:
        about = happening.about
        if subscription:
            return about == subscription
        return not stream or about == stream or self.plane.streams_of.get(about) == stream

    async def _began(self, subscription: str) -> float | None:
        """When its object was made, if it began with what came then."""
        sort, namespace, name = subscription.split("/", 2)
        if (kind := _KINDS.get(sort)) is None:
            return None
        try:
            obj = await self.store.get(kind, name, namespace)
        except NotFound:
            return None
        options = read_options(SubscriptionOptions, obj["metadata"].get("annotations") or {})
        return epoch_of(obj["metadata"]["creationTimestamp"]) if options.start.rule is StartRule.NOW else None


class Lines(Response):
    """Lines of JSON, as they come."""

    media_type = "application/jsonl"

    def __init__(self, run: Callable[[Write], Awaitable[None]], closing: asyncio.Event) -> None:
        super().__init__()
        self._run = run
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await write_body(self._telling, self._closing, receive, send)

    async def _telling(self, write: Write) -> None:
        try:
            await self._run(write)
        except* OSError:
            pass  # the client has left
        except* Exception as error:  # a defect of ours
            log.exception("a stream about events failed")
            await write(_line({"what": "error", "text": f"Internal error: {error.exceptions[0]!r}"}))


async def _follow(replay: Replay, failures: asyncio.Queue[Failure], write: Write) -> None:
    """Runs it, and tells how far it is and what fails."""
    async with asyncio.TaskGroup() as group:
        run = group.create_task(replay.run(), name=replay.name)
        while not run.done() or not failures.empty():
            await asyncio.wait((run,), timeout=TELL_S)
            while not failures.empty():
                await write(_line(failure_document(failures.get_nowait())))
            if not run.done():
                await write(_line({"what": "progress", **counts_document(replay.feed)}))


async def _body(request: Request) -> Json:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    return body


def _start(text: str) -> Start:
    """As the annotation of a Trigger has it."""
    try:
        start = read_options(SubscriptionOptions, {START_ANNOTATION: text}).start
        return Start(_ORIGINS[start.rule], start.at)
    except KeyError:
        raise BadRequest(
            f"from is {text!r}: `earliest`, an offset, or a time such as 2026-01-31T12:00:00Z is allowed"
        ) from None


def _filter(body: Json) -> Filter | None:
    text = body.get("filter")
    if not text:
        return None
    compiled = cesql_filter(str(text), "filter")
    if isinstance(compiled, Filter):
        return compiled
    raise BadRequest("\n".join(f"{error}\n{error.detail}".rstrip() for error in compiled), causes=compiled)


def _line(document: Json) -> bytes:
    return orjson.dumps(document) + b"\n"


def _answer(document: Json) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
