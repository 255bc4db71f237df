"""`config-autoscaler`: how every revision is scaled that does not say otherwise by annotation.

Source: knative.dev/serving/pkg/autoscaler/config/config.go (keys, defaults, bounds). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import FieldError
from core.settings.declaration import (
    BurstCapacity,
    Decimal,
    Fraction,
    Seconds,
    Settings,
    Text,
    Truth,
    Whole,
    invalid,
    key,
    parse_settings,
)

TARGET_MIN: Final = 0.01
"""The smallest per-instance target (autoscaling.TargetMin)."""
WINDOW_MIN_S: Final = 6.0
WINDOW_MAX_S: Final = 3600.0
RPS_UTILIZATION: Final = 0.7
"""Fixed upstream: the percentage key does not affect requests per second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerSettings(Settings):
    """What `config-autoscaler` says."""

    target_fraction: float = key(
        "container-concurrency-target-percentage", Fraction(), 0.7, "how much of the concurrency target is aimed for"
    )
    concurrency_target: float = key(
        "container-concurrency-target-default", Decimal(), 100.0, "requests at a time per instance, where unlimited"
    )
    rps_target: float = key(
        "requests-per-second-target-default",
        Decimal(minimum=TARGET_MIN),
        200.0,
        "requests per second per instance, for metric rps",
    )
    target_burst_capacity: float = key(
        "target-burst-capacity", BurstCapacity(), 211.0, "burst that must fit into spare capacity, else it is buffered"
    )
    stable_window_s: float = key(
        "stable-window", Seconds(WINDOW_MIN_S, WINDOW_MAX_S, whole=True), 60.0, "what the calm decision averages over"
    )
    panic_window_percentage: float = key(
        "panic-window-percentage", Decimal(1.0, 100.0), 10.0, "panic window as a share of the stable window"
    )
    panic_threshold_percentage: float = key(
        "panic-threshold-percentage", Decimal(), 200.0, "demand over capacity at which panic begins"
    )
    max_scale_up_rate: float = key(
        "max-scale-up-rate", Decimal(above=1.0), 1000.0, "at most this many times the ready instances at once"
    )
    max_scale_down_rate: float = key(
        "max-scale-down-rate", Decimal(above=1.0), 2.0, "at least the ready instances divided by this"
    )
    enable_scale_to_zero: bool = key("enable-scale-to-zero", Truth(), True, "whether the last instance may go")
    scale_to_zero_grace_period_s: float = key(
        "scale-to-zero-grace-period",
        Seconds(positive=True),
        30.0,
        "longest wait for traffic to reach the buffer before the last instance goes",
    )
    scale_to_zero_pod_retention_period_s: float = key(
        "scale-to-zero-pod-retention-period", Seconds(), 0.0, "shortest life of the last instance after that decision"
    )
    scale_down_delay_s: float = key(
        "scale-down-delay", Seconds(whole=True), 0.0, "a lower scale must have been wanted for this long"
    )
    pod_autoscaler_class: str = key(
        "pod-autoscaler-class", Text(), "kpa.autoscaling.knative.dev", "who scales: KPA, HPA, or another"
    )
    activator_capacity: float = key(
        "activator-capacity", Decimal(minimum=1.0), 100.0, "requests at a time per activator; one process here"
    )
    initial_scale: int = key("initial-scale", Whole(0), 1, "instances that must be ready before a revision is")
    allow_zero_initial_scale: bool = key("allow-zero-initial-scale", Truth(), False, "whether initial-scale may be 0")
    min_scale: int = key("min-scale", Whole(0), 0, "lower bound where no annotation says one")
    max_scale: int = key("max-scale", Whole(0), 0, "upper bound where no annotation says one; 0: none")
    max_scale_limit: int = key("max-scale-limit", Whole(0), 0, "upper bound of every max-scale; 0: none")

    def problems(self) -> Sequence[FieldError]:
        return tuple(self._problems())

    def _problems(self) -> Iterator[FieldError]:
        target = self.target_fraction * self.concurrency_target
        if target < TARGET_MIN:
            yield invalid(
                "container-concurrency-target-default",
                f"{self.concurrency_target:g}",
                f"with container-concurrency-target-percentage yields a target concurrency of {target:g}, "
                f"can't be less than {TARGET_MIN}",
            )
        if self.initial_scale == 0 and not self.allow_zero_initial_scale:
            yield invalid("initial-scale", 0, "must be at least 1 when allow-zero-initial-scale is false")
        limit = self.max_scale_limit
        if limit > 0 and not 1 <= self.max_scale <= limit:
            yield invalid("max-scale", self.max_scale, f"must be in [1, max-scale-limit({limit})] range")
        if 0 < self.max_scale < self.min_scale:
            yield invalid("min-scale", self.min_scale, f"must be at most max-scale({self.max_scale})")


def parse_autoscaler(data: Mapping[str, str]) -> AutoscalerSettings | list[FieldError]:
    return parse_settings(AutoscalerSettings, data)
