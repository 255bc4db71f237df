"""What is asked of one ScaledObject's scale, in numbers: `controller` resolves it once per change of the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from scalers.readings import MetricType


class FallbackBehavior(StrEnum):
    STATIC = "static"
    CURRENT_REPLICAS = "currentReplicas"
    CURRENT_REPLICAS_IF_HIGHER = "currentReplicasIfHigher"
    CURRENT_REPLICAS_IF_LOWER = "currentReplicasIfLower"
    SCALING_MODIFIERS = "scalingModifiers"


@dataclass(frozen=True, slots=True)
class Fallback:
    failure_threshold: int  # active where consecutive failures are more
    replicas: int
    behavior: FallbackBehavior = FallbackBehavior.STATIC


class SelectPolicy(StrEnum):
    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class PolicyType(StrEnum):
    PODS = "Pods"
    PERCENT = "Percent"


@dataclass(frozen=True, slots=True)
class Policy:
    type: PolicyType
    value: int
    period_s: float


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """One direction (autoscaling/v2.HPAScalingRules)."""

    stabilization_window_s: float = 0.0
    select: SelectPolicy = SelectPolicy.MAX
    policies: Sequence[Policy] = ()  # none: no limit of rate
    tolerance: float | None = None  # None: without one (the controller of a cluster has 0.1)


DOWN_WINDOW_S: Final = 300.0
"""The stabilization window of scaleDown where the document names none (autoscaling/v2: the controller's default)."""


@dataclass(frozen=True, slots=True)
class Behavior:
    """What the document writes down, with its defaults; a document without is `Behavior()`."""

    up: ScalingRules = field(default_factory=ScalingRules)
    down: ScalingRules = field(default_factory=lambda: ScalingRules(DOWN_WINDOW_S))


@dataclass(frozen=True, slots=True)
class Modifiers:
    """spec.advanced.scalingModifiers; `formula` is its text, which admission has compiled."""

    formula: str
    target: float
    activation_target: float = 0.0
    metric_type: MetricType = MetricType.AVERAGE_VALUE


@dataclass(frozen=True, slots=True)
class Pause:
    """What the annotations autoscaling.keda.sh/* hold still."""

    all: bool = False
    replicas: int | None = None  # written once, then held; wins over `all`
    scale_in: bool = False
    scale_out: bool = False

    @property
    def holds(self) -> bool:
        """Whatever triggers ask for."""
        return self.all or self.replicas is not None


@dataclass(frozen=True, slots=True)
class ScalingSpec:
    """All of it. `idle` None: there is no idle count."""

    min_replicas: int = 0
    max_replicas: int = 100
    idle: int | None = None
    polling_interval_s: float = 30.0
    cooldown_s: float = 300.0
    initial_cooldown_s: float = 0.0
    fallback: Fallback | None = None
    behavior: Behavior = field(default_factory=Behavior)
    modifiers: Modifiers | None = None
    pause: Pause = field(default_factory=Pause)
    forced: bool = False  # force-activation
    drain_time_s: float | None = None  # pilotlight.dev/drain-time
