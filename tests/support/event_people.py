"""Who gets events in a story of faults: subscribers with moods, and a book of every visit that the platform paid them.

They are other processes: they outlive the platform, and what they say to a dead one nobody hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from core.inside import Call, CallFailed, Reply
from eventing.codec import decode, encode_binary
from eventing.event import Event
from eventing.hops import stripped


class Mood(StrEnum):
    GOOD = "good"
    SLOW = "slow"  # and every one otherwise, so that answers change places
    FLAKY = "flaky"
    BROKEN = "broken"
    BUSY = "busy"
    SILENT = "silent"
    CUT = "cut"
    RUDE = "rude"
    NONSENSE = "nonsense"
    GONE = "gone"


@dataclass(slots=True)
class Visit:
    """One attempt as its subscriber saw it. `ended` None: the platform did not wait for the answer."""

    event: Event
    life: int
    started: float
    ended: float | None = None
    status: int | None = None  # of the answer, if there was one
    replied: bool = False
    nonsense: bool = False  # it said 200, and then something that is no event
    retry_after_s: float = 0.0

    @property
    def succeeded(self) -> bool:
        return self.ended is not None and self.status == 200 and not self.nonsense


@dataclass
class Person:
    """A subscriber. `reply` makes one to an event that asks for it."""

    reply: Callable[[Event], Event | None] = lambda event: None
    mood: Mood = Mood.GOOD
    visits: list[Visit] = field(default_factory=list)

    def of(self, id: str) -> list[Visit]:
        return [visit for visit in self.visits if visit.event.id == id]


class People:
    """`core.inside.Caller` and `sender.Outside` at once; by the first label of their hosts.

    `alive` says whether there is anybody to answer to, `heard` is called with every reply that is given.
    """

    def __init__(self, chance: Random, people: dict[str, Person], heard: Callable[[Event], None]) -> None:
        self.people = people
        self.alive: Callable[[], bool] = lambda: True
        self.life = 0
        self._chance = chance
        self._heard = heard

    def serves(self, host: bytes) -> bool:
        return True

    async def call(self, call: Call, timeout_s: float) -> Reply:
        if not self.alive():
            await asyncio.Event().wait()
        loop = asyncio.get_running_loop()
        events = decode(call.fields, call.body)
        assert isinstance(events, list), events
        person = self.people[call.host.decode().partition(".")[0]]
        visit = Visit(events[0], self.life, loop.time())
        person.visits.append(visit)
        delay, answer = self._answer(person, events[0])
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(delay)
        except TimeoutError:
            answer = f"there was no answer within {timeout_s:g} s"
        if not self.alive():
            await asyncio.Event().wait()
        visit.ended = loop.time()
        if isinstance(answer, str):
            raise CallFailed(answer)
        visit.status = answer.status
        visit.retry_after_s = float(answer.value(b"retry-after") or 0)
        visit.nonsense = answer.value(b"content-type") == b"text/html"
        if answer.value(b"ce-id") is not None:
            visit.replied = True
            replies = decode(answer.fields, answer.body)
            assert isinstance(replies, list)
            self._heard(stripped(replies[0]))
        return answer

    def _answer(self, person: Person, event: Event) -> tuple[float, Reply | str]:
        chance, mood = self._chance, person.mood
        if mood is Mood.FLAKY:
            mood = chance.choice((Mood.GOOD, Mood.SLOW, Mood.BROKEN, Mood.BUSY, Mood.CUT, Mood.SILENT, Mood.NONSENSE))
        match mood:
            case Mood.BROKEN:
                return 0.01, Reply(chance.choice((500, 502, 503, 404, 408, 409)), (), b"broken")
            case Mood.BUSY:
                asked = b"%d" % chance.choice((0, 1, 3, 20))
                return 0.0, Reply(chance.choice((429, 503)), ((b"retry-after", asked),))
            case Mood.SILENT:
                return 1e6, "never"
            case Mood.CUT:
                return 0.02, "the connection ended in the middle of the answer"
            case Mood.RUDE:
                return 0.0, Reply(chance.choice((400, 403, 413, 415, 302)), (), b"no\0pe")
            case Mood.NONSENSE:
                return 0.0, Reply(200, ((b"content-type", b"text/html"),), b"<p>welcome")
            case Mood.GONE:
                return 0.0, Reply(410)
        reply = person.reply(event)
        answer = Reply(200) if reply is None else Reply(200, *encode_binary(reply))
        return (chance.uniform(0, 2) if mood is Mood.SLOW else 0.001), answer
