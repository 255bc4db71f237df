"""From a trigger to its scaler: definition, parameters, the check of the whole. Called by `sources`.

Everything that is wrong is one PermanentError in words for the person who wrote the trigger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.errors import PermanentError
from scalers.base import AnyDefinition, Scaler, World
from scalers.params import parse
from scalers.readings import Trigger
from scalers.registry import definition_of

Lookup = Callable[[str], Awaitable[AnyDefinition]]
"""The definition of a trigger's type. PermanentError: there is none."""
Make = Callable[[Trigger], Awaitable[Scaler]]
"""PermanentError: the trigger has to change first."""


async def load_definition(type_: str) -> AnyDefinition:
    """Of the registry. A scaler's file may bring a whole client library along, so it is imported in a thread."""
    return await asyncio.to_thread(definition_of, type_)


class Maker:
    """Scalers of one world; definitions are looked up once."""

    def __init__(self, world: World, look_up: Lookup = load_definition) -> None:
        self._world = world
        self._look_up = look_up
        self._known: dict[str, AnyDefinition] = {}

    async def make(self, trigger: Trigger) -> Scaler:
        """As `Make` says."""
        definition = self._known.get(trigger.type)
        try:
            if definition is None:
                definition = self._known[trigger.type] = await self._look_up(trigger.type)
            parameters = parse(definition.parameters, trigger)
            if isinstance(parameters, list):
                raise PermanentError("; ".join(map(str, parameters)), "InvalidParameters")
            if definition.check is not None:
                definition.check(parameters, trigger)
            return definition.make(parameters, trigger, self._world)
        except ImportError as error:
            raise client_missing(trigger.type, definition.extra if definition else "", error) from error


def client_missing(type_: str, extra: str, error: ImportError) -> PermanentError:
    """What to do about a client library that is not there."""
    extra = extra or type_
    text = (
        f"type {type_} needs a client that is not installed ({error.name or error}): pip install 'pilotlight[{extra}]'"
    )
    return PermanentError(text, "ClientMissing")
