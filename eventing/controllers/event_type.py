"""EventTypes: what they say is told to the entrances (`Catalogue`), and what passes an entrance becomes one.

Two reconcilers, of two sorts of keys: an EventType by its name, and a stream that has news, by the stream's.
"""

from __future__ import annotations

from typing import Any, Final

from core.errors import AlreadyExists
from core.reconcile.controller import Controller, Watched, itself
from core.reconcile.references import References
from core.resources.conditions import Conditions
from core.resources.duck_v1 import Reference
from core.resources.eventing import BROKER, EVENT_TYPE, EVENT_TYPE_CONDITIONS, EventType
from core.resources.messaging import CHANNEL, IN_MEMORY_CHANNEL
from core.resources.meta import Json, Kind, ObjectKey, owner_reference
from core.settings.config_maps import EVENTING_FEATURES
from eventing.controllers.inlets import Catalogue
from eventing.controllers.resolving import followed, kind_of, referents
from eventing.controllers.world import World
from eventing.entrance import Entrance
from eventing.event_types import Seen, event_type_for, schema_rule_of, sort_of
from eventing.plans import broker_stream, channel_stream
from eventing.schemas import BadSchema, SchemaRule

REFERENCE_EXISTS: Final = "ReferenceExists"
SCHEMA_COMPILES: Final = "SchemaCompiles"
WARNED_S: Final = 60.0
"""Between two Warning events of one Broker or channel about data that breaks its schema."""
_OF_KIND: Final = {"broker": (BROKER,), "channel": (CHANNEL, IN_MEMORY_CHANNEL)}


class EventTypeReconciler:
    def __init__(self, world: World, catalogue: Catalogue) -> None:
        self._world = world
        self._catalogue = catalogue
        self._references = References()
        self._known: dict[ObjectKey, tuple[str, SchemaRule | BadSchema | None, str]] = {}  # version, rule, stream

    def controller(self) -> Controller:
        watches = [Watched(EVENT_TYPE, itself), *followed(self._references)]
        return Controller("event-type", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> None:
        obj = await self._world.find_live(EVENT_TYPE, key)
        if obj is None:
            self._references.set(key, ())
            if (known := self._known.pop(key, None)) is not None:
                self._catalogue.drop(known[2], key)
            return
        reference = obj["spec"].get("reference")
        self._references.set(key, referents([{"ref": reference}] if reference else [], key.namespace))
        rule = self._learn(key, obj, reference)
        conditions = EVENT_TYPE_CONDITIONS.manage(obj.get("status"), self._world.now())
        await self._mark_reference(reference, key, conditions)
        if isinstance(rule, BadSchema):
            conditions.mark_false(SCHEMA_COMPILES, "SchemaDoesNotCompile", f"it checks nothing: {rule.detail}")
        else:
            conditions.mark_true(SCHEMA_COMPILES)
        status = {"observedGeneration": obj["metadata"].get("generation", 0), "conditions": conditions.to_json()}
        await self._world.write_status(EVENT_TYPE, obj, status)

    def _learn(self, key: ObjectKey, obj: Json, reference: Json | None) -> SchemaRule | BadSchema | None:
        """Its schema, compiled once for each generation, and told to the entrance that it is of."""
        version, stream = f"{obj['metadata']['uid']} {obj['metadata'].get('generation')}", _stream(reference, key)
        known = self._known.get(key)
        if known is not None and known[0] == version:
            return known[1]
        event_type = EventType.model_validate(obj)
        rule = schema_rule_of(event_type)
        if known is not None and known[2] != stream:
            self._catalogue.drop(known[2], key)
        self._known[key] = (version, rule, stream)
        self._catalogue.put(stream, key, sort_of(event_type), rule if isinstance(rule, SchemaRule) else None)
        return rule

    async def _mark_reference(self, reference: Json | None, key: ObjectKey, conditions: Conditions) -> None:
        if not reference:
            conditions.mark_true(REFERENCE_EXISTS, "ReferenceNotSet", "spec.reference is not set")
            return
        kind = kind_of(reference)
        where = ObjectKey(reference.get("namespace") or key.namespace, reference.get("name") or "")
        if kind is not None and await self._world.find(kind, where) is not None:
            conditions.mark_true(REFERENCE_EXISTS)
        else:
            said = "Resource in spec.reference does not exist"
            conditions.mark_false(REFERENCE_EXISTS, "ResourceDoesNotExist", said)


class NewsReconciler:
    """Makes EventTypes of what was new, and tells of what was only warned of. A key's name is a stream's."""

    def __init__(self, world: World, catalogue: Catalogue) -> None:
        self._world = world
        self._warned: dict[str, float] = {}
        self._catalogue = catalogue

    def controller(self) -> Controller:
        controller = Controller("event-type-news", self._world.store, self.reconcile, (), self._world.clock)
        self._catalogue.news = lambda stream: controller.enqueue(ObjectKey("", stream))
        return controller

    async def reconcile(self, key: ObjectKey) -> float | None:
        entrance = self._world.plane.entrances.get(key.name)
        found = await self._owner(key.name)
        if entrance is None or found is None:
            return None
        await self._register(entrance, *found)
        return await self._warn(key.name, entrance, found[1])

    async def _owner(self, stream: str) -> tuple[Kind[Any], Json] | None:
        """The Broker or channel whose stream it is; of a Channel and what it became, the Channel."""
        sort, namespace, name = stream.split("/", 2)
        for kind in _OF_KIND.get(sort, ()):
            obj = await self._world.find_live(kind, ObjectKey(namespace, name))
            if obj is not None:
                return kind, obj
        return None

    async def _register(self, entrance: Entrance, kind: Kind[Any], obj: Json) -> None:
        fresh = entrance.seen.take_fresh()
        if self._world.settings()[EVENTING_FEATURES].eventtype_auto_create != "enabled":
            return
        while fresh:
            try:
                await self._create(fresh[0], kind, obj)
            except BaseException:
                for seen in fresh:  # the next such event is the first again
                    entrance.seen.forget(seen.type, seen.source)
                raise
            fresh.pop(0)

    async def _create(self, seen: Seen, kind: Kind[Any], obj: Json) -> None:
        metadata = obj["metadata"]
        reference = Reference(
            api_version=kind.api_version, kind=kind.kind, name=metadata["name"], namespace=metadata["namespace"]
        )
        made = event_type_for(seen, metadata["namespace"], reference).to_json()
        owned = owner_reference(kind, obj).model_copy(update={"controller": None, "block_owner_deletion": None})
        made["metadata"]["ownerReferences"] = [owned.to_json()]
        try:
            await self._world.store.create(
                EVENT_TYPE, {**made, "apiVersion": EVENT_TYPE.api_version, "kind": EVENT_TYPE.kind}
            )
        except AlreadyExists:
            return

    async def _warn(self, stream: str, entrance: Entrance, obj: Json) -> float | None:
        """Seconds after which there may be something to tell that was not told now."""
        now, last = self._world.clock.monotonic(), self._warned.get(stream)
        if last is not None and now - last < WARNED_S:
            return WARNED_S - (now - last)
        if warning := entrance.take_warning():
            self._warned[stream] = now
            await self._world.recorder.event(obj, "Warning", "SchemaViolated", warning)
            return WARNED_S
        return None


def _stream(reference: Json | None, key: ObjectKey) -> str:
    """The stream whose events the EventType of that key speaks of; empty where it is not one of ours."""
    kind = kind_of(reference) if reference else None
    if reference is None or kind is None:
        return ""
    where = ObjectKey(reference.get("namespace") or key.namespace, reference.get("name") or "")
    if kind is BROKER:
        return broker_stream(where)
    return channel_stream(where) if kind in (CHANNEL, IN_MEMORY_CHANNEL) else ""
