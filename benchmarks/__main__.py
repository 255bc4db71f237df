"""`make bench`: every benchmark, one after the other, each in a process of its own; then one table of all.

`python -m benchmarks NAME …` runs some. A benchmark is a module with `measure() -> list[Row]`.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

from benchmarks.report import RESULTS, Row, print_rows, print_table, read, write

BENCHMARKS: tuple[str, ...] = (
    "warm_path",
    "cold_starts",
    "load_steps",
    "many_sleepers",
    "api_creates",
    "autoscaler_tick",
    "scaling_decision",
    "scaled_objects",
    "store_writes",
    "event_log",
    "broker",
    "matching",
    "event_codec",
    "cold_start_python",
    "cold_start_container",
    "lag_wake",
    "lag_drain",
)


def run_one(name: str) -> None:
    rows = importlib.import_module(f"benchmarks.{name}").measure()
    print_rows(rows)
    write(name, rows)


def main(names: list[str]) -> int:
    if unknown := set(names) - set(BENCHMARKS):
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
        return 2
    failed: list[Row] = []
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile every module: twice as long
    for name in names or BENCHMARKS:
        print(f"\n{name}", flush=True)
        (RESULTS / f"{name}.json").unlink(missing_ok=True)  # a row of an earlier run must not stand for this one
        ended = subprocess.run([sys.executable, "-c", f"from benchmarks.__main__ import run_one; run_one({name!r})"])
        if ended.returncode:
            failed.append(Row(name, "-", "did not run", None, note=f"exit code {ended.returncode}, see above"))
    print()
    print_table([*(row for name in names or BENCHMARKS for row in read(name)), *failed])
    print(f"\nwritten to {RESULTS}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
