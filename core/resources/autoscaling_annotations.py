"""`autoscaling.knative.dev/*`: how one revision is scaled (knative.dev/serving/pkg/apis/autoscaling/register.go).

Admission checks them (`serving_autoscaling`), the Revision controller copies them to the PodAutoscaler, the autoscaler
reads them. Most have an older spelling, which still counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GROUP = "autoscaling.knative.dev"

KPA_CLASS = "kpa.autoscaling.knative.dev"
HPA_CLASS = "hpa.autoscaling.knative.dev"
CONCURRENCY_METRIC = "concurrency"
RPS_METRIC = "rps"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One setting under all its spellings, the preferred one first."""

    names: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.names[0]

    def get(self, annotations: Mapping[str, str]) -> str | None:
        """The value under the first spelling that is present."""
        found = self.find(annotations)
        return found[1] if found else None

    def find(self, annotations: Mapping[str, str]) -> tuple[str, str] | None:
        """The spelling that was used, and the value: an error message must name what the user wrote."""
        for name in self.names:
            if name in annotations:
                return name, annotations[name]
        return None


def _annotation(name: str, *aliases: str) -> Annotation:
    return Annotation(tuple(f"{GROUP}/{spelling}" for spelling in (name, *aliases)))


CLASS = _annotation("class")
METRIC = _annotation("metric")
METRIC_AGGREGATION_ALGORITHM = _annotation("metric-aggregation-algorithm", "metricAggregationAlgorithm")
TARGET = _annotation("target")
TARGET_UTILIZATION_PERCENTAGE = _annotation("target-utilization-percentage", "targetUtilizationPercentage")
TARGET_BURST_CAPACITY = _annotation("target-burst-capacity", "targetBurstCapacity")
MIN_SCALE = _annotation("min-scale", "minScale")
MAX_SCALE = _annotation("max-scale", "maxScale")
INITIAL_SCALE = _annotation("initial-scale", "initialScale")
ACTIVATION_SCALE = _annotation("activation-scale")
SCALE_DOWN_DELAY = _annotation("scale-down-delay", "scaleDownDelay")
SCALE_TO_ZERO_POD_RETENTION_PERIOD = _annotation("scale-to-zero-pod-retention-period", "scaleToZeroPodRetentionPeriod")
WINDOW = _annotation("window")
PANIC_WINDOW_PERCENTAGE = _annotation("panic-window-percentage", "panicWindowPercentage")
PANIC_THRESHOLD_PERCENTAGE = _annotation("panic-threshold-percentage", "panicThresholdPercentage")
