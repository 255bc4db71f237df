"""The record of each decision of a ScaledObject, and its plain words: what was read, asked for, bounded, written.

The loop appends to one `DecisionLog` per object; `pilotlight explain` prints `in_words`, the API gives `as_json`. Equal
decisions in a row are folded into one with a count, so that a night of calm does not wash out what led to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from autoscaler.triggers.decide import Observed, Outcome
from autoscaler.triggers.demand import Basis, Demand
from autoscaler.triggers.spec import ScalingSpec
from core.resources.meta import Json
from core.settings.durations import format_duration
from scalers.readings import MetricType

KEPT: Final = 32
"""Decisions remembered per object."""


class Cause(IntEnum):
    """Why it was decided; the larger wins where two meet."""

    TIMER = 1  # the last decision said that it would be another one now
    CHANGE = 2  # of the document, the target or its instances
    READING = 3
    PUSH = 4  # a source said that there is work


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision, or `times` equal ones: the newest; the first was at `at`, the last at `until` (wall seconds)."""

    at: float
    now: float  # monotonic, as `outcome.next_at`
    spec: ScalingSpec
    observed: Observed
    outcome: Outcome
    cause: Cause = Cause.READING
    times: int = 1
    until: float = 0.0

    @property
    def fold_key(self) -> tuple[object, ...]:
        """Equal for decisions that tell the same story."""
        outcome = self.outcome
        told: list[object] = [outcome.desired, outcome.scale, outcome.active, self.observed.replicas]
        told += [reason.rule for reason in outcome.reasons]
        for demand in outcome.demands:
            told += (demand.metric, demand.basis, demand.replicas)
        return tuple(told)

    def after(self, last: Decision) -> Decision:
        """Folded with one before it that tells the same."""
        about = (self.now, self.spec, self.observed, self.outcome, self.cause)
        return Decision(last.at, *about, times=last.times + 1, until=self.at)

    @property
    def next_in_s(self) -> float | None:
        """Seconds from the decision until the same readings would lead to another one; None: they never would."""
        next_at = self.outcome.next_at
        return None if next_at is None else max(0.0, next_at - self.now)


class DecisionLog:
    """The last decisions of one object, oldest first."""

    __slots__ = ("_fold_key", "_kept")

    def __init__(self) -> None:
        self._kept: deque[Decision] = deque(maxlen=KEPT)
        self._fold_key: tuple[object, ...] = ()

    def append(self, decision: Decision) -> None:
        fold_key = decision.fold_key
        if fold_key == self._fold_key:
            last = self._kept.pop()
            decision = decision.after(last)
        self._kept.append(decision)
        self._fold_key = fold_key

    @property
    def last(self) -> Decision | None:
        return self._kept[-1] if self._kept else None

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def in_words(decision: Decision) -> str:
    """One line: `scale 0 → 5: s0-kafka-orders 58 / 10 = 6; s0-kafka-orders limited to 5 of 6: …; next …`."""
    outcome = decision.outcome
    parts = [_asked(demand) for demand in outcome.demands if demand.counts or demand.basis is Basis.UNKNOWN]
    parts += [str(reason) for reason in outcome.reasons]
    sentence = f"{_head(decision)}: {'; '.join(parts) or 'it has no triggers'}"
    if decision.next_in_s is not None:
        sentence += f"; with the same readings another decision in {format_duration(round(decision.next_in_s, 1))}"
    return sentence + (f" ({decision.times} times)" if decision.times > 1 else "")


def as_json(decision: Decision) -> Json:
    """All of it, for programs."""
    outcome, observed = decision.outcome, decision.observed
    return {
        "at": decision.at,
        "until": decision.until or decision.at,
        "times": decision.times,
        "cause": decision.cause.name.lower(),
        "replicas": observed.replicas,
        "ready": observed.ready,
        "inFlight": observed.in_flight,
        "active": outcome.active,
        "inFallback": outcome.in_fallback,
        "wanted": outcome.wanted,
        "desired": outcome.desired,
        "written": outcome.scale,
        "nextInSeconds": decision.next_in_s,
        "metrics": [_demand_json(demand) for demand in outcome.demands],
        "reasons": [{"rule": reason.rule.value, "words": str(reason)} for reason in outcome.reasons],
        "words": in_words(decision),
    }


def _head(decision: Decision) -> str:
    outcome, replicas = decision.outcome, decision.observed.replicas
    if outcome.scale is not None:
        head = f"scale {replicas} → {outcome.scale}"
    else:
        head = "asleep" if replicas == 0 else f"stay at {replicas}"
    return head + (" (its source said that there is work)" if decision.cause is Cause.PUSH else "")


def _asked(demand: Demand) -> str:
    """`s0-kafka-orders 58 / 10 = 6`."""
    name, note = demand.metric, f" ({demand.note})" if demand.note else ""
    if demand.basis is Basis.UNKNOWN:
        return f"{name} is not known: {demand.error}"
    if demand.basis is Basis.FALLBACK:
        return f"{name} is not known: {demand.error}; fallback {demand.detail} = {demand.replicas}"
    if demand.basis is Basis.DRAIN_TIME:
        return f"{name} {_RATES.format(*demand.rates)} = {demand.wanted}{note}"
    more = " or more" if demand.at_least else ""
    unit = "%" if demand.metric_type is MetricType.UTILIZATION else ""
    times = "" if demand.metric_type is MetricType.AVERAGE_VALUE or not demand.ready else f" x {demand.ready} ready"
    value = f"{demand.value:g}" if demand.value is not None else "?"
    if demand.basis is Basis.FORMULA:
        value = f"({demand.detail} = {value})"
    return f"{name} {value}{unit}{more} / {demand.target:g}{unit}{times} = {demand.wanted}{note}"


_RATES: Final = "({0:g} waiting / {1:g}s + {2:.4g}/s arriving) / {3:.4g}/s per replica"


def _demand_json(demand: Demand) -> Json:
    return {
        "metric": demand.metric,
        "basis": demand.basis.value,
        "counts": demand.counts,
        "active": demand.active,
        "value": demand.value,
        "target": demand.target,
        "metricType": demand.metric_type.value,
        "atLeast": demand.at_least,
        "wanted": demand.wanted,
        "replicasMax": demand.most,
        "replicas": demand.replicas,
        "detail": _RATES.format(*demand.rates) if demand.rates else demand.detail,
        "error": demand.error,
        "note": demand.note,
    }
