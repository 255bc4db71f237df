"""Where events come in, whatever the object is called: a stream, with an entrance in front of it.

The controllers of Brokers, channels and flows open and close them; which door leads there is their own business. What
the EventTypes of a stream say (`Catalogue`) is in force before the first event comes through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from core.resources.eventing_options import BrokerOptions
from core.resources.meta import Json, ObjectKey
from eventing.controllers.world import BrokerClass, World
from eventing.duplicates import COUNT_MAX
from eventing.entrance import Entrance
from eventing.intake import Terms, with_dead_letters
from eventing.log.base import Record
from eventing.plans import retention_of
from eventing.schemas import SchemaRule, Schemas
from eventing.stream_intake import StreamIntake

RECALLED_AT_ONCE: Final = 1_000


class Catalogue:
    """What is known of the sorts of events of each stream. `news` is called where there is something to tell of it."""

    def __init__(self) -> None:
        self.news: Callable[[str], None] = lambda stream: None
        self._sorts: defaultdict[str, dict[ObjectKey, tuple[str, str]]] = defaultdict(dict)
        self._rules: defaultdict[str, dict[ObjectKey, SchemaRule]] = defaultdict(dict)
        self._entrances: dict[str, Entrance] = {}

    def attach(self, stream: str, entrance: Entrance) -> None:
        """A new entrance, which is to be told from now on."""
        self._entrances[stream] = entrance
        entrance.seen.changed = entrance.warned = partial(self._tell, stream)
        for type, source in self._sorts[stream].values():
            entrance.seen.learn(type, source)
        self._tell_schemas(stream)

    def detach(self, stream: str) -> None:
        self._entrances.pop(stream, None)

    def put(self, stream: str, key: ObjectKey, sort: tuple[str, str] | None, rule: SchemaRule | None) -> None:
        """What the EventType of that key says."""
        self._forget_sort(stream, key)
        if sort is not None:
            self._sorts[stream][key] = sort
            if (entrance := self._entrances.get(stream)) is not None:
                entrance.seen.learn(*sort)
        before = self._rules[stream].pop(key, None)
        if rule is not None:
            self._rules[stream][key] = rule
        if before is not rule:
            self._tell_schemas(stream)

    def drop(self, stream: str, key: ObjectKey) -> None:
        """There is no such EventType any more."""
        self._forget_sort(stream, key)
        if self._rules[stream].pop(key, None) is not None:
            self._tell_schemas(stream)

    def _forget_sort(self, stream: str, key: ObjectKey) -> None:
        sort = self._sorts[stream].pop(key, None)
        entrance = self._entrances.get(stream)
        if sort is not None and entrance is not None and sort not in self._sorts[stream].values():
            entrance.seen.forget(*sort)

    def _tell_schemas(self, stream: str) -> None:
        if (entrance := self._entrances.get(stream)) is not None:
            entrance.change(replace(entrance.terms, schemas=Schemas(self._rules[stream].values())))

    def _tell(self, stream: str) -> None:
        self.news(stream)


class Inlets:
    def __init__(self, world: World) -> None:
        self.catalogue = Catalogue()
        self._world = world
        self._made: dict[str, str] = {}  # uid and class of what runs, by stream

    async def open(
        self, stream: str, obj: Json, make: BrokerClass, options: BrokerOptions, class_name: str
    ) -> Entrance:
        """Makes the stream take events, or what takes them do it as its object says now.

        PermanentError, TemporaryError, StoreFull.
        """
        world, identity = self._world, f"{obj['metadata']['uid']} {class_name}"
        if self._made.get(stream) != identity:
            await self.close(stream, forget=stream in self._made)
            await world.plane.put_stream(await make(stream, obj))
            self._made[stream] = identity
        world.log.retain(stream, retention_of(options))
        entrance = world.plane.entrances.get(stream)
        if entrance is None:
            intake = StreamIntake(world.plane, world.clock, stream)
            aside = with_dead_letters(world.log.dead_letters, stream)
            entrance = Entrance(intake, aside, _terms(Terms(), options), world.clock)
            await self._recall(stream, entrance)
            self.catalogue.attach(stream, entrance)
            world.plane.entrances[stream] = entrance
        else:
            entrance.change(_terms(entrance.terms, options))
        assert isinstance(entrance.intake, StreamIntake)
        entrance.intake.backlog_max = options.backlog_max
        return entrance

    async def close(self, stream: str, *, forget: bool) -> None:
        """With its subscriptions. `forget`: with what it had stored."""
        self.catalogue.detach(stream)
        self._world.plane.entrances.pop(stream, None)
        await self._world.plane.drop_stream(stream, erase=forget)
        if forget:
            await self._world.log.drop_stream(stream)  # of one that never ran in this life, too
        self._made.pop(stream, None)

    async def _recall(self, stream: str, entrance: Entrance) -> None:
        """After a restart, the duplicates of what came before it are known."""
        age_s, log, now = entrance.terms.deduplicate_s, self._world.log, self._world.clock.wall()
        tail = log.stream(stream).tail
        if not age_s or not tail:
            return
        offset = max(await log.offset_at(stream, now - age_s), tail - COUNT_MAX)
        while offset < tail:
            entries = await log.read(stream, offset, RECALLED_AT_ONCE)
            if not entries:
                return
            stored = [(each.event, max(0.0, now - each.time_ms / 1000)) for each in entries if isinstance(each, Record)]
            entrance.recall(stored)
            offset = entries[-1].after


def _terms(before: Terms, options: BrokerOptions) -> Terms:
    return replace(before, deduplicate_s=options.deduplicate_s or 0.0, schema_mode=options.schema_mode)
