"""Subscribers in memory, for tests of what delivers to them: a `Caller` whose hosts are functions of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from core.inside import Call, CallFailed, Reply
from eventing.brokers.base import Delivery
from eventing.codec import decode, encode_binary
from eventing.event import Event
from eventing.log.base import Attempt

Answer: TypeAlias = Callable[[Event], Reply | str]
"""What a subscriber says to an event; text instead is why there was no answer."""


def event(id: str = "1", **attributes: str | int) -> Event:
    data = attributes.pop("data", None)
    body = str(data).encode() if data is not None else None
    return Event({"specversion": "1.0", "id": id, "source": "/test", "type": "t", **attributes}, body)


def with_event(reply: Event, status: int = 200) -> Reply:
    fields, body = encode_binary(reply)
    return Reply(status, fields, body)


@dataclass
class Subscribers:
    """By host. An unknown host is not served here."""

    answers: dict[str, Answer] = field(default_factory=dict)
    got: dict[str, list[Event]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)  # a closed one holds the answer back
    in_flight: int = 0
    most_in_flight: int = 0

    def serves(self, host: bytes) -> bool:
        return host.decode() in self.answers

    def wake(self, host: bytes) -> None:
        self.woken.append(host.decode())

    async def call(self, call: Call, timeout_s: float) -> Reply:
        host = call.host.decode()
        events = decode(call.fields, call.body)
        assert isinstance(events, list), events
        self.calls.append(call)
        self.got.setdefault(host, []).extend(events)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            if (gate := self.gates.get(host)) is not None:
                await gate.wait()
        finally:
            self.in_flight -= 1
        answer = self.answers[host](events[0])
        if isinstance(answer, str):
            raise CallFailed(answer)
        return answer

    def ids(self, host: str) -> list[str]:
        return [each.id for each in self.got.get(host, [])]


class Nowhere:
    """Outside, where nobody is."""

    async def call(self, url: str, call: Call, timeout_s: float) -> Reply:
        raise CallFailed(f"{url} cannot be reached")


class ListFeed:
    """A feed over a list; keeps the books of what became of each event."""

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.waiting = list(events)
        self.acked: list[str] = []
        self.buried: list[tuple[Event, str]] = []
        self.attempts: list[tuple[str, Attempt]] = []
        self._offset = 0

    @property
    def backlog(self) -> int:
        return len(self.waiting) + self._offset - len(self.acked) - len(self.buried)

    def add(self, *events: Event) -> None:
        self.waiting += events
        self.changed()

    async def run(self, started: Callable[[], None]) -> None:
        started()
        await asyncio.Event().wait()

    def take(self, count: int) -> Sequence[Delivery]:
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        self._offset += len(taken)
        first = self._offset - len(taken)
        return [Delivery(each, None, first + index) for index, each in enumerate(taken)]

    def failed(self, delivery: Delivery, attempt: Attempt) -> None:
        self.attempts.append((delivery.event.id, attempt))

    def ack(self, delivery: Delivery) -> None:
        self.acked.append(delivery.event.id)

    async def bury(self, delivery: Delivery, letter: Event, reason: str) -> int:
        self.buried.append((letter, reason))
        return len(self.buried)
