"""core/resources/hpa.py, core/resources/hpa_rules.py, core/resources/hpa_columns.py: printed, filled in, refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER as HPA
from core.resources.hpa_columns import hpa_targets
from core.resources.meta import AdmissionContext, Json, Lifetime
from core.store.writes import is_ephemeral

CONTEXT = AdmissionContext()
OWNER = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "orders", "uid": "u", "controller": True}


def external(target: Json, current: Json | None = None) -> tuple[Json, Json]:
    metric = {"name": "s0-kafka-orders"}
    spec = {"type": "External", "external": {"metric": metric, "target": target}}
    status = {"type": "External", "external": {"metric": metric, "current": current}} if current else {"type": ""}
    return spec, status


def resource(target: Json, current: Json | None = None, container: str = "") -> tuple[Json, Json]:
    field, kind = ("containerResource", "ContainerResource") if container else ("resource", "Resource")
    said = {"name": "cpu"} | ({"container": container} if container else {})
    status = {"type": kind, field: {**said, "current": current}} if current else {"type": ""}
    return {"type": kind, field: {**said, "target": target}}, status


AVERAGE = {"type": "AverageValue", "averageValue": "5"}
PERCENT = {"type": "Utilization", "averageUtilization": 80}


def hpa(*metrics: tuple[Json, Json], **spec: Any) -> Json:
    said = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}, "maxReplicas": 3, **spec}
    obj: Json = {"metadata": {"name": "a", "namespace": "default"}, "spec": copy.deepcopy(said)}
    if metrics:
        obj["spec"]["metrics"] = [spec for spec, _ in metrics]
        obj["status"] = {"currentReplicas": 2, "currentMetrics": [status for _, status in metrics]}
    return obj


@pytest.mark.parametrize(
    ("metrics", "printed"),
    [
        pytest.param([], "<none>", id="none"),
        pytest.param([external(AVERAGE, {"averageValue": "3500m"})], "3500m/5 (avg)", id="external, average"),
        pytest.param([external(AVERAGE)], "<unknown>/5 (avg)", id="external, not known"),
        pytest.param([external({"type": "Value", "value": "2k"}, {"value": "7"})], "7/2k", id="external, value"),
        pytest.param([resource(PERCENT, {"averageUtilization": 40})], "cpu: 40%/80%", id="utilization"),
        pytest.param([resource(PERCENT)], "cpu: <unknown>/80%", id="utilization, not known"),
        pytest.param([resource({"type": "Utilization"})], "cpu: <unknown>/<auto>", id="utilization without a number"),
        pytest.param(
            [resource({"type": "AverageValue", "averageValue": "500m"}, {"averageValue": "1"}, "app")],
            "cpu: 1/500m",
            id="of one container",
        ),
        pytest.param(
            [external(AVERAGE, {"averageValue": "1"}), external(AVERAGE), resource(PERCENT), resource(PERCENT)],
            "1/5 (avg), <unknown>/5 (avg) + 2 more...",
            id="four",
        ),
        pytest.param([({"type": "Strange"}, {"type": ""})], "<unknown type>", id="of a later version"),
    ],
)
def test_targets(metrics: list[tuple[Json, Json]], printed: str) -> None:
    assert hpa_targets(hpa(*metrics)) == printed


def test_other_columns() -> None:
    cells = {column.name: column.value(hpa()) for column in HPA.columns if column.value is not None}
    assert cells == {"Reference": "Deployment/w", "Targets": "<none>", "MinPods": "<unset>", "Replicas": 0}
    assert [column.name for column in HPA.columns] == ["Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"]


def test_defaults_are_those_of_kubernetes() -> None:
    obj = hpa()
    HPA.default(obj, CONTEXT)
    assert obj["spec"]["minReplicas"] == 1
    assert hpa_targets(obj) == "cpu: <unknown>/80%"
    numbers = hpa(external({"type": "AverageValue", "averageValue": 30}))
    HPA.default(numbers, CONTEXT)
    assert numbers["spec"]["metrics"][0]["external"]["target"]["averageValue"] == "30"


def test_a_view_is_left_as_it_is() -> None:
    view = hpa()
    view["metadata"]["ownerReferences"] = [OWNER]
    before = copy.deepcopy(view)
    HPA.default(view, CONTEXT)
    assert view == before


@pytest.mark.parametrize(
    ("obj", "path", "message"),
    [
        (hpa(maxReplicas=0), "spec.maxReplicas", "must be greater than 0"),
        (hpa(minReplicas=4), "spec.maxReplicas", "must be greater than or equal to `minReplicas`"),
        (hpa(minReplicas=0), "spec.minReplicas", "must be greater than or equal to 1"),
        (hpa(scaleTargetRef={"kind": "Deployment"}), "spec.scaleTargetRef.name", "Required value"),
        (hpa(metrics=[{"type": "Lunar"}]), "spec.metrics[0].type", "supported values"),
        (hpa(metrics=[{"type": "Resource"}]), "spec.metrics[0].resource", "must populate information"),
        (
            hpa(metrics=[{**resource(PERCENT)[0], "external": external(AVERAGE)[0]["external"]}]),
            "spec.metrics[0].external",
            "must populate the given metric source only",
        ),
        (hpa(resource({"type": "Value"})), "spec.metrics[0].resource.target.value", "a target of type Value says it"),
        (hpa(resource({"type": "Odd"})), "spec.metrics[0].resource.target.type", "supported values"),
        (
            hpa(external({"type": "AverageValue", "averageValue": "many"})),
            "spec.metrics[0].external.target.averageValue",
            "is no quantity",
        ),
        (
            hpa(external({"type": "AverageValue", "averageValue": "0"})),
            "spec.metrics[0].external.target.averageValue",
            "must be positive",
        ),
        (
            hpa(behavior={"scaleUp": {"selectPolicy": "Most"}}),
            "spec.behavior.scaleUp.selectPolicy",
            "supported values",
        ),
    ],
)
def test_what_is_refused(obj: Json, path: str, message: str) -> None:
    (error,) = HPA.validate(obj, CONTEXT)
    assert (error.path, message in error.message) == (path, True), error


def test_what_is_well() -> None:
    obj = hpa(external(AVERAGE), resource(PERCENT), minReplicas=1)
    assert HPA.validate(obj, CONTEXT) == []
    HPA.parse(obj)


def test_a_users_own_is_kept_and_said_to_have_no_effect() -> None:
    (said,) = HPA.warn(hpa(), CONTEXT)
    assert said.startswith("spec: is kept and not acted upon")
    assert "a ScaledObject of keda.sh/v1alpha1 for Deployment w, with a trigger of type cpu or memory" in said
    assert HPA.lifetime is Lifetime.OWNED
    assert not is_ephemeral(HPA, hpa())


def test_a_view_is_of_the_moment_and_its_changes_do_not_last() -> None:
    view = hpa()
    view["metadata"]["ownerReferences"] = [OWNER]
    assert is_ephemeral(HPA, view)
    (said,) = HPA.warn(view, CONTEXT)
    assert said.startswith("spec: shows what the ScaledObject orders does")
