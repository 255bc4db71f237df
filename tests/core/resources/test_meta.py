"""Typed views keep what was set and say what they are."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.meta import ObjectKey, controller_of, key_of, owner_reference
from core.resources.networking import INGRESS

OBJECT = {
    "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
    "kind": "PodAutoscaler",
    "metadata": {"name": "hello-00001", "namespace": "default", "uid": "u-1"},
    "spec": {"scaleTargetRef": {"name": "hello-00001-deployment"}, "containerConcurrency": 0},
}


def test_parse_and_to_json_are_inverse_for_what_was_set() -> None:
    assert POD_AUTOSCALER.to_json(POD_AUTOSCALER.parse(OBJECT)) == OBJECT


def test_unknown_fields_are_refused_with_their_place() -> None:
    with pytest.raises(ValidationError) as caught:
        POD_AUTOSCALER.parse({**OBJECT, "spec": {"scaleTarget": {}}})
    assert caught.value.errors()[0]["loc"] == ("spec", "scaleTarget")


def test_a_kind_knows_its_names() -> None:
    assert INGRESS.api_version == "networking.internal.knative.dev/v1alpha1"
    assert INGRESS.resource == "ingresses.networking.internal.knative.dev"
    assert INGRESS.singular == "ingress"


def test_an_owner_reference_leads_back_to_its_controller() -> None:
    reference = owner_reference(POD_AUTOSCALER, OBJECT)
    owned = {"metadata": {"name": "child", "namespace": "default", "ownerReferences": [reference.to_json()]}}
    assert controller_of(owned) == reference.to_json()
    assert controller_of(OBJECT) is None
    assert key_of(owned) == ObjectKey("default", "child")
    assert str(key_of(owned)) == "default/child"
