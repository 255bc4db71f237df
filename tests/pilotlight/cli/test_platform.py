"""pilotlight.cli.platform: what `up --detach` tells of a platform that ended. Real ones are in tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.cli.platform import last_words


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            'noise\n{"error": {"message": "the port is taken", "reason": "PortProblem"}}\nlater noise\n',
            "the port is taken",
        ),
        ("Traceback\nMemoryError\n", "MemoryError"),
    ],
)
def test_the_error_counts_and_not_what_was_written_behind_it(tmp_path: Path, written: str, told: str) -> None:
    log = tmp_path / "log"
    log.write_text(f"of the run before\n{written}")
    assert last_words(log, began=len("of the run before\n")) == told


def test_silence_names_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert "log" in last_words(tmp_path / "log", began=0)
