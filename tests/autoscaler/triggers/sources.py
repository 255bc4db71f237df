"""A scaler of the tests' own: it says what a test has put into its `Pond`, and fails, hangs and pushes when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from core.clock import Clock
from core.errors import PermanentError, TemporaryError
from core.resources.meta import ObjectKey
from core.settings.declaration import Decimal, Text
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from scalers.base import AnyDefinition, Definition, Tell, World
from scalers.params import AUTH, Parameters, param
from scalers.pools import Pools
from scalers.readings import Quality, Reading, Target, Trigger


@dataclass
class Pond:
    """What waits in one system, and how it behaves."""

    value: float = 0.0
    error: str = ""
    hangs: bool = False
    takes_s: float = 0.0
    quality: Quality = Quality.WHOLE
    breaks: bool = False  # the stream
    password: str = ""  # that the last scaler came with
    proven: float | None = None  # what the last question brought, where it brought a whole reading
    proven_at: float = 0.0
    was_proven: float | None = None  # by the question before
    asked: list[float] = field(default_factory=list)
    made: int = 0
    closed: int = 0
    streams: int = 0
    tells: list[Tell] = field(default_factory=list)

    def proofs(self, now: float) -> list[float]:
        """What whoever decides now may go by: an answer of this very moment may not have reached it yet."""
        said = [self.proven, self.was_proven] if self.proven_at == now else [self.proven]
        return [value for value in said if value is not None]

    def tell(self, active: bool) -> None:
        for tell in self.tells:
            tell(active)


@dataclass(frozen=True, slots=True, kw_only=True)
class PondParameters(Parameters):
    pond: str = param("pond", Text(), "Which.")
    target: float = param("target", Decimal(0.001), "Of each replica.", 10.0)
    activation: float = param("activation", Decimal(0.0), "Active above it.", 0.0)
    password: str = param("password", Text(), "Of the system.", "", sources=AUTH, secret=True)


class PondScaler:
    def __init__(self, pond: Pond, parameters: PondParameters, clock: Clock) -> None:
        self._pond = pond
        self._clock = clock
        self._target = Target(f"pond-{parameters.pond}", parameters.target, parameters.activation)
        self._password = parameters.password
        pond.proven = None
        pond.made += 1
        pond.password = parameters.password

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        pond = self._pond
        pond.asked.append(self._clock.monotonic())
        reading = None
        try:
            reading = await self._read(pond)
        finally:
            whole = reading is not None and reading.quality is Quality.WHOLE
            pond.was_proven, pond.proven_at = pond.proven, self._clock.monotonic()
            pond.proven = reading.value if whole and reading is not None else None
        return (reading,)

    async def _read(self, pond: Pond) -> Reading:
        if pond.hangs:
            await asyncio.sleep(3600.0)
        if pond.error == "defect":
            raise KeyError("hunter22")
        if pond.error:
            raise TemporaryError(pond.error.replace("{password}", self._password))
        reading = Reading(pond.value, quality=pond.quality)
        if pond.takes_s:
            await asyncio.sleep(pond.takes_s)
        return reading

    async def close(self) -> None:
        self._pond.closed += 1


class PushingPondScaler(PondScaler):
    async def run(self, tell: Tell) -> None:
        self._pond.streams += 1
        if self._pond.breaks:
            raise TemporaryError("the stream broke")
        self._pond.tells.append(tell)
        try:
            await asyncio.sleep(1e9)
        finally:
            self._pond.tells.remove(tell)


class Ponds:
    """All of them by name; `look_up` is what a `Maker` wants."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ponds: dict[str, Pond] = {}

    def __getitem__(self, name: str) -> Pond:
        return self._ponds.setdefault(name, Pond())

    async def look_up(self, type_: str) -> AnyDefinition:
        kinds: dict[str, type[PondScaler]] = {"pond": PondScaler, "pond-push": PushingPondScaler}
        if type_ == "absent":
            raise ModuleNotFoundError("No module named 'absentlib'", name="absentlib")
        if type_ not in kinds:
            raise PermanentError(f"type {type_!r} is not known", "UnknownTrigger")
        return Definition(PondParameters, self._maker(kinds[type_]), "A pond.")

    def _maker(self, scaler: type[PondScaler]) -> Callable[[PondParameters, Trigger, World], PondScaler]:
        return lambda parameters, trigger, world: scaler(self[parameters.pond], parameters, self._clock)


def world_of(clock: Clock) -> World:
    return World(clock, MemoryStore((), clock), StatisticBus(), Pools())


def trigger(pond: str, type_: str = "pond", index: int = 0, owner: str = "orders", **metadata: str) -> Trigger:
    return Trigger(ObjectKey("default", owner), index, type_, {"pond": pond, **metadata})


def with_password(trigger: Trigger, password: str) -> Trigger:
    return replace(trigger, auth={"password": password})
