"""The record of each decision: what was seen, what was wanted, what bit, what was written; and its plain words.

`loop` appends to one `DecisionLog` per revision; `pilotlight explain` prints `in_words`, the API gives `as_json`.
Equal decisions in a row are folded into one with a count, so that a minute of calm does not wash out what led to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from autoscaler.decide import Observation, Outcome, Phase, Reason
from autoscaler.kpa import KpaReason
from autoscaler.spec import Metric, ScaleSpec
from core.resources.meta import Json
from core.settings.durations import format_duration

KEPT: Final = 32
"""Decisions remembered per revision."""


class Cause(IntEnum):
    """Why a revision was looked at; the larger wins where two meet."""

    CHANGE = 1  # of its spec, Deployment or ready Pods: bounds and phase anew, the formula's last word stands
    TICK = 2
    POKE = 3  # a request met it asleep


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision, or `times` equal ones, the last of them at `until` (wall seconds)."""

    at: float
    spec: ScaleSpec
    observed: Observation
    outcome: Outcome
    cause: Cause = Cause.TICK
    times: int = 1
    until: float = 0.0

    @property
    def fold_key(self) -> tuple[object, ...]:
        """Equal for decisions that tell the same story."""
        outcome = self.outcome
        return (outcome.desired, outcome.scale, outcome.state.phase, outcome.reasons, self.observed.ready, self.cause)


class DecisionLog:
    """The last decisions of one revision, oldest first."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: deque[Decision] = deque(maxlen=KEPT)

    def append(self, decision: Decision) -> None:
        if self._kept and self._kept[-1].fold_key == decision.fold_key:
            last = self._kept.pop()
            decision = replace(decision, at=last.at, times=last.times + 1, until=decision.at)
        self._kept.append(decision)

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def in_words(decision: Decision) -> str:
    """One line: `scale 1 → 3 (poked): 180 requests at a time over the last 6s …; limited by max-scale 3`."""
    sentence = f"{_head(decision)}: {_demand(decision)}"
    bits = [_BITS[reason].format(**_numbers(decision)) for reason in decision.outcome.reasons]
    times = f" ({decision.times} times)" if decision.times > 1 else ""
    return "; ".join([sentence, *bits]) + times


def as_json(decision: Decision) -> Json:
    """All of it, for programs."""
    outcome, spec = decision.outcome, decision.spec
    return {
        "at": decision.at,
        "until": decision.until or decision.at,
        "times": decision.times,
        "cause": decision.cause.name.lower(),
        "ready": decision.observed.ready,
        "replicas": decision.observed.replicas,
        "metric": spec.metric.value,
        "stable": decision.observed.stable,
        "panic": decision.observed.panic,
        "floor": decision.observed.floor,
        "target": spec.kpa.target,
        "demandStable": outcome.kpa.demand_stable,
        "demandPanic": outcome.kpa.demand_panic,
        "want": outcome.kpa.want,
        "inPanic": outcome.state.kpa.panic_since is not None,
        "excessBurstCapacity": outcome.kpa.excess_burst,
        "desired": outcome.desired,
        "written": outcome.scale,
        "phase": outcome.state.phase.value,
        "reasons": [reason.value for reason in outcome.reasons],
        "words": in_words(decision),
    }


def _head(decision: Decision) -> str:
    outcome, replicas = decision.outcome, decision.observed.replicas
    if outcome.scale is not None:
        head = f"scale {replicas} → {outcome.scale}"
    elif outcome.state.phase is Phase.INACTIVE and replicas == 0:
        head = "asleep"
    else:
        head = f"stay at {replicas}"
    return head + (" (a request woke it)" if decision.cause is Cause.POKE else "")


def _demand(decision: Decision) -> str:
    observed, spec, kpa = decision.observed, decision.spec, decision.outcome.kpa
    if spec.metric is Metric.NONE:
        return "its class is not scaled by requests"
    if decision.cause is Cause.CHANGE:
        return f"its settings or instances changed; {observed.ready} ready"
    if observed.stable is None or observed.panic is None:
        return "nobody knows how many requests there are"
    unit = "requests/s" if spec.metric is Metric.RPS else "requests at a time"
    panic = decision.outcome.state.kpa.panic_since is not None
    value, window_s = (observed.panic, spec.panic_window_s) if panic else (observed.stable, spec.stable_window_s)
    demand = kpa.demand_panic if panic else kpa.demand_stable
    mode = ", in panic" if panic else ""
    return (
        f"{value:g} {unit} over the last {format_duration(window_s)}{mode}, {spec.kpa.target:g} per instance, "
        f"so {demand} needed; {observed.ready} ready"
    )


def _numbers(decision: Decision) -> dict[str, object]:
    spec, kpa = decision.spec, decision.spec.kpa
    return {
        "up": f"{kpa.max_scale_up_rate:g}",
        "down": f"{kpa.max_scale_down_rate:g}",
        "activation": kpa.activation_scale,
        "threshold": f"{kpa.panic_threshold * 100:g}",
        "window": format_duration(kpa.stable_window_s),
        "most": decision.outcome.state.kpa.max_panic,
        "delay": format_duration(kpa.scale_down_delay_s),
        "min": spec.min_scale,
        "max": spec.max_scale,
        "initial": spec.initial_scale,
        "deadline": format_duration(spec.progress_deadline_s),
        "retention": format_duration(spec.retention_s),
        "grace": format_duration(spec.grace_s),
        "floor": decision.observed.floor,
    }


_BITS: Final[dict[KpaReason | Reason, str]] = {
    KpaReason.NO_DATA: "so the scale is kept",
    KpaReason.SCALE_UP_RATE: "limited by max-scale-up-rate {up}",
    KpaReason.SCALE_DOWN_RATE: "limited by max-scale-down-rate {down}",
    KpaReason.ACTIVATION_SCALE: "raised to activation-scale {activation}",
    KpaReason.PANIC_BEGINS: "panic begins (demand is {threshold}% of what is ready)",
    KpaReason.PANIC_ENDS: "panic ends (calm for more than {window})",
    KpaReason.NO_SCALE_DOWN_IN_PANIC: "held at {most}: never down in panic",
    KpaReason.SCALE_DOWN_DELAY: "held by scale-down-delay {delay}",
    Reason.MIN_SCALE: "raised to min-scale {min}",
    Reason.MAX_SCALE: "limited by max-scale {max}",
    Reason.INITIAL_SCALE: "raised to initial-scale {initial} until that was reached once",
    Reason.SCALE_TO_ZERO_DISABLED: "the last one stays: enable-scale-to-zero is false",
    Reason.WAITS_FOR_ACTIVATION: "waits for the instance that is starting",
    Reason.ACTIVATION_TIMED_OUT: "given up: not ready within its progress deadline {deadline}",
    Reason.ACTIVE_TOO_SHORTLY: "the last one stays: active for less than the stable window {window}",
    Reason.RETENTION: "inactive; the last one is retained for {retention}",
    Reason.GRACE: "inactive; the last one stays for the grace period {grace}",
    Reason.ZERO: "no requests, so none is needed",
    Reason.NOT_REQUEST_DRIVEN: "at least {min}",
    Reason.TRIGGERS: "raised to {floor} by the triggers of its ScaledObject",
}
