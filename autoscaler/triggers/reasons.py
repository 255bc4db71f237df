"""Why a decision is what it is: each rule that had a word, with its numbers, and the sentence that tells it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Rule(StrEnum):
    """The rules, as status, records and `explain` call them."""

    NO_WORK = "NoWork"
    ACTIVATION = "Activation"
    FORCED = "ForcedActivation"
    UNKNOWN = "Unknown"
    AT_LEAST = "AtLeast"
    FALLBACK = "Fallback"
    IN_FLIGHT = "InFlight"
    COOLDOWN = "Cooldown"
    INITIAL_COOLDOWN = "InitialCooldown"
    ZERO = "Zero"
    IDLE = "Idle"
    MIN_REPLICAS = "MinReplicas"
    MAX_REPLICAS = "MaxReplicas"
    METRIC_CAP = "MetricCap"
    EVEN_SHARES = "EvenShares"
    TOLERANCE = "Tolerance"
    STARTING = "Starting"
    DRAIN_TIME_MISSED = "DrainTimeMissed"
    NO_MORE_THROUGHPUT = "NoMoreThroughput"
    STABILIZED_UP = "ScaleUpStabilized"
    STABILIZED_DOWN = "ScaleDownStabilized"
    SCALE_UP_RATE = "ScaleUpRate"
    SCALE_DOWN_RATE = "ScaleDownRate"
    SCALE_UP_DISABLED = "ScaleUpDisabled"
    SCALE_DOWN_DISABLED = "ScaleDownDisabled"
    PAUSED = "Paused"
    PAUSED_SCALE_IN = "PausedScaleIn"
    PAUSED_SCALE_OUT = "PausedScaleOut"


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that had a word; `numbers` fill its sentence, in order."""

    rule: Rule
    numbers: tuple[object, ...] = ()

    def __str__(self) -> str:
        return _SENTENCES[self.rule].format(*self.numbers)


_SENTENCES: Final = {
    Rule.NO_WORK: "no trigger is above its activation value",
    Rule.ACTIVATION: "raised to {0}, the least while there is work",
    Rule.FORCED: "force-activation counts every trigger as active",
    Rule.UNKNOWN: "held at {0}: {1} not known",
    Rule.AT_LEAST: "held at {0}: of {1} only a part was read",
    Rule.FALLBACK: "the fallback ({1} {2}) speaks for {0}, which failed {3} times in a row",
    Rule.IN_FLIGHT: "not yet at rest: {0:g} in flight",
    Rule.COOLDOWN: "not yet at rest: cooldownPeriod {0:g}s ends in {1:.0f}s",
    Rule.INITIAL_COOLDOWN: "not yet at rest: initialCooldownPeriod {0:g}s ends in {1:.0f}s",
    Rule.ZERO: "to {0}: every source was read and has no work, nothing is in flight, cooldownPeriod is over",
    Rule.IDLE: "to idleReplicaCount {0}: every source was read and has no work, cooldownPeriod is over",
    Rule.MIN_REPLICAS: "raised to minReplicaCount {0}",
    Rule.MAX_REPLICAS: "limited by maxReplicaCount {0}",
    Rule.METRIC_CAP: "{0} limited to {1} of {2}: more would have nothing to do",
    Rule.EVEN_SHARES: "{0} brought from {2} to {1}: {3} shares are as even among those",
    Rule.TOLERANCE: "{0} asks for {1}, but what there is is within the tolerance",
    Rule.STARTING: "{0} is above its target on those that are ready, and {1} are not yet: as many as there are",
    Rule.DRAIN_TIME_MISSED: "{0} misses its drain time of {1:g}s: with {2} it {3}",
    Rule.NO_MORE_THROUGHPUT: "{0} kept at {1} of {2}: more have not brought more than {3:.4g}/s",
    Rule.STABILIZED_UP: "not up to {1} yet: {0} was wanted within scaleUp's window of {2:g}s",
    Rule.STABILIZED_DOWN: "not down to {1} yet: {0} was wanted within scaleDown's window of {2:g}s",
    Rule.SCALE_UP_RATE: "limited to {0} by scaleUp's policy {1} {2} per {3:g}s",
    Rule.SCALE_DOWN_RATE: "limited to {0} by scaleDown's policy {1} {2} per {3:g}s",
    Rule.SCALE_UP_DISABLED: "not up to {0}: scaleUp is Disabled",
    Rule.SCALE_DOWN_DISABLED: "not down to {0}: scaleDown is Disabled",
    Rule.PAUSED: "paused at {0}; it would be {1}",
    Rule.PAUSED_SCALE_IN: "not down to {0}: scaling in is paused",
    Rule.PAUSED_SCALE_OUT: "not up to {0}: scaling out is paused",
}
