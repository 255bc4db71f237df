"""What a scaler is told, and what it answers: triggers, targets, readings. Pure values.

A reading is a number with what is known about it. Not knowing is never a number: a scaler that could not read raises
TemporaryError or PermanentError, and whoever asked decides without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.resources.meta import ObjectKey


class MetricType(StrEnum):
    """How a value and its target make a number of replicas (autoscaling/v2.MetricTargetType)."""

    AVERAGE_VALUE = "AverageValue"  # ceil(value / target)
    VALUE = "Value"  # ceil(value / target x ready replicas)
    UTILIZATION = "Utilization"  # cpu and memory: percent of what each replica requests


class Quality(StrEnum):
    """How much a reading proves."""

    WHOLE = "whole"
    PARTIAL = "partial"  # a part could not be read: at least so much. It may raise replicas and never lowers them


@dataclass(frozen=True, slots=True)
class TargetRef:
    """What is scaled: `container` is the one whose environment triggers may refer to (None: the first)."""

    kind: str = "Deployment"
    name: str = ""
    container: str | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """One entry of `spec.triggers`, with all that it refers to resolved.

    `auth` is what its authenticationRef gave, `env` the environment of the target's container: both hold secrets.
    """

    owner: ObjectKey
    index: int
    type: str
    metadata: Mapping[str, str]
    name: str = ""
    owner_kind: str = "ScaledObject"
    metric_type: MetricType | None = None
    target: TargetRef = field(default_factory=TargetRef)
    auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cached: bool = False  # read at the polling interval and never in between
    feeds_formula: bool = False  # its reading goes into scalingModifiers.formula, which has a target of its own
    pod_identity: str = ""  # the provider that its authenticationRef names; empty: none

    @property
    def path(self) -> str:
        """Of its field in the document."""
        return f"spec.triggers[{self.index}]"


@dataclass(frozen=True, slots=True)
class Target:
    """One number that a trigger is scaled by, and what it shall be held at."""

    metric: str  # upstream's name without its prefix `s<index>-`: `kafka-orders`
    value: float  # greater than 0
    activation: float = 0.0  # active where the reading is greater
    metric_type: MetricType = MetricType.AVERAGE_VALUE
    wakes: bool = True  # cpu and memory do not: without instances there is none of it, whatever work there is


@dataclass(frozen=True, slots=True)
class Reading:
    """One number, read from its system just now.

    `produced` and `consumed` count messages since some beginning of their own: their growth is the arrival and the
    service rate (None where the system does not count).
    """

    value: float
    activation: float | None = None  # what is compared with the target's activation; None: the value
    quality: Quality = Quality.WHOLE
    replicas_max: int | None = None  # more replicas would have nothing to do: partitions
    shares: int | None = (
        None  # equal shares, spread evenly: the fewest with the largest share of n, ceil(P / ceil(P / n))
    )
    in_flight: float | None = None  # of the value: handed to a consumer that has not acknowledged it
    produced: float | None = None
    consumed: float | None = None
    note: str = ""  # for people: what was left out, or assumed
    caveat: str = ""  # what is never counted as things are: conditions tell it

    @property
    def activity(self) -> float:
        return self.value if self.activation is None else self.activation
