"""What is asked of one revision's scale: its PodAutoscaler's annotations over `config-autoscaler` over defaults.

`controller` resolves it once per change of either; everything after it works with plain numbers. Admission has refused
what is out of bounds, so a value that does not parse here (made by hand, or by an older platform) counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from autoscaler.kpa import KpaSpec, resolve_target
from autoscaler.windows import panic_window_s
from core.resources import autoscaling_annotations as names
from core.resources.autoscaling import PodAutoscaler, Reachability
from core.resources.autoscaling_annotations import Annotation
from core.resources.serving_labels import PROGRESS_DEADLINE_ANNOTATION
from core.settings.autoscaler import RPS_UTILIZATION, AutoscalerSettings
from core.settings.durations import parse_duration

_PROGRESS_DEADLINE_S: Final = 600.0
_WEIGHTED: Final = "weighted-exponential"
T = TypeVar("T")


class Metric(StrEnum):
    """What is averaged. `NONE`: the class is not ours to compute (HPA), the bounds alone decide."""

    CONCURRENCY = "concurrency"
    RPS = "rps"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ScaleSpec:
    """All of it, in numbers."""

    kpa: KpaSpec = field(default_factory=KpaSpec)
    metric: Metric = Metric.CONCURRENCY
    panic_window_s: float = 6.0
    weighted: bool = False
    min_scale: int = 0
    max_scale: int = 0  # 0: no bound
    initial_scale: int = 1
    enable_scale_to_zero: bool = True
    grace_s: float = 30.0
    retention_s: float = 0.0
    progress_deadline_s: float = _PROGRESS_DEADLINE_S

    @property
    def stable_window_s(self) -> float:
        return self.kpa.stable_window_s


def resolve_spec(autoscaler: PodAutoscaler, settings: AutoscalerSettings) -> ScaleSpec:
    """The spec in force."""
    marks = autoscaler.annotations
    scaled_by = names.CLASS.get(marks) or settings.pod_autoscaler_class
    ours = scaled_by == names.KPA_CLASS
    rps = names.METRIC.get(marks) == names.RPS_METRIC
    reachable = autoscaler.spec.reachability is not Reachability.UNREACHABLE
    window_s = _read(names.WINDOW, marks, parse_duration, settings.stable_window_s)
    panic = _read(names.PANIC_WINDOW_PERCENTAGE, marks, float, settings.panic_window_percentage)
    minimum = _read(names.MIN_SCALE, marks, int, settings.min_scale) if reachable else 0
    return ScaleSpec(
        kpa=_kpa(autoscaler, settings, rps, window_s),
        metric=(Metric.RPS if rps else Metric.CONCURRENCY) if ours else Metric.NONE,
        panic_window_s=panic_window_s(window_s, panic),
        weighted=names.METRIC_AGGREGATION_ALGORITHM.get(marks) == _WEIGHTED,
        min_scale=minimum if ours else max(1, minimum),
        max_scale=_read(names.MAX_SCALE, marks, int, settings.max_scale),
        initial_scale=_initial_scale(marks, settings),
        enable_scale_to_zero=settings.enable_scale_to_zero,
        grace_s=settings.scale_to_zero_grace_period_s,
        retention_s=_read(
            names.SCALE_TO_ZERO_POD_RETENTION_PERIOD,
            marks,
            parse_duration,
            settings.scale_to_zero_pod_retention_period_s,
        )
        if reachable
        else 0.0,
        progress_deadline_s=_read(
            Annotation((PROGRESS_DEADLINE_ANNOTATION,)), marks, parse_duration, _PROGRESS_DEADLINE_S
        ),
    )


def _kpa(autoscaler: PodAutoscaler, settings: AutoscalerSettings, rps: bool, window_s: float) -> KpaSpec:
    marks = autoscaler.annotations
    limit = autoscaler.spec.container_concurrency
    if rps:
        total = _read(names.TARGET, marks, float, settings.rps_target)
        utilization = RPS_UTILIZATION
    else:
        total = float(limit) if limit > 0 else settings.concurrency_target
        wanted = _read(names.TARGET, marks, float, total)
        total = min(wanted, limit) if limit > 0 else wanted  # a soft target below the hard limit, never above it
        utilization = settings.target_fraction
    percentage = _read(names.TARGET_UTILIZATION_PERCENTAGE, marks, float, utilization * 100.0)
    threshold = _read(names.PANIC_THRESHOLD_PERCENTAGE, marks, float, settings.panic_threshold_percentage)
    return KpaSpec(
        total=total,
        target=resolve_target(total, percentage / 100.0),
        stable_window_s=window_s,
        panic_threshold=threshold / 100.0,
        max_scale_up_rate=settings.max_scale_up_rate,
        max_scale_down_rate=settings.max_scale_down_rate,
        activation_scale=_read(names.ACTIVATION_SCALE, marks, int, 1),
        scale_down_delay_s=_read(names.SCALE_DOWN_DELAY, marks, parse_duration, settings.scale_down_delay_s),
        target_burst_capacity=_read(names.TARGET_BURST_CAPACITY, marks, float, settings.target_burst_capacity),
        reachable=autoscaler.spec.reachability is not Reachability.UNREACHABLE,
    )


def _initial_scale(marks: Mapping[str, str], settings: AutoscalerSettings) -> int:
    asked = _read(names.INITIAL_SCALE, marks, int, settings.initial_scale)
    return asked if asked > 0 or settings.allow_zero_initial_scale else settings.initial_scale


def _read(annotation: Annotation, marks: Mapping[str, str], read: Callable[[str], T], default: T) -> T:
    text = annotation.get(marks)
    if text is None:
        return default
    try:
        return read(text)
    except ValueError:
        return default
