"""autoscaler/triggers/scaled.py: what counts as there, and what as paused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.triggers.documents import TargetKey
from autoscaler.triggers.scaled import Plan, Scaled
from autoscaler.triggers.spec import Pause, ScalingSpec
from core.resources.meta import ObjectKey
from core.stats import RevisionKey

PLAN = Plan(ObjectKey("default", "orders"), {}, ScalingSpec(), TargetKey("apps/v1", "Deployment", "default", "orders"))


def test_of_a_revision_its_own_word_counts_and_not_that_of_requests() -> None:
    scaled = Scaled(PLAN)
    assert scaled.has is None
    scaled.replicas, scaled.floor = 7, 2
    assert scaled.has == 7
    scaled.plan = replace(PLAN, revision=RevisionKey("default", "hello-00001"))
    assert scaled.has == 2


@pytest.mark.parametrize(
    ("pause", "is_paused"),
    [
        (Pause(), False),
        (Pause(all=True), True),
        (Pause(replicas=0), True),
        (Pause(scale_in=True), True),
        (Pause(scale_out=True), True),
    ],
)
def test_paused(pause: Pause, is_paused: bool) -> None:
    assert Scaled(replace(PLAN, spec=ScalingSpec(pause=pause))).paused is is_paused
