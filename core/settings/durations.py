"""Durations as Go writes them (`1h30m`, `1.5s`, `300ms`), in seconds here.

Used wherever Knative documents carry one: ConfigMap values and annotations. Pure.
"""

from __future__ import annotations

import re
from typing import Final

_UNIT_S: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = r"(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)"
_WHOLE: Final = re.compile(rf"[+-]?(?:0|(?:{_PART})+)", re.ASCII)
_PIECE: Final = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµμ]+)", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds, as `time.ParseDuration` reads them. ValueError."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 90s or 1m30s")
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _PIECE.findall(text))
    return -seconds if text.startswith("-") else seconds


def format_duration(seconds: float) -> str:
    """As Go's `Duration.String` prints it: `1h0m0s`, `1m30s`, `1.5s`, `300ms`, `0s`."""
    nanoseconds = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and nanoseconds else ""
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 1_000_000_000:
        for size, unit in ((1_000_000, "ms"), (1_000, "µs"), (1, "ns")):
            if nanoseconds >= size:
                return f"{sign}{_decimal(nanoseconds / size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest / 1e9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"


def _decimal(number: float) -> str:
    return f"{number:.9f}".rstrip("0").rstrip(".")
