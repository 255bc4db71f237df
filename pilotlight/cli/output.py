"""What a command prints: JSON when asked, aligned plain text otherwise; color and motion only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from rich.console import Console

console = Console(highlight=False, soft_wrap=True)
problems = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str = "") -> None:
    console.print(text, markup=False)


def note(text: str) -> None:
    """A line beside the answer (progress, hints): stderr, so that a pipe gets the answer alone."""
    problems.print(text, markup=False, style="dim")


def print_text(text: str) -> None:
    """As it is, without a newline of ours."""
    sys.stdout.write(text)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: Any) -> None:
    """One line of a stream: at once, for whoever reads along."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_yaml(value: Any) -> None:
    sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, headers: bool = True) -> None:
    """Columns three spaces apart, as kubectl and kn print them."""
    lines = [*([list(header)] if headers else []), *([str(cell) for cell in row] for row in rows)]
    if not lines:
        return
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("   ".join(cells).rstrip() + "\n")
