"""Autoscaling annotations answer to their old spellings, and the new one wins."""

from __future__ import annotations

import pytest

from core.resources import autoscaling_annotations as annotations


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param({}, None, id="absent"),
        pytest.param({"autoscaling.knative.dev/min-scale": "1"}, ("autoscaling.knative.dev/min-scale", "1"), id="new"),
        pytest.param({"autoscaling.knative.dev/minScale": "2"}, ("autoscaling.knative.dev/minScale", "2"), id="old"),
        pytest.param(
            {"autoscaling.knative.dev/minScale": "2", "autoscaling.knative.dev/min-scale": "1"},
            ("autoscaling.knative.dev/min-scale", "1"),
            id="new wins",
        ),
    ],
)
def test_a_setting_is_found_under_any_spelling(given: dict[str, str], found: tuple[str, str] | None) -> None:
    assert annotations.MIN_SCALE.find(given) == found
    assert annotations.MIN_SCALE.get(given) == (found[1] if found else None)
