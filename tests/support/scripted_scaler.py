"""A scaler of the registry's shape that says what a test tells it: `SCRIPT`, made anew by each test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.settings.declaration import Decimal, Text
from scalers.base import Definition, Tell, World
from scalers.params import ANYWHERE, AUTH_OR_ENV, Parameters, param
from scalers.readings import Reading, Target, Trigger

TYPE, MODULE = "scripted", "tests.support.scripted_scaler"


@dataclass(slots=True)
class Script:
    readings: list[Reading] = field(default_factory=lambda: [Reading(35.0)])
    error: Exception | None = None
    reads: int = 0
    made: list[Trigger] = field(default_factory=list)
    closed: int = 0
    pushes: asyncio.Queue[bool] = field(default_factory=asyncio.Queue)


SCRIPT: list[Script] = []


def script() -> Script:
    """A new one, in force from now on."""
    SCRIPT[:] = [Script()]
    return SCRIPT[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedParameters(Parameters):
    queue: str = param("queue", Text(), "Name of the queue.")
    size: float = param("size", Decimal(above=0.0), "Messages for each replica.", 10.0)
    host: str | None = param("host", Text(), "Where it is.", None, sources=ANYWHERE)
    password: str | None = param("password", Text(), "The word.", None, sources=AUTH_OR_ENV, secret=True)


class ScriptedScaler:
    def __init__(self, parameters: ScriptedParameters, trigger: Trigger, world: World) -> None:
        self.parameters = parameters
        SCRIPT[0].made.append(trigger)

    async def targets(self) -> Sequence[Target]:
        return [Target(f"q{n or ''}-{self.parameters.queue}", self.parameters.size) for n, _ in self._numbered()]

    async def read(self) -> Sequence[Reading]:
        SCRIPT[0].reads += 1
        if SCRIPT[0].error is not None:
            raise SCRIPT[0].error
        return SCRIPT[0].readings

    async def run(self, tell: Tell) -> None:
        while True:
            tell(await SCRIPT[0].pushes.get())

    async def close(self) -> None:
        SCRIPT[0].closed += 1

    def _numbered(self) -> list[tuple[int, Reading]]:
        return list(enumerate(SCRIPT[0].readings))


DEFINITION = Definition(ScriptedParameters, ScriptedScaler, "What a test says.")
