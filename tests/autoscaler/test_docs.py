"""docs/autoscaling.md names every reason and every phase that there is, and none that is gone."""

from __future__ import annotations

import re
from pathlib import Path

from autoscaler.decide import Phase, Reason
from autoscaler.kpa import KpaReason

PAGE = (Path(__file__).parents[2] / "docs/autoscaling.md").read_text()


def test_every_reason_is_explained() -> None:
    table = PAGE.split("## What `explain` calls it")[1].split("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == {reason.value for reason in (*KpaReason, *Reason)}


def test_every_phase_has_its_rows() -> None:
    table = PAGE.split("## Activation and zero")[1].split("\n## ")[0]
    phases = set(re.findall(r"^\| (\w+)", table, re.MULTILINE)) - {"phase"}
    assert phases == {phase.value for phase in Phase}
