"""cron: so many replicas between two moments of the clock (pkg/scalers/cron_scaler.go).

Inside the window the next end comes before the next start, by a clock on the wall of its time zone that is never put
back: a start that summer time skips has come when the hour has gone by, and a repeated hour opens and closes nothing a
second time. Upstream asks for the next real moments, so before a skipped start the window is open all day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from core.clock import Clock
from core.resources.schedules import Schedule, parse_schedule, parse_timezone
from core.settings.declaration import Whole
from scalers.base import Definition, World
from scalers.metric_names import normalize
from scalers.params import Parameters, param
from scalers.readings import Reading, Target, Trigger

_SPELLED: Final = str.maketrans({" ": None, "*": "x", "/": "Sl", "?": "Qm"})


@dataclass(frozen=True, slots=True)
class TimezoneName:
    allowed: str = "must be a name of the IANA time zone database, such as Europe/Berlin"

    def read(self, text: str) -> str:
        try:
            parse_timezone(text)
        except ValueError:
            raise ValueError from None
        return text


@dataclass(frozen=True, slots=True)
class CronText:
    allowed: str = "must be a cron schedule of five fields, such as 30 8 * * 1-5"

    def read(self, text: str) -> str:
        try:
            parse_schedule(text)
        except ValueError as error:
            raise ValueError(f"{self.allowed}: {error}") from None
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class CronParameters(Parameters):
    timezone: str = param("timezone", TimezoneName(), "Whose clock the schedules mean.")
    start: str = param("start", CronText(), "When the window opens.")
    end: str = param("end", CronText(), "When it closes.")
    desired_replicas: int = param("desiredReplicas", Whole(0), "Replicas inside the window.")

    def problems(self) -> Sequence[tuple[str, str]]:
        return (
            [("end", f"is {self.end!r} like start; a window needs an end of its own")] if self.start == self.end else ()
        )


class CronScaler:
    """One window."""

    def __init__(self, parameters: CronParameters, clock: Clock) -> None:
        self._start = parse_schedule(parameters.start)
        self._end = parse_schedule(parameters.end)
        self._zone = parse_timezone(parameters.timezone)
        self._replicas = parameters.desired_replicas
        self._clock = clock
        self._target = Target(metric_name(parameters), 1.0)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        if is_open(self._start, self._end, wall_time(self._clock.wall(), self._zone)):
            return (Reading(float(self._replicas), note="inside the window"),)
        return (Reading(0.0, note="outside the window"),)

    async def close(self) -> None:
        """Holds nothing."""


def is_open(start: Schedule, end: Schedule, now: float) -> bool:
    """Whether a moment lies in the window; one that lacks a start or an end is never open."""
    starts, ends = start.next_after(now), end.next_after(now)
    if starts is None:
        return False
    return ends is not None and ends < starts


def wall_time(epoch_s: float, zone: tzinfo) -> float:
    """What a clock on the wall there shows, as if it were UTC; in an hour that is repeated it stands still."""
    local = datetime.fromtimestamp(epoch_s, zone)
    while local.fold:
        epoch_s = (epoch_s // 60.0) * 60.0 - 0.001  # the repetition begins at a full minute
        local = datetime.fromtimestamp(epoch_s, zone)
    return local.replace(tzinfo=UTC).timestamp()


def metric_name(parameters: CronParameters) -> str:
    """`cron-Europe-Berlin-308xx1-5-3018xx1-5`, as upstream spells it."""
    start, end = (text.translate(_SPELLED) for text in (parameters.start, parameters.end))
    return normalize(f"cron-{parameters.timezone}-{start}-{end}")


def _make(parameters: CronParameters, trigger: Trigger, world: World) -> CronScaler:
    return CronScaler(parameters, world.clock)


DEFINITION = Definition(CronParameters, _make, "Replicas by the clock.")
