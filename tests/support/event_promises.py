"""What `docs/eventing.md` promises of deliveries, judged over the books of a `House` once everything has settled.

Each function raises AssertionError with what is wrong. They know nothing of how the platform does it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

from core.resources.eventing_delivery import BackoffPolicy
from eventing.event import Event
from eventing.log.base import DeadLetter, Fate
from tests.support.event_house import LETTERS, STREAM, Books, House, Trigger
from tests.support.event_people import Visit

ACK_S = 0.1
"""What was delivered longer ago than this is known to be delivered after any crash."""
REFUSED_S = 1.1
"""… and where the disk has refused something, this long after that."""
PROMPT_S = 1.0
"""A subscriber that always answers at once has every event in this time, whatever others do."""
ERRORS = ("knativeerrordest", "knativeerrorcode", "knativeerrordata")
RETRIED = (404, 408, 409, 429)  # and from 500 on
ERROR_DATA_MAX = 1024
OFFSETS = re.compile(r"\(offsets ([0-9]+) to ([0-9]+)\)")


class Promises:
    """`letters` are all dead letters there are, by trigger. `torn`: bits have flipped, so rows may be lost."""

    def __init__(self, house: House, letters: Mapping[str, list[DeadLetter]], torn: bool) -> None:
        self._house = house
        self._books: Books = house.books
        self._people = house.people.people
        self._letters = letters
        self._torn = torn
        self._triggers = [house.triggers[name] for name in house.triggers]

    def check(self) -> None:
        for trigger in self._triggers:
            self._nothing_is_lost(trigger)
            self._nothing_comes_from_nowhere(trigger)
            self._tries_are_as_the_policy_says(trigger)
            self._what_succeeded_is_not_sent_again(trigger)
            if all(era.trigger and era.trigger.order_key for era in self._books.eras[trigger.name]):
                self._order(trigger)
        if not self._torn:
            self._the_healthy_one_is_prompt()
        positions = set(self._house.log.stream(STREAM).subscriptions)
        assert positions <= {trigger.subscription_name for trigger in self._triggers}, f"{positions} hold the log up"
        self._letters_arrive()

    # -- at least once -------------------------------------------------------------------------------------------------

    def _nothing_is_lost(self, trigger: Trigger) -> None:
        delivered = {visit.event.id for visit in self._visits(trigger) if visit.succeeded}
        dead = self._dead(trigger)
        told, head = self._told_of_damage(trigger), self._house.log.stream(STREAM).head
        was_gone = any(visit.status == 410 for visit in self._visits(trigger))
        for id in self._accepted():
            if id in delivered or id in dead or not self._is_owed(trigger, id):
                continue
            offsets = self._books.offsets.get(id, set())
            if was_gone and max(offsets, default=-1) < head:
                continue  # retention does not wait for a subscriber that is gone
            assert offsets & told, f"{id} was accepted and {trigger.name} never got it: stored at {offsets}"

    def _accepted(self) -> Iterable[str]:
        """What was answered with 202, and the replies of deliveries that are over."""
        yield from (id for id, (_, life) in self._books.acked.items() if life >= self._books.honest_from)
        for trigger in self._triggers:
            dead, told = self._dead(trigger), self._told_of_damage(trigger)
            last: dict[str, Visit] = {visit.event.id: visit for visit in self._visits(trigger)}
            for id, visit in last.items():
                lost = id in dead or self._books.offsets.get(id, set()) & told
                if visit.replied and not lost and visit.life >= self._books.honest_from:
                    reply = self._people[trigger.name].reply(visit.event)
                    assert reply is not None
                    yield reply.id

    def _dead(self, trigger: Trigger) -> set[str]:
        return {letter.event.id for letter in self._letters[trigger.name] if letter.event is not None}

    def _is_owed(self, trigger: Trigger, id: str) -> bool:
        """Whether the trigger was there, and wanted it, from before it was offered until now."""
        offered, event = self._books.offered[id]
        wanted = False
        for era in self._books.eras[trigger.name]:
            if era.trigger is None:
                wanted = False
                if era.began >= offered:
                    return False
            elif era.began < offered:
                wanted = (wanted or era.sure) and era.trigger.filter.matches(event)
            else:
                wanted = wanted and era.trigger.filter.matches(event)
        return wanted

    def _told_of_damage(self, trigger: Trigger) -> set[int]:
        told: set[int] = set()
        for letter in self._letters[trigger.name]:
            if letter.event is None and letter.offset is not None:
                told.add(letter.offset)
                if (named := OFFSETS.search(letter.reason)) is not None:
                    told |= set(range(int(named[1]), int(named[2]) + 1))
        return told

    def _letters_arrive(self) -> None:
        """Where a sink is named it has them all, with what went wrong."""
        got = {visit.event.id: visit.event for visit in self._people[LETTERS].visits if visit.status == 200}
        for trigger in self._triggers:
            for letter in self._letters[trigger.name] if trigger.sink else ():
                if letter.event is not None and letter.fate is Fate.SENT:
                    assert letter.event.id in got, f"dead letter {letter.number} never came to its sink"
                    _is_told_as_dead(got[letter.event.id])

    # -- nothing else --------------------------------------------------------------------------------------------------

    def _nothing_comes_from_nowhere(self, trigger: Trigger) -> None:
        for visit in self._visits(trigger):
            known = self._books.offered.get(visit.event.id)
            assert known is not None, f"{trigger.name} got {visit.event.id}, which nobody sent"
            assert known[1] == visit.event, f"{visit.event.id} came to {trigger.name} as {visit.event}, was {known[1]}"
            eras = [era.trigger for era in self._books.eras[trigger.name] if era.began <= visit.started]
            assert any(was is not None and was.filter.matches(visit.event) for was in eras), (
                f"{trigger.name} got {visit.event.id}, which it does not want"
            )

    def _tries_are_as_the_policy_says(self, trigger: Trigger) -> None:
        """In one life no more than the policy has; over all lives one more for each crash, since the last attempt
        before it may be forgotten (all of them where the disk refused to write them down)."""
        most = max(era.trigger.policy.retry for era in self._books.eras[trigger.name] if era.trigger is not None) + 1
        forgotten = sum(
            (most if life.refused_at > 0 else 1)
            for life in self._books.lives[self._books.whole_from :]
            if not life.clean
        )
        for id, visits in _by_event(self._visits(trigger)).items():
            copies = max(self._replies_with(id), 1)
            again = self._books.redriven.get((trigger.name, id), 0) * most
            whole = [visit for visit in visits if visit.life >= self._books.whole_from]
            assert len(whole) <= copies * (most + forgotten) + again, (
                f"{trigger.name} was tried {len(whole)} times with {id}"
            )
            for life in {visit.life for visit in whole}:
                count = sum(visit.life == life for visit in whole)
                assert count <= copies * most + again, (
                    f"{trigger.name} was tried {count} times with {id} in life {life}"
                )
            if not again and copies == 1:
                self._waits(trigger, whole)
                noted = sum(self._is_written(visit) for visit in whole if not visit.succeeded)
                assert noted <= most, f"{trigger.name} was tried again with {id}, which had failed {noted} times"

    def _is_written(self, visit: Visit) -> bool:
        """Whether what came of it was on disk before the platform died."""
        life = self._books.lives[visit.life]
        if visit.ended is None:
            return False
        return life.clean or life.ended > max(visit.ended + ACK_S, life.refused_at + REFUSED_S)

    def _waits(self, trigger: Trigger, visits: list[Visit]) -> None:
        triggers = [era.trigger for era in self._books.eras[trigger.name] if era.trigger is not None]
        for earlier, later in pairwise(visits):
            if earlier.life != later.life or earlier.ended is None or earlier.succeeded:
                continue
            tried_again = earlier.status is None or earlier.status in RETRIED or earlier.status >= 500
            assert tried_again, f"{trigger.name} got {earlier.event.id} again after it had answered {earlier.status}"
            if all(each == trigger for each in triggers):  # an edit begins what waits anew
                policy, waited = trigger.policy, later.started - earlier.ended
                first = policy.backoff_delay_s * (1 if policy.backoff is BackoffPolicy.LINEAR else 2)
                least = max(first, min(earlier.retry_after_s, policy.retry_after_max_s))
                assert waited >= least - 1e-6, f"{trigger.name} was tried again after {waited:.3f} s, not {least:.3f}"

    def _what_succeeded_is_not_sent_again(self, trigger: Trigger) -> None:
        """But where a crash came before its acknowledgement was written."""
        for id, visits in _by_event(self._visits(trigger)).items():
            if (trigger.name, id) in self._books.redriven or self._replies_with(id) > 1:
                continue
            whole = [visit for visit in visits if visit.life >= self._books.whole_from]
            for earlier, later in pairwise(whole):
                if not earlier.succeeded:
                    continue
                assert later.life > earlier.life, f"{trigger.name} got {id} twice in one life"
                assert earlier.replied or not self._is_written(earlier), (
                    f"{trigger.name} got {id} again, acknowledged long before the crash"
                )

    def _replies_with(self, id: str) -> int:
        """How often a subscriber has replied with that event: each time it is another one to the platform."""
        causes = (("asks", id.removeprefix("answer-")), ("loops", id.removesuffix("'")))
        return sum(
            sum(visit.replied for visit in self._people[name].of(cause)) for name, cause in causes if cause != id
        )

    # -- order and others ----------------------------------------------------------------------------------------------

    def _order(self, trigger: Trigger) -> None:
        """Per key and life: the next one begins when the one before is over for good."""
        for life in range(len(self._books.lives)):
            by_key: dict[str, list[Visit]] = {}
            for visit in self._visits(trigger):
                if visit.life == life:
                    by_key.setdefault(str(visit.event.attributes.get(trigger.order_key or "", "")), []).append(visit)
            for visits in by_key.values():
                seen: list[str] = []
                for earlier, later in pairwise(visits):
                    if earlier.event.id == later.event.id:
                        continue
                    seen.append(earlier.event.id)
                    assert later.event.id not in seen, f"{trigger.name} got {later.event.id} after {earlier.event.id}"
                    assert earlier.ended is not None, f"{later.event.id} began before {earlier.event.id} was over"
                    assert later.started >= earlier.ended
                    # Producers number what they send, and the ingress stores it in that order.
                    first, second = (int(each.event.id[1:]) for each in (earlier, later))
                    assert first < second, f"{trigger.name} got {later.event.id} behind {earlier.event.id}"

    def _the_healthy_one_is_prompt(self) -> None:
        firsts: dict[str, float] = {}
        for visit in self._people["healthy"].visits:
            firsts.setdefault(visit.event.id, visit.started)
        for id, (when, life) in self._books.acked.items():
            if life < self._books.honest_from:
                continue
            due = when + PROMPT_S
            while self._books.lives[life].ended < due:
                life += 1
                due = self._books.lives[life].began + PROMPT_S
            assert firsts[id] <= due, f"healthy had {id} {firsts[id] - when:.2f} s after 202: others held it up"

    def _visits(self, trigger: Trigger) -> list[Visit]:
        return self._people[trigger.name].visits


def _by_event(visits: Iterable[Visit]) -> dict[str, list[Visit]]:
    found: dict[str, list[Visit]] = {}
    for visit in visits:
        found.setdefault(visit.event.id, []).append(visit)
    return found


def _is_told_as_dead(event: Event) -> None:
    attributes = event.attributes
    assert str(attributes["knativeerrordest"]).startswith("http://"), attributes
    assert int(attributes["knativeerrorcode"]) >= -1, attributes
    said = str(attributes.get("knativeerrordata", ""))
    assert len(said) <= ERROR_DATA_MAX, attributes
    base64.b64decode(said, validate=True)
