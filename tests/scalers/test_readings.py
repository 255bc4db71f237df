from __future__ import annotations

from core.resources.meta import ObjectKey
from scalers.readings import Reading, Trigger


def test_activity_is_the_value_unless_it_is_another() -> None:
    assert Reading(3.0).activity == 3.0
    assert Reading(0.0, activation=7.0).activity == 7.0


def test_a_trigger_knows_its_place_in_the_document() -> None:
    assert Trigger(ObjectKey("default", "orders"), 2, "kafka", {}).path == "spec.triggers[2]"
