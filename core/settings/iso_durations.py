"""Durations as ISO 8601 writes them (`PT0.2S`, `P1DT2H`, `P2W`), in seconds here.

Used wherever Knative Eventing's documents carry one: delivery policies, annotations, ConfigMaps. Pure.
"""

from __future__ import annotations

import re
from typing import Final

_YEAR_S: Final = 365.2425 * 86400  # as github.com/rickb777/date/period, which Knative reads them with
_NUMBER: Final = r"(\d+(?:[.,]\d+)?)"
_DATE: Final = (("Y", _YEAR_S), ("M", _YEAR_S / 12), ("W", 604800.0), ("D", 86400.0))
_TIME: Final = (("H", 3600.0), ("M", 60.0), ("S", 1.0))
_WHOLE: Final = re.compile(
    "([+-]?)P"
    + "".join(f"(?:{_NUMBER}{unit})?" for unit, _ in _DATE)
    + "(?:T(?=\\d)"
    + "".join(f"(?:{_NUMBER}{unit})?" for unit, _ in _TIME)
    + ")?",
    re.ASCII,
)
_SECONDS: Final = (*(seconds for _, seconds in _DATE), *(seconds for _, seconds in _TIME))


def parse_iso_duration(text: str) -> float:
    """Seconds; negative ones where the text says so. ValueError."""
    match = _WHOLE.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as PT0.2S, PT1M30S or P7D")
    sign, *numbers = match.groups()
    total = sum(
        float(number.replace(",", ".")) * seconds for number, seconds in zip(numbers, _SECONDS, strict=True) if number
    )
    return -total if sign == "-" else total


def format_iso_duration(seconds: float) -> str:
    """`P7D`, `PT1H30M`, `PT0.2S`, `PT0S`."""
    milliseconds = round(abs(seconds) * 1000)
    sign = "-" if seconds < 0 and milliseconds else ""
    days, rest = divmod(milliseconds, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    date = f"{days}D" if days else ""
    time = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number)
    if rest or not (date or time):
        time += f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "S"
    return f"{sign}P{date}" + (f"T{time}" if time else "")
