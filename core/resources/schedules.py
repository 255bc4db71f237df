"""Cron schedules (github.com/robfig/cron): five fields, or six with seconds in front, or a word such as `@daily`.

PingSource's rules parse them at admission, its source asks for the next moment. Pure: the present is passed in.

    day of month and day of week both restricted → either will do, as in every cron
    a moment that summer time skips              → not that day, as there
    one that it repeats                          → once
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)
_YEARS_MAX: Final = 8  # 29 February may be that far away
_NUMBER: Final = re.compile(r"\d{1,4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_FIELDS: Final = (
    _Field("seconds", 0, 59),
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The moments that a schedule names, by the wall clock of `zone`."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    either_day: bool  # both fields of days are restricted
    zone: tzinfo = UTC

    def next_after(self, epoch_s: float) -> float | None:
        """The first moment later than that, in seconds since the epoch; None where there is none in eight years."""
        start = datetime.fromtimestamp(epoch_s, self.zone)
        date = start.date()
        for _ in range(_YEARS_MAX * 366):
            if date.month in self.months and self._takes(date.day, date.isoweekday() % 7):
                found = self._first_on(datetime(date.year, date.month, date.day), epoch_s)
                if found is not None:
                    return found
            date += timedelta(days=1)
        return None

    def _takes(self, day: int, weekday: int) -> bool:
        if self.either_day:
            return day in self.days or weekday in self.weekdays
        return day in self.days and weekday in self.weekdays

    def _first_on(self, day: datetime, after: float) -> float | None:
        """The first moment of a day that is later than `after`."""
        for hour in self.hours:
            # An hour ends an hour after it begins, and two where the clock goes back within it.
            if self._epoch(day.replace(hour=hour)) + 2 * 3600 <= after:
                continue
            for minute in self.minutes:
                if self._epoch(day.replace(hour=hour, minute=minute, second=59)) <= after:
                    continue
                for second in self.seconds:
                    moment = day.replace(hour=hour, minute=minute, second=second)
                    if (epoch := self._epoch(moment)) > after and self._exists(moment, epoch):
                        return epoch
        return None

    def _epoch(self, wall: datetime) -> float:
        return wall.replace(tzinfo=self.zone).timestamp()

    def _exists(self, wall: datetime, epoch: float) -> bool:
        return datetime.fromtimestamp(epoch, self.zone).replace(tzinfo=None) == wall


def parse_schedule(text: str, timezone: str = "") -> Schedule:
    """ValueError, which says what is wrong and where."""
    zone = parse_timezone(timezone) if timezone else UTC
    spec = text.strip()
    if spec.startswith("@"):
        if spec not in _WORDS:
            raise ValueError(f"unrecognized descriptor: {spec}; known are {', '.join(_WORDS)}")
        spec = _WORDS[spec]
    parts = spec.split()
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != len(_FIELDS):
        raise ValueError(f"expected 5 to 6 fields, found {len(parts)}: {spec!r}")
    seconds, minutes, hours, days, months, weekdays = (
        _values(field, part) for field, part in zip(_FIELDS, parts, strict=True)
    )
    either = not any(part.startswith(("*", "?")) for part in (parts[3], parts[5]))
    return Schedule(
        tuple(sorted(seconds)),
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(weekdays),
        either,
        zone,
    )


def parse_timezone(name: str) -> tzinfo:
    """ValueError for one that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"provided bad location {name}: unknown time zone") from None


def _values(field: _Field, text: str) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        values |= _range(field, part)
    return values


def _range(field: _Field, text: str) -> set[int]:
    """`*`, `*/n`, `a`, `a-b`, `a-b/n`, `a/n` (from a to the last)."""
    bounds, slash, step_text = text.partition("/")
    low_text, dash, high_text = bounds.partition("-")
    if low_text in ("*", "?") and not dash:
        low, high = field.least, field.most
    else:
        low = _number(field, low_text, text)
        high = _number(field, high_text, text) if dash else field.most if slash else low
    step = _plain(field, step_text, text) if slash else 1
    if low < field.least or high > field.most:
        raise ValueError(f"{field.name} must be from {field.least} to {field.most}: {text!r}")
    if low > high:
        raise ValueError(f"beginning of {field.name} is beyond its end: {text!r}")
    if step < 1:
        raise ValueError(f"step of {field.name} must be a positive number: {text!r}")
    return set(range(low, high + 1, step))


def _number(field: _Field, text: str, whole: str) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.least
    return _plain(field, text, whole)


def _plain(field: _Field, text: str, whole: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"failed to parse {field.name}: {whole!r}")
    return int(text)
