"""The Knative Pod Autoscaler's formula: from two averages to how many instances are wanted.

Step two of a decision, called by `decide`. Exactly knative.dev/serving/pkg/autoscaler/scaling/autoscaler.go, as a
function of (spec, state, observation, now); what upstream logs is returned as reasons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

TICK_S: Final = 2.0
"""How often everything is decided anew, and the slot of the scale-down delay."""
_TARGET_MIN: Final = 0.01
_UNLIMITED: Final = -1.0


@dataclass(frozen=True, slots=True)
class KpaSpec:
    """What the formula needs to know of a revision: annotations over `config-autoscaler` over defaults."""

    total: float = 100.0  # what one instance can take
    target: float = 70.0  # what one instance is given: total times utilization
    stable_window_s: float = 60.0
    panic_threshold: float = 2.0  # demand over capacity
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    activation_scale: int = 1
    scale_down_delay_s: float = 0.0
    target_burst_capacity: float = 211.0
    reachable: bool = True


class KpaReason(StrEnum):
    """What bit, beyond demand over target."""

    NO_DATA = "NoData"
    SCALE_UP_RATE = "ScaleUpRate"
    SCALE_DOWN_RATE = "ScaleDownRate"
    ACTIVATION_SCALE = "ActivationScale"
    PANIC_BEGINS = "PanicBegins"
    PANIC_ENDS = "PanicEnds"
    NO_SCALE_DOWN_IN_PANIC = "NoScaleDownInPanic"
    SCALE_DOWN_DELAY = "ScaleDownDelay"


@dataclass(frozen=True, slots=True)
class KpaState:
    """What the formula remembers. `delayed` holds (slot, wanted), slots rising and wanted falling."""

    panic_since: float | None = None
    max_panic: int = 0
    delayed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class KpaResult:
    """`want` is None where nobody knows the demand: keep what is."""

    state: KpaState
    want: int | None
    excess_burst: float | None = None
    demand_stable: int = 0  # instances, before any limit
    demand_panic: int = 0
    reasons: tuple[KpaReason, ...] = ()


def resolve_target(total: float, utilization: float) -> float:
    """Requests (at a time, or per second) that one instance is given."""
    return max(_TARGET_MIN, total * utilization)


def first_state(ready: int, now: float) -> KpaState:
    """A formula that begins beside running instances begins in panic: it must not scale down before it has seen a
    whole stable window."""
    return KpaState(panic_since=now, max_panic=ready) if ready > 1 else KpaState()


def want_instances(
    spec: KpaSpec, state: KpaState, ready: int, averages: tuple[float | None, float | None], now: float
) -> KpaResult:
    """`averages` are those of the stable and the panic window."""
    stable, panic = averages
    if stable is None or panic is None:
        return KpaResult(state, None, reasons=(KpaReason.NO_DATA,))
    present = max(1, ready)
    demand_stable, demand_panic = math.ceil(stable / spec.target), math.ceil(panic / spec.target)
    calm, _ = _limited(spec, demand_stable, present)
    alarmed, _ = _limited(spec, demand_panic, present)

    panic_since, reasons = _panic(spec, state, demand_panic / present, now)
    max_panic = state.max_panic if panic_since is not None else 0
    if panic_since is None:
        want, bit = _limited(spec, demand_stable, present)
    else:
        want, bit = max(calm, alarmed), _limited(spec, max(demand_stable, demand_panic), present)[1]
        if want < max_panic:
            bit = (*bit, KpaReason.NO_SCALE_DOWN_IN_PANIC)
        want = max_panic = max(max_panic, want)
    delayed, longest = _delay(spec, state.delayed, want, now)
    if longest > want:
        want, bit = longest, (*bit, KpaReason.SCALE_DOWN_DELAY)
    return KpaResult(
        state=replace(state, panic_since=panic_since, max_panic=max_panic, delayed=delayed),
        want=want,
        excess_burst=_excess_burst(spec, ready, panic),
        demand_stable=demand_stable,
        demand_panic=demand_panic,
        reasons=(*reasons, *bit),
    )


def _limited(spec: KpaSpec, demand: int, present: int) -> tuple[int, tuple[KpaReason, ...]]:
    """Rates first, the activation scale after them: it is itself not limited, and never wakes a revision."""
    most = math.ceil(spec.max_scale_up_rate * present)
    least = math.floor(present / spec.max_scale_down_rate) if spec.reachable else 0
    want = min(max(demand, least), most)
    reasons: tuple[KpaReason, ...] = ()
    if want != demand:
        reasons = (KpaReason.SCALE_UP_RATE if want < demand else KpaReason.SCALE_DOWN_RATE,)
    if spec.activation_scale > 1 and demand > 0 and want < spec.activation_scale:
        return spec.activation_scale, (*reasons, KpaReason.ACTIVATION_SCALE)
    return want, reasons


def _panic(spec: KpaSpec, state: KpaState, load: float, now: float) -> tuple[float | None, tuple[KpaReason, ...]]:
    """Since when, if at all. It ends strictly more than one stable window after the last tick over the threshold."""
    if load >= spec.panic_threshold:
        return now, (KpaReason.PANIC_BEGINS,) if state.panic_since is None else ()
    if state.panic_since is not None and state.panic_since + spec.stable_window_s < now:
        return None, (KpaReason.PANIC_ENDS,)
    return state.panic_since, ()


def _delay(
    spec: KpaSpec, delayed: tuple[tuple[int, int], ...], want: int, now: float
) -> tuple[tuple[tuple[int, int], ...], int]:
    """The largest scale wanted within the delay (knative.dev/serving/pkg/autoscaler/aggregation/max)."""
    if spec.scale_down_delay_s <= 0 or not spec.reachable:
        return (), want
    slot = math.floor(now / TICK_S)
    oldest = slot - math.ceil(spec.scale_down_delay_s / TICK_S)
    kept = tuple((at, value) for at, value in delayed if at > oldest and value > want)
    kept = (*kept, (slot, want))
    return kept, kept[0][1]


def _excess_burst(spec: KpaSpec, ready: int, panic: float) -> float:
    """Spare capacity beyond the burst to be ready for: raw ready count and total capacity, not target."""
    if spec.target_burst_capacity == 0 or spec.target_burst_capacity == _UNLIMITED:
        return spec.target_burst_capacity
    return math.floor(ready * spec.total - spec.target_burst_capacity - panic)
