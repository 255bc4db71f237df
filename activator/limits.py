"""The bounds of the data path, each with its reason: what a roof may set, and what a revision asks for."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

from activator.queue import EACH_LIMITS, TOTAL_LIMITS, QueueLimits
from core.resources.pod_failures import READY_S

BACK_OFF_S: Final = 10
"""The kubelet's first back-off, where nothing better is known: sooner than that another try gives the same answer."""


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Of one gateway process."""

    connections_max: int = 16_384
    head_timeout_s: float = 10.0  # from the first byte of a head to its last (slowloris)
    idle_timeout_s: float = 75.0  # a kept-alive connection between two requests; nginx's default
    linger_s: float = 2.0  # how long an unread body is thrown away after an early answer
    linger_bytes_max: int = 1024 * 1024
    dial_timeout_s: float = 2.0
    upstream_idle_s: float = 30.0  # an unused connection to an instance
    queue: QueueLimits = EACH_LIMITS
    total: QueueLimits = TOTAL_LIMITS


@dataclass(frozen=True, slots=True)
class RevisionLimits:
    """From the revision's spec. Times count from the arrival at the gateway, the wait for an instance included."""

    concurrency: int = 0  # containerConcurrency; 0 is unlimited
    timeout_s: float = 300.0
    start_s: float = inf  # responseStartTimeoutSeconds
    idle_s: float = inf  # idleTimeoutSeconds
    ready_s: float = READY_S

    @property
    def first_byte_s(self) -> float:
        """How long there may be no answer at all (the idle clock starts at the arrival, too)."""
        return min(self.timeout_s, self.start_s, self.idle_s)

    @property
    def last_byte_s(self) -> float:
        """When an answer that began in time is cut off.

        Knative ends it at timeoutSeconds as though it were whole, with a text appended; its conformance test reads a
        200 to its end 15 s into a timeout of 10 s. A forged end is a lie, so an answer that began in time is given as
        long again, and its connection is aborted then.
        """
        return 2 * self.timeout_s
