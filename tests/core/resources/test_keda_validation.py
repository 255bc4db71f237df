"""ScaledObject: what is refused, in which words, at which field; what is warned of."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.apiserver.admission import admit_create, admit_update
from core.errors import Invalid
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_trigger_rules import NO_TRIGGERS
from core.resources.meta import AdmissionContext, Json

CONTEXT = AdmissionContext()
HPA = "spec.advanced.horizontalPodAutoscalerConfig"
KAFKA: Json = {"type": "kafka", "metadata": {"bootstrapServers": "k:9092", "consumerGroup": "g", "topic": "t"}}
CRON: Json = {
    "type": "cron",
    "metadata": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *", "desiredReplicas": "2"},
}
CPU: Json = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}}
MODIFIERS: Json = {"formula": "a + 1", "target": "2"}
NAMED: Json = {**KAFKA, "name": "a"}


def scaled(annotations: dict[str, str] | None = None, name: str = "a", **spec: Any) -> Json:
    least = {"scaleTargetRef": {"name": "w"}, "triggers": [KAFKA]}
    given = {field: value for field, value in {**least, **spec}.items() if value is not ...}
    metadata: Json = {"name": name, "namespace": "ns"} | ({"annotations": annotations} if annotations else {})
    return {"metadata": metadata, "spec": copy.deepcopy(given)}


def behavior(**rules: Any) -> Json:
    return {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": rules}}}


def policy(**fields: Any) -> Json:
    return {"type": "Pods", "value": 4, "periodSeconds": 15, **fields}


def refusals(obj: Json) -> list[str]:
    try:
        admit_create(SCALED_OBJECT, obj, CONTEXT, "Strict")
    except Invalid as refusal:
        return [f"{cause.path}: {cause.message}" for cause in refusal.causes]
    return []


def warnings(obj: Json) -> tuple[str, ...]:
    return admit_create(SCALED_OBJECT, obj, CONTEXT, "Strict").warnings


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"pollingInterval": 1, "cooldownPeriod": 300, "initialCooldownPeriod": 0, "maxReplicaCount": 1},
        {"minReplicaCount": 100},
        {"minReplicaCount": 0, "idleReplicaCount": 0},
        {"minReplicaCount": 2, "idleReplicaCount": 1},
        {"fallback": {"failureThreshold": 0, "replicas": 6, "behavior": "currentReplicasIfHigher"}},
        {"triggers": [CPU, KAFKA], "fallback": {"failureThreshold": 3, "replicas": 6}},
        {"triggers": [CPU], "minReplicaCount": 1},
        {
            "triggers": [CPU],
            "scaleTargetRef": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "s"},
        },
        {"triggers": [{**KAFKA, "useCachedMetrics": True, "metricType": "Value"}]},
        {"triggers": [{**KAFKA, "authenticationRef": {"name": "a", "kind": "ClusterTriggerAuthentication"}}]},
        {"idleReplicaCount": 1, "minReplicaCount": 5, "maxReplicaCount": 10},
        {
            "triggers": [{**KAFKA, "metricType": "Value"}],
            "fallback": {"failureThreshold": 3, "replicas": 6},
        },
        {"triggers": [NAMED], "advanced": {"scalingModifiers": MODIFIERS}},
        {"triggers": [NAMED, CRON], "advanced": {"scalingModifiers": MODIFIERS}},
        {"advanced": {"scalingModifiers": {}}},
        {"advanced": behavior(stabilizationWindowSeconds=3600, selectPolicy="Disabled", policies=[policy()])},
        {"advanced": behavior(tolerance="50m")},
        {"advanced": behavior(tolerance=0.05)},
    ],
)
def test_what_is_taken(spec: Json) -> None:
    assert refusals(scaled(**spec)) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"scaleTargetRef": ...}, "spec.scaleTargetRef.name: Required value: what is to be scaled"),
        ({"scaleTargetRef": {"name": ""}}, "spec.scaleTargetRef.name: Required value: what is to be scaled"),
        ({"triggers": ...}, f"spec.triggers: Required value: {NO_TRIGGERS}"),
        ({"triggers": []}, f"spec.triggers: Required value: {NO_TRIGGERS}"),
        ({"triggers": [{"type": "kafka"}]}, "spec.triggers[0].metadata: Required value"),
        (
            {"pollingInterval": 0},
            "spec.pollingInterval: Invalid value: 0: spec.pollingInterval in body should be greater than or equal to 1",
        ),
        (
            {"cooldownPeriod": -1},
            "spec.cooldownPeriod: Invalid value: -1: spec.cooldownPeriod in body should be greater than or equal to 0",
        ),
        (
            {"initialCooldownPeriod": -1},
            "spec.initialCooldownPeriod: Invalid value: -1: spec.initialCooldownPeriod in body should be greater than "
            "or equal to 0",
        ),
        (
            {"maxReplicaCount": 2**31},
            "spec.maxReplicaCount: Invalid value: 2147483648: spec.maxReplicaCount in body should be less than or "
            "equal to 2147483647",
        ),
        (
            {"minReplicaCount": 6, "maxReplicaCount": 5},
            "spec.minReplicaCount: Invalid value: 6: must be less than or equal to maxReplicaCount, which is 5",
        ),
        (
            {"minReplicaCount": 101},
            "spec.minReplicaCount: Invalid value: 101: must be less than or equal to maxReplicaCount, which is 100",
        ),
        (
            {"minReplicaCount": 2, "idleReplicaCount": 2},
            "spec.idleReplicaCount: Invalid value: 2: must be less than minReplicaCount, which is 2",
        ),
        (
            {"idleReplicaCount": 0},
            "spec.idleReplicaCount: Invalid value: 0: must be less than minReplicaCount, which is not set",
        ),
        (
            {"triggers": [NAMED, CRON, NAMED]},
            'spec.triggers[2].name: Duplicate value: "a"',
        ),
        (
            {"fallback": {"failureThreshold": -1, "replicas": 1}},
            "spec.fallback.failureThreshold: Invalid value: -1: spec.fallback.failureThreshold in body should be "
            "greater than or equal to 0",
        ),
        ({"fallback": {"failureThreshold": 1}}, "spec.fallback.replicas: Required value"),
        (
            {"fallback": {"failureThreshold": 1, "replicas": 1, "behavior": "zero"}},
            'spec.fallback.behavior: Unsupported value: "zero": supported values: "currentReplicas", '
            '"currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers", "static"',
        ),
        (
            {"fallback": {"failureThreshold": 1, "replicas": 1, "behavior": "scalingModifiers"}},
            'spec.fallback.behavior: Invalid value: "scalingModifiers": needs a formula in '
            "spec.advanced.scalingModifiers.formula",
        ),
        (
            {"fallback": {"failureThreshold": 1, "replicas": 1}, "triggers": [CPU], "minReplicaCount": 1},
            "spec.fallback: Forbidden: needs a trigger other than cpu and memory: these never fall back",
        ),
    ],
)
def test_what_is_refused(spec: Json, text: str) -> None:
    assert refusals(scaled(**spec)) == [text]


@pytest.mark.parametrize(
    ("modifiers", "texts"),
    [
        ({"target": "2"}, ["formula: Required value: scalingModifiers are about a formula"]),
        ({"formula": "a"}, ["target: Required value: what the formula's number is held at for each replica"]),
        ({**MODIFIERS, "target": "0"}, ['target: Invalid value: "0": must be a number greater than 0']),
        ({**MODIFIERS, "target": "two"}, ['target: Invalid value: "two": must be a number greater than 0']),
        ({**MODIFIERS, "target": "inf"}, ['target: Invalid value: "inf": must be a number greater than 0']),
        ({**MODIFIERS, "activationTarget": "x"}, ['activationTarget: Invalid value: "x": must be a number']),
        (
            {**MODIFIERS, "metricType": "Utilization"},
            ['metricType: Unsupported value: "Utilization": supported values: "AverageValue", "Value"'],
        ),
    ],
)
def test_what_is_refused_of_a_formula(modifiers: Json, texts: list[str]) -> None:
    found = refusals(scaled(triggers=[NAMED], advanced={"scalingModifiers": modifiers}))
    assert found == [f"spec.advanced.scalingModifiers.{text}" for text in texts]


@pytest.mark.parametrize(
    "formula",
    [
        "a + b",
        "float(a + 1)",
        "a < 5 ? a + b : 5",
        "float(a < 2 ? a+b >= 2 ? 5 : 10 : 0)",
        "float(float(b < 5 ? a + b : 5))",
        "count([a,b],{#>1}) > 1 ? 5 : 0",
        "a ?? b ?? 5",
    ],
)
def test_formulas_of_keda_are_taken(formula: str) -> None:
    triggers = [NAMED, {**CRON, "name": "b"}]
    fallback = {"failureThreshold": 3, "replicas": 5, "behavior": "scalingModifiers"}
    modifiers = {"formula": formula, "target": "2", "metricType": "AverageValue"}
    assert refusals(scaled(triggers=triggers, fallback=fallback, advanced={"scalingModifiers": modifiers})) == []


@pytest.mark.parametrize(
    ("triggers", "text"),
    [
        ([KAFKA], "a formula refers to triggers by their names"),
        (
            [KAFKA, {**CPU, "name": "a"}],
            "a formula refers to triggers by their names, but cpu and memory are none that it sees",
        ),
    ],
    ids=["none", "only one of cpu"],
)
def test_a_formula_needs_names(triggers: list[Json], text: str) -> None:
    found = refusals(scaled(triggers=triggers, advanced={"scalingModifiers": MODIFIERS}))
    assert found == [f"spec.triggers[0].name: Required value: {text}"]


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("a + ", ("column",)),
        ("a + b", ("b",)),
        ("a > 2", ("the result must be a number",)),
        ("load + a", ("load",)),
    ],
    ids=["unfinished", "unknown", "no number", "of cpu"],
)
def test_a_formula_is_tried(formula: str, words: tuple[str, ...]) -> None:
    triggers = [NAMED, {**CPU, "name": "load"}]
    (text,) = refusals(scaled(triggers=triggers, advanced={"scalingModifiers": {**MODIFIERS, "formula": formula}}))
    assert text.startswith(f'spec.advanced.scalingModifiers.formula: Invalid value: "{formula}": ')
    assert all(word in text.rpartition('": ')[2] for word in words), text


@pytest.mark.parametrize(
    ("name", "advanced", "path"),
    [
        ("a" * 54, {}, []),
        ("a" * 55, {}, ["metadata.name"]),
        ("a" * 63, {"horizontalPodAutoscalerConfig": {"name": "short"}}, []),
        ("a" * 64, {"horizontalPodAutoscalerConfig": {"name": "short"}}, ["metadata.name"]),
        ("a", {"horizontalPodAutoscalerConfig": {"name": "b" * 64}}, [f"{HPA}.name"]),
    ],
    ids=["54", "55", "63 with another", "64 with another", "the other too long"],
)
def test_names_are_no_longer_than_keda_has_room_for(name: str, advanced: Json, path: list[str]) -> None:
    assert [text.partition(": ")[0] for text in refusals(scaled(name=name, advanced=advanced))] == path


def test_several_things_are_told_at_once() -> None:
    found = refusals(scaled(pollingInterval=0, triggers=[], fallback={"failureThreshold": 1, "replicas": -1}))
    assert [text.partition(": ")[0] for text in found] == [
        "spec.pollingInterval",
        "spec.triggers",
        "spec.fallback.replicas",
    ]


def test_annotations_that_cannot_be_read_are_refused() -> None:
    assert refusals(scaled({"autoscaling.keda.sh/paused-replicas": "many"})) == [
        "metadata.annotations[autoscaling.keda.sh/paused-replicas]: "
        'Invalid value: "many": must be a whole number of at least 0'
    ]


def test_nothing_is_filled_in_but_how_to_fall_back() -> None:
    obj = scaled(fallback={"failureThreshold": 3, "replicas": 6})
    admitted = admit_create(SCALED_OBJECT, obj, CONTEXT, "Strict").obj
    assert admitted["spec"] == {**obj["spec"], "fallback": {**obj["spec"]["fallback"], "behavior": "static"}}


def test_a_finalizer_comes_off_whatever_the_rules_say_now() -> None:
    stored = scaled(maxReplicaCount=0)
    stored["metadata"] |= {"uid": "u", "resourceVersion": "1", "generation": 1, "finalizers": ["finalizer.keda.sh"]}
    stored |= {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject"}
    new = copy.deepcopy(stored)
    del new["metadata"]["finalizers"]
    assert admit_update(SCALED_OBJECT, stored, new, CONTEXT, "Strict").obj["spec"]["maxReplicaCount"] == 0
    new["spec"]["minReplicaCount"] = 1
    with pytest.raises(Invalid):
        admit_update(SCALED_OBJECT, stored, new, CONTEXT, "Strict")


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        ({}, []),
        ({"cooldownPeriod": 0}, []),
        (
            {"cooldownPeriod": 5},
            [
                "spec.cooldownPeriod: 5 s is shorter than the polling interval of 30 s: triggers are read no more "
                "often than that, so it lasts until the next reading"
            ],
        ),
        ({"cooldownPeriod": 5, "pollingInterval": 5}, []),
        (
            {"minReplicaCount": 2, "cooldownPeriod": 5, "initialCooldownPeriod": 5},
            [
                "spec.cooldownPeriod: has no effect, minReplicaCount is 2 without an idleReplicaCount",
                "spec.initialCooldownPeriod: has no effect, minReplicaCount is 2 without an idleReplicaCount",
            ],
        ),
        (
            {"fallback": {"failureThreshold": 1, "replicas": 9}, "maxReplicaCount": 8},
            ["spec.fallback.replicas: 9 is above maxReplicaCount, so 8 it is"],
        ),
        (
            {"fallback": {"failureThreshold": 1, "replicas": 0}},
            ["spec.fallback.replicas: is 0, but an error never ends the last replica: one stays"],
        ),
        ({"fallback": {"failureThreshold": 1, "replicas": 0, "behavior": "currentReplicasIfHigher"}}, []),
        (
            {"fallback": {"failureThreshold": 1, "replicas": 1}, "minReplicaCount": 2},
            ["spec.fallback.replicas: 1 is below minReplicaCount, so 2 it is"],
        ),
        (
            {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s"}},
            [
                "spec.scaleTargetRef: StatefulSet of apps/v1 cannot be scaled here; what can is Deployment of apps/v1 "
                "and Service of serving.knative.dev/v1"
            ],
        ),
        ({"advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}}, []),
        (
            {"triggers": [{**KAFKA, "metadata": {**KAFKA["metadata"], "metricName": "m"}}]},
            ["spec.triggers[0].metadata.metricName: has no effect, metrics are named after their trigger"],
        ),
    ],
)
def test_what_is_warned_of(spec: Json, texts: list[str]) -> None:
    assert list(warnings(scaled(**spec))) == texts


def test_annotations_that_contradict() -> None:
    assert warnings(scaled({"autoscaling.keda.sh/paused-replicas": "9"}, maxReplicaCount=3)) == (
        "metadata.annotations: a pause at 9 replicas is above maxReplicaCount, which is 3",
    )
    assert warnings(scaled({"pilotlight.dev/polling-interval": "2s"}, cooldownPeriod=3)) == ()
    assert warnings(scaled({"pilotlight.dev/drain-time": "10s"})) == (
        "metadata.annotations[pilotlight.dev/drain-time]: 10 s is shorter than the polling interval of 30 s: what "
        "comes just after a reading waits longer than that to be seen",
    )
    assert warnings(scaled({"pilotlight.dev/drain-time": "10s"}, pollingInterval=5)) == ()
