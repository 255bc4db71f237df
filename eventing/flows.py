"""Sequence and Parallel as the subscriptions that they are, all of one stream: no channel lies between two steps.

What has come in from outside has no mark. An answer that goes on to another leg of the same flow is stored in the same
stream, marked (`hops.STEP`) with the one leg that it is for. So a step is one transfer to its subscriber and an append.
Pure; `controllers/flow` resolves and runs what is said here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.resources.meta import Json, ObjectKey
from eventing.filters.clauses import Attributes, Filter, exact, legacy, negated
from eventing.hops import STEP

FILTER: Final = "filter"


@dataclass(frozen=True, slots=True)
class Leg:
    """One subscription of a flow. `path` is where the document speaks of it.

    `step`: the mark of the events that it gets; empty for what has come in. Its answers go on to the leg marked `next`,
    or to `reply`, or nowhere.
    """

    name: str
    path: str
    step: str
    subscriber: Json
    next: str = ""
    reply: Json | None = None
    delivery: Json | None = None

    @property
    def wanted(self) -> Filter:
        """In words that say nothing of marks, which nobody sees."""
        inner = exact(STEP, {STEP: self.step}) if self.step else negated(STEP, legacy(STEP, {STEP: ""}))

        def failing(attributes: Attributes) -> str | None:
            return None if inner.passing(attributes) else f"{self.path}: it is for another part of the flow"

        text = f"what goes on to {self.step}" if self.step else "what comes in"
        return replace(inner, text=text, failing=failing)


def flow_stream(sort: str, key: ObjectKey) -> str:
    """`sort` is `sequence` or `parallel`: one of each may have the same name."""
    return f"{sort}/{key.namespace}/{key.name}"


def sequence_legs(spec: Json) -> Sequence[Leg]:
    """A leg for each step, by its number; the last one's answer goes to the reply."""
    steps = spec.get("steps") or ()
    last = len(steps) - 1
    return [
        Leg(
            name=str(number),
            path=f"spec.steps[{number}]",
            step=str(number) if number else "",
            subscriber=step,
            next=str(number + 1) if number < last else "",
            reply=spec.get("reply") if number == last else None,
            delivery=step.get("delivery"),
        )
        for number, step in enumerate(steps)
    ]


def parallel_legs(spec: Json) -> Sequence[Leg]:
    """A leg for each branch, by its number, and one before it where the branch has a filter: what that one answers is
    what the branch gets."""
    legs: list[Leg] = []
    for number, branch in enumerate(spec.get("branches") or ()):
        name, path, delivery = str(number), f"spec.branches[{number}]", branch.get("delivery")
        guard = branch.get("filter")
        if guard:
            legs.append(Leg(f"{name}/{FILTER}", f"{path}.filter", "", guard, next=name, delivery=delivery))
        legs.append(
            Leg(
                name=name,
                path=f"{path}.subscriber",
                step=name if guard else "",
                subscriber=branch.get("subscriber") or {},
                reply=branch.get("reply") or spec.get("reply"),
                delivery=delivery,
            )
        )
    return legs
