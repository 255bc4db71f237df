"""How a measurement is told: what was asked, what came out, how that compares; one table, one JSON file."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One bar. `met` is None where a thing was measured that has no bar, or could not be measured (`note` says why)."""

    what: str
    bar: str
    measured: str
    met: bool | None
    yardstick: str = ""
    note: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; `share` from 0 to 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def print_rows(rows: Iterable[Row]) -> None:
    for row in rows:
        mark = {True: "met   ", False: "MISSED", None: "-     "}[row.met]
        print(f"{mark}  {row.what}")
        print(f"        bar {row.bar}; measured {row.measured}" + (f"; {row.yardstick}" if row.yardstick else ""))
        if row.note:
            print(f"        {row.note}")


def print_table(rows: Iterable[Row]) -> None:
    """One line a row."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "bar", "measured", "yardstick"):
        table.add_column(column, overflow="fold")
    for row in rows:
        mark = {True: "met", False: "MISSED", None: "-"}[row.met]
        table.add_row(mark, row.what, row.bar, row.measured, row.yardstick or row.note)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def read(name: str) -> list[Row]:
    """The rows that `write` wrote; none where it did not."""
    path = RESULTS / f"{name}.json"
    return [Row(**row) for row in json.loads(path.read_text())["rows"]] if path.exists() else []


def write(name: str, rows: Sequence[Row]) -> Path:
    """Writes `results/<name>.json`, with the machine it was measured on."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    machine = {"machine": platform.machine(), "kernel": platform.release(), "python": sys.version.split()[0]}
    document = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **machine, "rows": [asdict(r) for r in rows]}
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path
