"""Numbers and truths in documents of KEDA, by themselves and on their way through admission."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apiserver.admission import admit_create
from core.errors import BadRequest
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_jobs import SCALED_JOB
from core.resources.keda_scalars import spell_scalars, text_of
from core.resources.meta import AdmissionContext, Json

SAID = "taken as if quoted; KEDA's CRD takes nothing but text there"


def scaled_object(*metadata: Json, **spec: Any) -> Json:
    triggers = [{"type": "kafka", "metadata": each} for each in metadata]
    return {
        "metadata": {"name": "orders"},
        "spec": {"scaleTargetRef": {"name": "orders"}, "triggers": triggers, **spec},
    }


@pytest.mark.parametrize(
    ("scalar", "text"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1000, "1000"),
        (1.5, "1.5"),
        (1.0, "1"),
        (-2.0, "-2"),
        (1e22, "1e+22"),
    ],
)
def test_the_text_of_a_scalar(scalar: bool | int | float, text: str) -> None:
    assert text_of(scalar) == text


def test_they_count_as_text_and_each_trigger_is_told_of_once() -> None:
    obj = scaled_object(
        {"topic": "a", "allowIdleConsumers": False, "timeout": 1000}, {"topic": "b"}, {"targetQueryValue": 1.5}
    )
    assert spell_scalars(obj) == [
        f"spec.triggers[0].metadata: allowIdleConsumers, timeout: {SAID}",
        f"spec.triggers[2].metadata: targetQueryValue: {SAID}",
    ]
    assert [each["metadata"] for each in obj["spec"]["triggers"]] == [
        {"topic": "a", "allowIdleConsumers": "false", "timeout": "1000"},
        {"topic": "b"},
        {"targetQueryValue": "1.5"},
    ]
    assert spell_scalars(obj) == []


def test_what_is_written_as_it_should_be_stays() -> None:
    obj = scaled_object({"allowIdleConsumers": "false", "timeout": "1000"}, pollingInterval=5, cooldownPeriod=0)
    before = copy.deepcopy(obj)
    assert spell_scalars(obj) == []
    assert obj == before


def test_admission_warns_and_stores_the_text() -> None:
    modifiers = {"formula": "a + 1", "target": 1.2, "activationTarget": 0}
    obj = scaled_object({"timeout": 1000}, advanced={"scalingModifiers": modifiers})
    obj["spec"]["triggers"][0]["name"] = "a"
    admitted = admit_create(SCALED_OBJECT, obj, AdmissionContext(), "Strict")
    assert admitted.warnings == (
        f"spec.advanced.scalingModifiers: target, activationTarget: {SAID}",
        f"spec.triggers[0].metadata: timeout: {SAID}",
    )
    spec = admitted.obj["spec"]
    assert spec["triggers"][0]["metadata"] == {"timeout": "1000"}
    assert spec["advanced"]["scalingModifiers"] == {"formula": "a + 1", "target": "1.2", "activationTarget": "0"}
    assert obj["spec"]["triggers"][0]["metadata"] == {"timeout": 1000}, "the writer's own object is not ours to change"


def test_a_scaled_job_is_taken_the_same_way() -> None:
    pod = {"containers": [{"name": "main", "image": "x"}], "restartPolicy": "Never"}
    job = {
        "metadata": {"name": "orders"},
        "spec": {
            "jobTargetRef": {"template": {"spec": pod}},
            "scalingStrategy": {"strategy": "custom", "customScalingRunningJobPercentage": 0.5},
            "triggers": [{"type": "kafka", "metadata": {"lagThreshold": 5}}],
        },
    }
    admitted = admit_create(SCALED_JOB, job, AdmissionContext(), "Strict")
    assert admitted.obj["spec"]["scalingStrategy"]["customScalingRunningJobPercentage"] == "0.5"
    assert admitted.obj["spec"]["triggers"][0]["metadata"] == {"lagThreshold": "5"}
    assert [each.split(":")[0] for each in admitted.warnings] == ["spec.scalingStrategy", "spec.triggers[0].metadata"]


@pytest.mark.parametrize("value", [["a"], {"a": "b"}])
def test_what_has_no_text_is_refused_with_its_field(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"spec\.triggers\[0\]\.metadata\.topic of type string"):
        admit_create(SCALED_OBJECT, scaled_object({"topic": value}), AdmissionContext(), "Strict")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["spec", "triggers", "metadata", "advanced", "target", "a"]), inner)
        ),
    )
)
def test_it_copes_with_any_shape(value: Any) -> None:
    obj = {"spec": value, "metadata": {}}
    spell_scalars(obj)
    assert spell_scalars(obj) == []
