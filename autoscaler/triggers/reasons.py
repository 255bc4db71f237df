"""Why a decision is what it is: each rule that had a word, with its numbers, and the sentence that tells it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Rule(StrEnum):
    """The rules, as status, records and `explain` call them."""

    MIN_REPLICAS = "MinReplicas"
    MAX_REPLICAS = "MaxReplicas"
    ACTIVATION = "Activation"
    INACTIVE = "Inactive"
    UNKNOWN = "Unknown"
    COOLDOWN = "Cooldown"
    INITIAL_COOLDOWN = "InitialCooldown"
    IN_FLIGHT = "InFlight"
    ZERO = "Zero"
    IDLE = "Idle"
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
    Rule.MIN_REPLICAS: "raised to minReplicaCount {0}",
    Rule.MAX_REPLICAS: "{0} wanted, limited by maxReplicaCount {1}",
    Rule.ACTIVATION: "raised to {0}: there is work",
    Rule.INACTIVE: "nothing exceeds its activation value",
    Rule.UNKNOWN: "held at {0}: not known is {1}",
    Rule.COOLDOWN: "held at {0}: cooldownPeriod ends in {1:.0f}s",
    Rule.INITIAL_COOLDOWN: "held at {0}: initialCooldownPeriod ends in {1:.0f}s",
    Rule.IN_FLIGHT: "held at {0}: {1:g} in flight",
    Rule.ZERO: "nothing waits, nothing is in flight, and cooldownPeriod is over: 0",
    Rule.IDLE: "nothing waits: idleReplicaCount {0}",
    Rule.PAUSED: "paused at {0}; it would be {1}",
    Rule.PAUSED_SCALE_IN: "held at {0}: scaling in is paused; it would be {1}",
    Rule.PAUSED_SCALE_OUT: "held at {0}: scaling out is paused; it would be {1}",
}
