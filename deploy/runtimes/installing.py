"""What of pip's output a user is told: its steps while it runs, its errors where it failed. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf

STEP_EVERY_S = 1.0
STEP_CHARS_MAX = 200
ERROR_LINES_MAX = 12
_STEP = re.compile(r"(making|Collecting|Downloading|Building|Installing|Preparing|Getting) |\S+ is imported but not ")
_NOISE = re.compile(r"^\s*$|^\[notice\]|^Collecting |^\s*Downloading |^\s*Using cached |^\[end of output\]")


class Steps:
    """Thins out the lines of one installation: the first of each sort at once, the others a second apart."""

    def __init__(self) -> None:
        self._sort = ""
        self._told_at = -inf

    def take(self, line: str, now: float) -> str:
        """What to tell; "" for nothing. `now` is monotonic."""
        step = line.strip().partition(" (from ")[0][:STEP_CHARS_MAX]
        sort = step.partition(" ")[0]
        if not _STEP.match(step) or (sort == self._sort and now - self._told_at < STEP_EVERY_S):
            return ""
        self._sort, self._told_at = sort, now
        return step


def useful(lines: Sequence[str]) -> str:
    """The lines that say what went wrong: pip's errors, or else the last ones."""
    kept = [line for line in lines if not _NOISE.search(line)]
    first = next((place for place, line in enumerate(kept) if line.lstrip().lower().startswith("error")), None)
    chosen = kept[first : first + ERROR_LINES_MAX] if first is not None else kept[-ERROR_LINES_MAX:]
    return "\n".join(chosen)
