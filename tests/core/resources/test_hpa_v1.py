"""core/resources/hpa_v1.py: what the older version shows of the one that is stored, and makes of what is written."""

from __future__ import annotations

import pytest

from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER as HPA
from core.resources.hpa_v1 import HORIZONTAL_POD_AUTOSCALER_V1 as HPA_V1
from core.resources.hpa_v1 import from_stored, to_stored
from core.resources.meta import AdmissionContext, Json
from tests.core.resources.test_hpa import AVERAGE, OWNER, PERCENT, external, hpa, resource

CONTEXT = AdmissionContext()


def old(status: Json | None = None, **spec: int) -> Json:
    said = {"scaleTargetRef": {"kind": "Deployment", "name": "w"}, "maxReplicas": 3, **spec}
    return {"metadata": {"name": "a"}, "spec": said} | ({"status": status} if status else {})


def test_processors_time_is_a_metric() -> None:
    before = old(
        {"currentReplicas": 1, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 40},
        minReplicas=1,
        targetCPUUtilizationPercentage=60,
    )
    stored = to_stored(before)
    assert stored["spec"]["metrics"] == [resource({"type": "Utilization", "averageUtilization": 60})[0]]
    HPA.parse(stored)
    assert from_stored(stored) == before
    HPA_V1.parse(before)


def test_other_metrics_conditions_and_behavior_are_not_seen() -> None:
    stored = hpa(external(AVERAGE), resource(PERCENT, {"averageUtilization": 40}), behavior={"scaleUp": {}})
    stored["status"]["conditions"] = [{"type": "AbleToScale", "status": "True"}]
    seen = from_stored(stored)
    assert seen["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"},
        "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 80,
    }
    assert seen["status"] == {"currentReplicas": 2, "currentCPUUtilizationPercentage": 40}
    HPA_V1.parse(seen)
    assert "targetCPUUtilizationPercentage" not in from_stored(hpa(external(AVERAGE)))["spec"]


def test_defaults() -> None:
    obj = old()
    HPA_V1.default(obj, CONTEXT)
    assert (obj["spec"]["minReplicas"], obj["spec"]["targetCPUUtilizationPercentage"]) == (1, 80)
    view = old()
    view["metadata"]["ownerReferences"] = [OWNER]
    HPA_V1.default(view, CONTEXT)
    assert view["spec"] == old()["spec"]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"maxReplicas": 0}, "spec.maxReplicas"),
        ({"targetCPUUtilizationPercentage": 0}, "spec.targetCPUUtilizationPercentage"),
    ],
)
def test_refusals_name_the_field_of_this_version(spec: dict[str, int], path: str) -> None:
    assert [error.path for error in HPA_V1.validate(old(**spec), CONTEXT)] == [path]


def test_columns_are_those_of_the_other_version() -> None:
    cells = {
        column.name: column.value(old(targetCPUUtilizationPercentage=60)) for column in HPA_V1.columns if column.value
    }
    assert cells["Targets"] == "cpu: <unknown>/60%"
    assert cells["Reference"] == "Deployment/w"
