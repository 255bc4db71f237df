"""SinkBinding → K_SINK and what belongs to it in the environment of its subjects (knative.dev/pkg/webhook/psbinding).

What is written later is bound by admission (`sink_env.Bindings`); here what is there already. A finalizer holds the
binding until it is off its subjects again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from core.reconcile.controller import Controller, Keys, Watched, itself
from core.resources.conditions import READY, Conditions
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.resources.sources import SINK_BINDING, SINK_BINDING_CONDITIONS
from core.store.base import WatchEvent
from core.tasks import Service
from eventing.controllers.resolving import followed, kind_of
from eventing.controllers.world import World
from eventing.sink_env import SUBJECTS, make_binding, matches, set_environment
from eventing.sources.base import Sinks

FINALIZER: Final = "sinkbindings.sources.knative.dev"

_Subject: TypeAlias = tuple[Kind[Any], ObjectKey]


class SinkBindings:
    """`base.Source` and `base.EarlySource`: nothing that is written is to miss it."""

    kind: Kind[Any] = SINK_BINDING

    def __init__(self, world: World) -> None:
        self._world = world
        self._sinks = Sinks(world)
        self._meant: dict[ObjectKey, Json] = {}  # the subject of each
        self._bound: dict[ObjectKey, set[_Subject]] = {}

    @property
    def services(self) -> Sequence[tuple[str, Service]]:
        return ()

    def controller(self) -> Controller:
        watches = [
            Watched(SINK_BINDING, itself),
            *(Watched(kind, self._meaning(kind), changes_only=True) for kind in SUBJECTS),
            *followed(self._sinks.references),
        ]
        return Controller("sinkbinding", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> None:
        binding = await self._world.find(SINK_BINDING, key)
        if binding is None or "deletionTimestamp" in binding["metadata"]:
            await self._end(key, binding)
            return
        self._meant[key] = binding["spec"]["subject"]
        if FINALIZER not in (binding["metadata"].get("finalizers") or ()):
            await self._world.write(SINK_BINDING, binding, _held)
        conditions = SINK_BINDING_CONDITIONS.manage(binding.get("status"), self._world.now())
        status: Json = {"observedGeneration": binding["metadata"].get("generation", 0)}
        url = await self._sinks.find(binding, conditions, status)
        if url is not None:
            self._world.bindings.put(make_binding(binding, url))
            await self._bind(key, binding, conditions)
        await self._world.write_status(SINK_BINDING, binding, {**status, "conditions": conditions.to_json()})

    async def _bind(self, key: ObjectKey, binding: Json, conditions: Conditions) -> None:
        subject = binding["spec"]["subject"]
        kind = kind_of(subject)
        if kind is None or kind not in SUBJECTS:
            served = ", ".join(f"{each.kind} ({each.api_version})" for each in SUBJECTS)
            said = f"{subject.get('kind')} of {subject.get('apiVersion')} cannot be bound here; {served} can"
            conditions.mark_false(READY, "SubjectUnavailable", said)
            return
        found = [
            obj for obj in await self._candidates(kind, key, subject) if matches(subject, key.namespace, kind, obj)
        ]
        now: set[_Subject] = {(kind, key_of(obj)) for obj in found}
        lost, self._bound[key] = self._bound.get(key, set()) - now, now
        for obj in found:
            await self._settle(kind, obj)
        await self._release(lost)
        self._judge(key, kind, found, conditions)

    def _judge(self, key: ObjectKey, kind: Kind[Any], found: Sequence[Json], conditions: Conditions) -> None:
        """Whether what it means is there, and its own."""
        name = self._meant[key].get("name")
        if name and not found:
            said = f"{kind.kind} {key.namespace}/{name} does not exist: `kubectl get {kind.plural}` lists those that do"
            conditions.mark_false(READY, "SubjectMissing", said)
            return
        for obj in found:
            winner = self._world.bindings.of(kind, obj)
            if winner is not None and winner.key != key:
                said = f"{kind.kind} {key_of(obj)} is bound by SinkBinding {winner.key}, which is older"
                conditions.mark_false(READY, "SubjectBound", said)
                return

    async def _candidates(self, kind: Kind[Any], key: ObjectKey, subject: Json) -> Sequence[Json]:
        if subject.get("name"):
            obj = await self._world.find_live(kind, ObjectKey(key.namespace, subject["name"]))
            return [] if obj is None else [obj]
        return (await self._world.store.list(kind, key.namespace)).items

    async def _settle(self, kind: Kind[Any], obj: Json) -> None:
        """Gives an object what the binding in force says; nothing where none is."""
        bindings = self._world.bindings

        def change(current: Json) -> Json:
            changed = copy.deepcopy(current)
            winner = bindings.of(kind, current)
            set_environment(changed, winner.environment if winner is not None else ())
            return changed

        await self._world.write(kind, obj, change)

    async def _release(self, subjects: Iterable[_Subject]) -> None:
        for kind, key in subjects:
            if (obj := await self._world.find_live(kind, key)) is not None:
                await self._settle(kind, obj)

    async def _end(self, key: ObjectKey, binding: Json | None) -> None:
        """Off its subjects, then gone."""
        self._world.bindings.drop(key)
        self._sinks.forget(key)
        self._meant.pop(key, None)
        bound = self._bound.pop(key, set())
        if binding is None:
            return
        subject = binding["spec"]["subject"]
        kind = kind_of(subject)
        if kind is not None and kind in SUBJECTS:
            found = await self._candidates(kind, key, subject)
            bound |= {(kind, key_of(obj)) for obj in found if matches(subject, key.namespace, kind, obj)}
        await self._release(bound)
        await self._world.write(SINK_BINDING, binding, _let_go)

    def _meaning(self, kind: Kind[Any]) -> Keys:
        """The bindings that mean a changed object, or meant it before."""

        def keys(event: WatchEvent) -> Iterable[ObjectKey]:
            if not self._meant:
                return ()
            versions = [obj for obj in (event.object, event.old) if obj is not None]
            return [
                key
                for key, subject in self._meant.items()
                if any(matches(subject, key.namespace, kind, obj) for obj in versions)
            ]

        return keys


def _held(binding: Json) -> Json:
    metadata = binding["metadata"]
    others = [each for each in metadata.get("finalizers") or () if each != FINALIZER]
    return {**binding, "metadata": {**metadata, "finalizers": [*others, FINALIZER]}}


def _let_go(binding: Json) -> Json:
    metadata = dict(binding["metadata"])
    others = [each for each in metadata.pop("finalizers", ()) if each != FINALIZER]
    return {**binding, "metadata": {**metadata, **({"finalizers": others} if others else {})}}
