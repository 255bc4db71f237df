"""One trigger under the poller: its scaler, what it said last, how it has been doing.

A scaler lives as long as its trigger stays the same: errors do not end it. What it raises becomes the words of a
sample; nothing of it passes on.
"""

from __future__ import annotations

import asyncio
import traceback
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from autoscaler.triggers import circuit as circuits
from autoscaler.triggers.circuit import Circuit
from autoscaler.triggers.making import Make, client_missing
from autoscaler.triggers.masking import masked
from autoscaler.triggers.pace import CALM, RESTED, Breath, Pace, after_reading, next_pace
from autoscaler.triggers.samples import Sample
from core.clock import Clock
from core.errors import PermanentError, TemporaryError
from core.resources.meta import ObjectKey
from scalers.base import Scaler
from scalers.readings import MetricType, Reading, Target, Trigger

DEADLINE_S: Final = 10.0
"""For one reading; most clients give up earlier and say more."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose triggers they are: a ScaledObject's or a ScaledJob's."""

    kind: str
    key: ObjectKey


class Source:
    """One trigger. `poller` says when; the rest of the platform sees samples."""

    __slots__ = (
        "_samples",
        "asked_at",
        "breath",
        "circuit",
        "due_at",
        "error",
        "errors",
        "gone",
        "late_s",
        "number",
        "owner",
        "pace",
        "permanent",
        "polling_s",
        "pushed_at",
        "read_at",
        "readings",
        "scaler",
        "seen",
        "targets",
        "took_s",
        "trigger",
        "trouble",
    )

    def __init__(self, trigger: Trigger, polling_s: float, trouble: str = "") -> None:
        self.owner = Owner(trigger.owner_kind, trigger.owner)
        self.trigger = trigger
        self.number = zlib.crc32(str(trigger.owner).encode())  # for the phase in which it is read
        self.trouble = trouble  # why there cannot be a scaler, as long as the trigger is as it is
        self.polling_s = polling_s
        self.scaler: Scaler | None = None
        self.seen: Scaler | None = None  # by the poller, which asks it whether it pushes
        self.targets: Sequence[Target] = ()
        self.readings: Sequence[Reading] = ()
        self.read_at = 0.0
        self.asked_at: float | None = None
        self.took_s = 0.0
        self.due_at: float | None = None
        self.late_s = 0.0  # how long after that it was asked
        self.error = ""
        self.errors = 0  # questions without an answer, ever
        self.permanent = False  # until its trigger changes
        self.pushed_at: float | None = None
        self.circuit: Circuit = circuits.WHOLE
        self.pace: Pace = CALM
        self.breath: Breath = RESTED
        self.gone = False
        self._samples: Sequence[Sample] | None = None

    async def ask(self, make: Make, clock: Clock) -> None:
        """Reads it once. Never fails: what went wrong is in the samples."""
        self.asked_at = asked_at = clock.monotonic()
        self.breath = after_reading(self.breath, asked_at)
        self.late_s = max(0.0, asked_at - self.due_at) if self.due_at is not None else 0.0
        self.circuit = circuits.ask(self.circuit)
        try:
            async with asyncio.timeout(DEADLINE_S) as deadline:
                targets, readings = await self._read(make)
        except (TemporaryError, PermanentError) as error:
            problem = str(error)
        except TimeoutError:
            problem = f"gave no answer within {DEADLINE_S:g}s" if deadline.expired() else "timed out"
        except ImportError as error:
            problem = str(client_missing(self.trigger.type, "", error))
        except Exception as error:
            problem = f"its scaler failed unexpectedly ({type(error).__name__}); this is a defect of the platform"
            where = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                "scaler failed",
                trigger=self.describe(),
                error=type(error).__name__,
                file=where.filename,
                line=where.lineno,
            )
        else:
            self._note(targets, readings, asked_at, clock.monotonic())
            return
        self._fail(problem, clock.monotonic())

    def push(self, now: float) -> None:
        """The source says that there is work."""
        self.pushed_at = now
        self._samples = None

    def recount(self) -> None:
        """Another poll has gone by without an answer."""
        self._samples = None

    def samples(self, now: float) -> Sequence[Sample]:
        """One for each of its metrics; one without a target where not even these are known."""
        if self._samples is None:
            self._samples = tuple(self._make_samples(now))
        return self._samples

    def describe(self) -> str:
        """For logs."""
        return f"{self.owner.kind} {self.owner.key} {self.trigger.path} ({self.trigger.type})"

    async def _read(self, make: Make) -> tuple[Sequence[Target], Sequence[Reading]]:
        if self.scaler is None:
            try:
                if self.trouble:
                    raise PermanentError(self.trouble)
                self.scaler = await make(self.trigger)
            except PermanentError:
                self.permanent = True
                raise
        targets = [self._typed(target) for target in await self.scaler.targets()]
        readings = await self.scaler.read()
        if not targets or len(targets) != len(readings):
            raise PermanentError(f"gave {len(readings)} readings for {len(targets)} metrics")
        return targets, readings

    def _typed(self, target: Target) -> Target:
        """The metric type of the document, where the scaler has not seen to it."""
        asked = self.trigger.metric_type
        if asked is None or target.metric_type is not MetricType.AVERAGE_VALUE:
            return target
        return replace(target, metric_type=asked)

    def _note(self, targets: Sequence[Target], readings: Sequence[Reading], asked_at: float, now: float) -> None:
        changed = self._changes(targets, readings)
        self.targets, self.readings = targets, readings
        self.read_at, self.took_s = now, now - asked_at
        self.error, self.circuit = "", circuits.WHOLE
        if self.pushed_at is not None and self.pushed_at <= asked_at:
            self.pushed_at = None
        self.pace = next_pace(self.pace, self.polling_s, self.took_s, changed=changed and not self.trigger.cached)
        self._samples = None

    def _fail(self, problem: str, now: float) -> None:
        self.error = masked(problem, self.trigger) or "no reason was given"
        self.errors += 1
        self.circuit = circuits.fail(self.circuit, now, self.polling_s)
        self.pace = CALM
        self._samples = None

    def _changes(self, targets: Sequence[Target], readings: Sequence[Reading]) -> bool:
        """Whether more or fewer replicas are asked for than by the reading before; the first one is none."""
        before = [_asked(*each) for each in zip(self.targets, self.readings, strict=True)]
        now = [_asked(*each) for each in zip(targets, readings, strict=True)]
        return bool(before) and now != before

    def _make_samples(self, now: float) -> list[Sample]:
        index, name, type_ = self.trigger.index, self.trigger.name, self.trigger.type
        failures = circuits.missed(self.circuit, now, self.polling_s)
        pushed = self.pushed_at is not None
        if not self.targets:
            return [Sample(f"s{index}-{type_}", name, type_, None, failures=failures, error=self.error, pushed=pushed)]
        return [
            Sample(
                metric=f"s{index}-{target.metric}",
                trigger=name,
                type=type_,
                target=target,
                reading=reading,
                read_at=self.read_at,
                failures=failures,
                error=self.error,
                pushed=pushed,
            )
            for target, reading in zip(self.targets, self.readings, strict=True)
        ]


def _asked(target: Target, reading: Reading) -> tuple[float, bool]:
    """Replicas and activity, roughly: bounds are the decision's business."""
    return -(-max(0.0, reading.value) // target.value), reading.activity > target.activation


def lateness(sources: Sequence[Source], now: float) -> float:
    """From when the last reading was due until now, when it has been decided upon."""
    asked = [(source.asked_at, source.late_s) for source in sources if source.asked_at]
    last = max(asked, default=None)
    return 0.0 if last is None or last[0] is None else last[1] + now - last[0]
