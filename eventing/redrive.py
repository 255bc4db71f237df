"""Dead letters sent on their way again, or dropped, by whoever looked at them.

A redriven event is appended to its stream, for the subscription that failed and for no other; then the letter is
marked. A crash in between redrives it again, as deliveries are at least once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from core.errors import NotFound
from eventing.dataplane import DataPlane
from eventing.deadletter import redriven
from eventing.hops import ONLY
from eventing.log.base import DeadLetter, Fate
from eventing.log.dead_letters import DeadLetters

PAGE: Final = 256


@dataclass(slots=True)
class Redriven:
    """Numbers that are on their way again; and of the others, why not."""

    numbers: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


async def chosen(letters: DeadLetters, numbers: Sequence[int], subscription: str | None) -> list[int]:
    """The numbers themselves, or those of all letters of a subscription that nobody has redriven. NotFound."""
    if subscription is None:
        for number in numbers:
            if await letters.get(number) is None:
                raise NotFound(f"there is no dead letter {number}")
        return list(numbers)
    found: list[int] = []
    after = 0
    while page := await letters.list(subscription, after, PAGE):
        found += [letter.number for letter in page if letter.fate is not Fate.REDRIVEN]
        after = page[-1].number
    return found


async def redrive(plane: DataPlane, letters: DeadLetters, numbers: Sequence[int]) -> Redriven:
    """Each of them, in order. StoreFull, TooManyRequests, TemporaryError: those before are on their way."""
    result = Redriven()
    for number in numbers:
        letter = await letters.get(number)
        refusal = "there is no such dead letter" if letter is None else _refusal(plane, letter)
        if letter is None or refusal:
            result.refused.append((number, refusal))
            continue
        assert letter.event is not None
        event = redriven(letter, letter.event)
        if letter.subscription == letter.stream:
            event = event.with_attributes(**{ONLY: None})  # set aside at the entrance: nobody has seen it yet
        broker = plane.stream(letter.stream)
        assert broker is not None
        await broker.append([event])
        await letters.mark([number], Fate.REDRIVEN)
        result.numbers.append(number)
    return result


def _refusal(plane: DataPlane, letter: DeadLetter) -> str:
    """Why it cannot go on its way; empty where it can."""
    if letter.event is None:
        return "the event itself was damaged, nothing of it is left"
    if plane.stream(letter.stream) is None:
        return f"there is no {letter.stream} any more"
    if letter.subscription != letter.stream and plane.streams_of.get(letter.subscription) != letter.stream:
        return f"there is no {letter.subscription} at {letter.stream} any more"
    return ""
