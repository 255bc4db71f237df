"""One revision under the loop: what is asked of its scale, what is seen, what was decided.

`loop` owns them all and is the only one that changes them; `status_writer` reads.
"""

from __future__ import annotations

from autoscaler.collector import Metrics
from autoscaler.decide import Phase, ScaleState
from autoscaler.decisions import DecisionLog
from autoscaler.spec import ScaleSpec
from core.stats import RevisionKey


class Scaled:
    """One revision under the loop."""

    __slots__ = ("generation", "history", "key", "metrics", "ready", "replicas", "spec", "state", "target")

    def __init__(self, key: RevisionKey, target: str, spec: ScaleSpec) -> None:
        self.key = key
        self.target = target  # the Deployment's name
        self.spec = spec
        self.generation: int | None = None
        self.metrics: Metrics | None = None
        self.state: ScaleState | None = None  # None until the Deployment has been seen
        self.replicas: int | None = None
        self.ready = 0
        self.history: DecisionLog | None = None

    @property
    def asleep(self) -> bool:
        """Nothing runs, nothing is wanted, nothing is asked: only an event can change that."""
        state, metrics = self.state, self.metrics
        if state is None or state.phase is not Phase.INACTIVE or self.replicas != 0 or state.desired != 0:
            return False
        return metrics is None or metrics.in_flight == 0
