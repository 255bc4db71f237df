"""What the demo draws where there is no terminal."""

from __future__ import annotations

import pytest

from pilotlight.cli.demo import PlainDraw


def test_a_line_for_each_change_and_no_more(capfd: pytest.CaptureFixture[str]) -> None:
    draw = PlainDraw()
    for desired, actual in [(1, 0), (1, 0), (1, 1), (0, 0)]:
        draw(desired, actual)
    assert capfd.readouterr().out.split("\n") == [
        "    replicas 0 of 1",
        "    replicas 1 of 1",
        "    replicas 0 of 0",
        "",
    ]
