"""Annotations over config-autoscaler: reference section 2.4 and the traps about targets."""

from __future__ import annotations

import pytest

from autoscaler.spec import Metric, ScaleSpec, resolve_spec
from core.resources.autoscaling import PodAutoscaler, Reachability
from core.settings.autoscaler import AutoscalerSettings, parse_autoscaler


def spec(
    annotations: dict[str, str] | None = None,
    limit: int = 0,
    reachability: Reachability = Reachability.REACHABLE,
    **config: str,
) -> ScaleSpec:
    settings = parse_autoscaler({key.replace("_", "-"): value for key, value in config.items()})
    assert isinstance(settings, AutoscalerSettings), settings
    marks = {
        key if "/" in key else f"autoscaling.knative.dev/{key}": value for key, value in (annotations or {}).items()
    }
    autoscaler = PodAutoscaler.model_validate(
        {
            "metadata": {"name": "r", "namespace": "default", "annotations": marks},
            "spec": {"containerConcurrency": limit, "reachability": reachability.value},
        }
    )
    return resolve_spec(autoscaler, settings)


def test_defaults() -> None:
    assert spec() == ScaleSpec()


TARGETS = [
    ("default: 70 % of 100", {}, 0, 100.0, 70.0),
    ("70 % of the hard limit", {}, 10, 10.0, 7.0),
    ("soft target", {"target": "5"}, 0, 5.0, 3.5),
    ("soft target below the hard limit", {"target": "5"}, 10, 5.0, 3.5),
    ("trap: never above the hard limit", {"target": "50"}, 10, 10.0, 7.0),
    ("utilization", {"target": "10", "target-utilization-percentage": "100"}, 0, 10.0, 10.0),
    ("rps: 70 % of 200", {"metric": "rps"}, 0, 200.0, 140.0),
    ("rps ignores the hard limit", {"metric": "rps", "target": "50"}, 10, 50.0, 35.0),
    ("older spelling", {"targetUtilizationPercentage": "50"}, 0, 100.0, 50.0),
    ("nonsense counts as absent", {"target": "many"}, 0, 100.0, 70.0),
    ("floor", {"target": "0.01", "target-utilization-percentage": "1"}, 0, 0.01, 0.01),
]


@pytest.mark.parametrize(("label", "marks", "limit", "total", "target"), TARGETS, ids=[row[0] for row in TARGETS])
def test_target(label: str, marks: dict[str, str], limit: int, total: float, target: float) -> None:
    kpa = spec(marks, limit).kpa
    assert (kpa.total, kpa.target) == (total, pytest.approx(target)), label


def test_trap_the_percentage_key_does_not_affect_rps() -> None:
    assert spec({"metric": "rps"}, container_concurrency_target_percentage="100").kpa.target == pytest.approx(140.0)
    assert spec(container_concurrency_target_percentage="100").kpa.target == 100.0
    assert spec(container_concurrency_target_percentage="1").kpa.target == 100.0, "trap: 1 means all of it"


def test_trap_min_scale_is_ignored_when_unreachable_and_honored_when_unknown() -> None:
    marks = {"min-scale": "3", "scale-to-zero-pod-retention-period": "1m"}
    assert spec(marks, reachability=Reachability.UNREACHABLE).min_scale == 0
    assert spec(marks, reachability=Reachability.UNREACHABLE).retention_s == 0
    assert spec(marks, reachability=Reachability.UNKNOWN).min_scale == 3
    assert spec(marks).retention_s == 60
    assert not spec(marks, reachability=Reachability.UNREACHABLE).kpa.reachable
    assert spec(marks, reachability=Reachability.UNKNOWN).kpa.reachable


def test_annotations_win_over_config() -> None:
    config = {"min_scale": "1", "max_scale": "9", "stable_window": "30s", "scale_down_delay": "4s"}
    ours = spec({}, **config)
    assert (ours.min_scale, ours.max_scale, ours.stable_window_s, ours.panic_window_s) == (1, 9, 30.0, 3.0)
    assert ours.kpa.scale_down_delay_s == 4.0
    theirs = spec({"min-scale": "0", "max-scale": "2", "window": "6s", "scale-down-delay": "0s"}, **config)
    assert (theirs.min_scale, theirs.max_scale, theirs.stable_window_s, theirs.panic_window_s) == (0, 2, 6.0, 1.0)
    assert theirs.kpa.scale_down_delay_s == 0.0


def test_initial_scale_zero_needs_leave() -> None:
    assert spec({"initial-scale": "0"}).initial_scale == 1
    assert spec({"initial-scale": "0"}, allow_zero_initial_scale="true").initial_scale == 0
    assert spec({"initial-scale": "5"}).initial_scale == 5


def test_another_class_is_scaled_by_its_bounds_alone() -> None:
    hpa = spec({"class": "hpa.autoscaling.knative.dev", "min-scale": "0"})
    assert (hpa.metric, hpa.min_scale) == (Metric.NONE, 1)
    assert spec({"class": "kpa.autoscaling.knative.dev"}).metric is Metric.CONCURRENCY


def test_the_rest_is_read() -> None:
    marks = {
        "panic-threshold-percentage": "150",
        "panic-window-percentage": "50",
        "activation-scale": "3",
        "target-burst-capacity": "-1",
        "metric-aggregation-algorithm": "weighted-exponential",
        "serving.knative.dev/progress-deadline": "30s",
    }
    found = spec(marks)
    assert (found.kpa.panic_threshold, found.panic_window_s, found.kpa.activation_scale) == (1.5, 30.0, 3)
    assert (found.kpa.target_burst_capacity, found.weighted, found.progress_deadline_s) == (-1.0, True, 30.0)
