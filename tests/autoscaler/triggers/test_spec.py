from __future__ import annotations

from autoscaler.triggers.spec import ScalingSpec


def test_the_defaults_are_those_of_keda() -> None:
    """pkg apis/keda/v1alpha1: 30 s, 300 s, 0, 0..100."""
    spec = ScalingSpec()
    assert (spec.polling_interval_s, spec.cooldown_s, spec.initial_cooldown_s) == (30.0, 300.0, 0.0)
    assert (spec.min_replicas, spec.max_replicas, spec.idle) == (0, 100, None)
