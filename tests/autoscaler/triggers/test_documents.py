"""autoscaler/triggers/documents.py: KEDA's own example in numbers, and what holds where nothing is said."""

from __future__ import annotations

from typing import Any

from autoscaler.triggers.documents import authentication_of, scaling_spec, target_key, triggers_of
from autoscaler.triggers.spec import (
    Behavior,
    Fallback,
    FallbackBehavior,
    Modifiers,
    Pause,
    Policy,
    PolicyType,
    ScalingRules,
    ScalingSpec,
    SelectPolicy,
)
from core.resources.meta import Json
from scalers.readings import MetricType, TargetRef


def scaled_object(annotations: dict[str, str] | None = None, **spec: Any) -> Json:
    spec = {"scaleTargetRef": {"name": "orders"}, "triggers": [], **spec}
    metadata = {"name": "orders", "namespace": "default", "annotations": annotations or {}}
    return {"kind": "ScaledObject", "metadata": metadata, "spec": spec}


def test_what_is_not_said() -> None:
    assert scaling_spec(scaled_object()) == ScalingSpec()
    down = scaling_spec(scaled_object()).behavior.down
    assert (down.stabilization_window_s, down.policies) == (300.0, ())


def test_all_that_can_be_said() -> None:
    behavior = {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Min",
            "tolerance": "0.05",
            "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}],
        },
        "scaleDown": {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
    }
    modifiers = {"formula": "a + b", "target": "2.5", "activationTarget": "1", "metricType": "Value"}
    spec = scaling_spec(
        scaled_object(
            {"autoscaling.keda.sh/paused-scale-in": "true", "pilotlight.dev/drain-time": "30s"},
            minReplicaCount=2,
            maxReplicaCount=9,
            idleReplicaCount=0,
            pollingInterval=7,
            cooldownPeriod=0,
            initialCooldownPeriod=11,
            fallback={"failureThreshold": 3, "replicas": 6, "behavior": "currentReplicasIfHigher"},
            advanced={"horizontalPodAutoscalerConfig": {"behavior": behavior}, "scalingModifiers": modifiers},
        )
    )
    assert spec == ScalingSpec(
        min_replicas=2,
        max_replicas=9,
        idle=0,
        polling_interval_s=7.0,
        cooldown_s=0.0,
        initial_cooldown_s=11.0,
        fallback=Fallback(3, 6, FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER),
        behavior=Behavior(
            ScalingRules(0.0, SelectPolicy.MIN, (Policy(PolicyType.PODS, 4, 15.0),), 0.05),
            ScalingRules(300.0, SelectPolicy.MAX, (Policy(PolicyType.PERCENT, 100, 15.0),), None),
        ),
        modifiers=Modifiers("a + b", 2.5, 1.0, MetricType.VALUE),
        pause=Pause(scale_in=True),
        drain_time_s=30.0,
    )


def test_triggers_and_target() -> None:
    obj = scaled_object(
        scaleTargetRef={"name": "orders", "envSourceContainerName": "worker"},
        triggers=[
            {
                "type": "kafka",
                "metadata": {"topic": "orders"},
                "name": "lag",
                "metricType": "Value",
                "useCachedMetrics": True,
            },
            {"type": "cron", "metadata": {}, "authenticationRef": {"name": "secret"}},
        ],
    )
    first, second = triggers_of(obj)
    assert (first.index, first.type, first.name, first.metric_type) == (0, "kafka", "lag", MetricType.VALUE)
    assert (second.path, second.metric_type, dict(second.auth)) == ("spec.triggers[1]", None, {})
    assert first.target == TargetRef("Deployment", "orders", "worker")
    assert (first.cached, second.cached) == (True, False)
    assert authentication_of(obj, 0) is None
    assert authentication_of(obj, 1) == {"name": "secret"}
    target = target_key(obj)
    assert (target.gvk, target.is_deployment, target.is_request_driven) == ("apps/v1.Deployment", True, False)
    service = target_key(
        scaled_object(scaleTargetRef={"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello"})
    )
    assert (service.is_deployment, service.is_request_driven) == (False, True)


def test_a_formula_is_fed_by_all_triggers_but_cpu_and_memory() -> None:
    triggers = [{"type": each, "metadata": {}, "name": each} for each in ("kafka", "cron", "cpu", "memory")]
    modifiers = {"scalingModifiers": {"formula": "kafka + cron", "target": "1"}}
    fed = triggers_of(scaled_object(triggers=triggers, advanced=modifiers))
    assert [each.type for each in fed if each.feeds_formula] == ["kafka", "cron"]
    assert not any(each.feeds_formula for each in triggers_of(scaled_object(triggers=triggers)))
