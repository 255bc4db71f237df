"""Open-loop load: requests leave when the schedule says, and latency counts from then (`programs/generator.c`)."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import percentile
from tests.support.servers import compiled

PROGRAMS = Path(__file__).parent / "programs"
UNANSWERED = {0: "connection failed", -1: "no answer"}


@dataclass(frozen=True)
class Answers:
    """What came back: when each was due, in seconds from the start, and how long it took."""

    due: list[float]
    took_ms: list[float]
    where: list[int]  # the number of the address
    errors: Counter[str]
    late_ms: float  # by how much the generator itself missed its schedule at worst

    def p(self, share: float, begin: float = 0.0, end: float = float("inf"), where: int | None = None) -> float:
        """Milliseconds, of those that were due between, from that address or from all."""
        answers = zip(self.due, self.took_ms, self.where, strict=True)
        return percentile([took for due, took, at in answers if begin <= due < end and where in (at, None)], share)

    @property
    def failed(self) -> int:
        return self.errors.total()


def told(errors: Counter[str]) -> str:
    """`no errors`, or how many of which status."""
    return ", ".join(f"{count} x {status}" for status, count in errors.most_common()) or "no errors"


def generate(
    addresses: Sequence[tuple[str, int]], steps: Sequence[tuple[float, float]], host: str, pinned: Sequence[str] = ()
) -> Answers:
    """To the addresses in turn. `steps`: (requests/s in all, seconds) one after the other.

    `pinned`: what the command begins with (`taskset …`).
    """
    schedule = ",".join(f"{rate:.3f}:{seconds:g}" for rate, seconds in steps)
    where = [f"{address}:{port}" for address, port in addresses]
    command = [*pinned, str(compiled("generator", PROGRAMS)), host, schedule, *where]
    *lines, last = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split() for line in lines]
    statuses = Counter(int(status) for _, _, status in rows)
    errors = Counter({UNANSWERED.get(code, str(code)): count for code, count in statuses.items() if code != 200})
    answered = [
        (float(due), float(took), number % len(addresses))
        for number, (due, took, status) in enumerate(rows)
        if int(status) > 0
    ]
    dues, tooks, where = (list(column) for column in zip(*answered, strict=True)) if answered else ([], [], [])
    return Answers(dues, tooks, where, errors, float(last.split()[1]))
