"""Keeps the loop told of what ScaledObjects ask for: documents, targets, what triggers refer to. And of their end.

The whole of it is one service, `ScaledObjects`, built by the roof. A ScaledObject carries KEDA's finalizer, so that the
replicas it began with can be put back before it goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from autoscaler.triggers.documents import TargetKey, authentication_of, scaling_spec, target_key, triggers_of
from autoscaler.triggers.hpa_document import skeleton_of
from autoscaler.triggers.loop import Floor, Loop
from autoscaler.triggers.making import Lookup, Maker, load_definition
from autoscaler.triggers.referring import Found, Referring
from autoscaler.triggers.scaled import Plan
from autoscaler.triggers.status import NO_SCALE, NO_TARGET, WRONG_TARGET
from autoscaler.triggers.targets import Targets, latest_revision
from core.errors import NotFound, PermanentError
from core.multimap import Multimap
from core.reconcile.controller import Controller, Watched, owner
from core.reconcile.events import Recorder
from core.resources.child_names import child_name
from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER
from core.resources.keda import ACTIVE, SCALED_OBJECT
from core.resources.keda_annotations import FINALIZER, SCALED_OBJECT_NAME
from core.resources.keda_triggers import authentications_types, triggers_types
from core.resources.meta import Json, Kind, ObjectKey, controller_of, key_of
from core.resources.serving import CONFIGURATION, REVISION, SERVICE
from core.resources.timestamps import epoch_of
from core.resources.workloads import DEPLOYMENT
from core.stats import RevisionKey
from core.store.base import EventType, WatchEvent
from core.tasks import Started, run_together
from scalers.base import World

log = structlog.get_logger()

COMPONENT: Final = "keda-operator"
RETRY_S: Final = 5.0
"""After something outside did not give what a trigger is authenticated by."""

_SERVING: Final[dict[str, Kind[Any]]] = {kind.kind: kind for kind in (SERVICE, CONFIGURATION, REVISION)}


@dataclass(frozen=True, slots=True)
class _Found:
    """A target: the Deployment that carries its replicas, its Pods' spec, the revision where requests drive it, too."""

    deployment: str = ""
    revision: RevisionKey | None = None
    pods: Json | None = None
    replicas: int | None = None


class ScaledObjects:
    """Watches, and the loop that they feed."""

    def __init__(self, world: World, floor: Floor, look_up: Lookup = load_definition) -> None:
        self._world = world
        self._store = world.store
        self._clock = world.clock
        self._recorder = Recorder(world.store, world.clock, COMPONENT)
        self.loop = Loop(world.store, world.clock, Maker(world, look_up).make, self._recorder, floor)
        self._targets = Targets(world.store, self.loop.see, self._target_changed)
        self._referring = Referring(world)
        self._by_target: Multimap[TargetKey, ObjectKey] = Multimap()
        self._target: dict[ObjectKey, TargetKey] = {}
        self._ages: dict[ObjectKey, tuple[str, str]] = {}  # the eldest of a target's ScaledObjects scales it
        self._original: dict[ObjectKey, int] = {}
        lost = Watched(HORIZONTAL_POD_AUTOSCALER, _lost, changes_only=True)
        watches = [Watched(SCALED_OBJECT, _if_asked), lost, *self._referring.watches()]
        self._controller = Controller("scaledobjects", world.store, self._reconcile, watches, world.clock)

    async def run(self, started: Started) -> None:
        """Started once the loop is; what there is, is worked off after that."""
        services = (
            ("scaledobjects:loop", self.loop.run),
            ("scaledobjects:targets", self._targets.run),
            ("scaledobjects:controller", self._controller.run),
        )
        await run_together(services, started)

    # Whom a change concerns.

    def _target_changed(self, target: TargetKey) -> None:
        for key in self._by_target.of(target):
            self._controller.enqueue(key)

    def _attach(self, key: ObjectKey, target: TargetKey | None) -> None:
        """Remembers whose changes concern it."""
        was = self._target.pop(key, None)
        if target is not None:
            self._target[key] = target
            self._by_target.add(target, key)
        if was is not None and was != target:
            self._by_target.discard(was, key)
            self._target_changed(was)  # another one may have waited for it

    # One ScaledObject.

    async def _reconcile(self, key: ObjectKey) -> float | None:
        try:
            obj = await self._store.get(SCALED_OBJECT, key.name, key.namespace)
        except NotFound:
            self._forget(key)
            return None
        if obj["metadata"].get("deletionTimestamp"):
            await self._finish(obj)
            return None
        self._targets.begin()
        obj = await self._mark(obj)
        self._ages[key] = obj["metadata"].get("creationTimestamp", ""), key.name
        self._attach(key, target_key(obj))
        plan, again_s = await self._plan(obj)
        self.loop.place(plan)
        if plan.deployment:
            name = (key.namespace, plan.deployment)
            self.loop.see(name, self._targets.look(name))
        return again_s

    async def _mark(self, obj: Json) -> Json:
        """KEDA's finalizer and label."""
        metadata = obj["metadata"]
        label = metadata["name"][:63]
        marked = FINALIZER in (metadata.get("finalizers") or ())
        if marked and (metadata.get("labels") or {}).get(SCALED_OBJECT_NAME) == label:
            return obj

        def change(obj: Json) -> Json:
            metadata = obj["metadata"]
            metadata["finalizers"] = [*dict.fromkeys([*(metadata.get("finalizers") or ()), FINALIZER])]
            metadata["labels"] = {**(metadata.get("labels") or {}), SCALED_OBJECT_NAME: label}
            return obj

        return await self._store.modify(SCALED_OBJECT, metadata["name"], metadata["namespace"], change)

    async def _plan(self, obj: Json) -> tuple[Plan, float | None]:
        """What is to be done for it, and when to look again."""
        key, target = key_of(obj), target_key(obj)
        problem, found, referred = "", _Found(), Found()
        try:
            found = await self._find(key, target)
            of = partial(authentication_of, obj)
            referred = await self._referring.resolve(key, triggers_of(obj), of, found.pods)
        except PermanentError as error:
            problem = f"{WRONG_TARGET}: {error}"
        now, wall = self._clock.monotonic(), self._clock.wall()
        metadata, said = obj["metadata"], obj["spec"].get("triggers") or []
        created = epoch_of(metadata.get("creationTimestamp", ""))
        plan = Plan(
            key=key,
            reference=_reference(obj),
            spec=scaling_spec(obj),
            target=target,
            deployment=found.deployment,
            revision=found.revision,
            triggers=referred.triggers,
            troubles=referred.troubles,
            problem=problem,
            created_at=None if created is None else now - (wall - created),
            last_active=_last_active(obj, now, wall),
            original=self._original_of(obj, found),
            types=triggers_types(said),
            authentications=authentications_types(said),
            hpa=None if problem else skeleton_of(obj),
        )
        return plan, referred.again_s

    async def _find(self, key: ObjectKey, target: TargetKey) -> _Found:
        """PermanentError: there is nothing to scale, until it changes."""
        eldest = min(self._by_target.of(target), key=lambda each: self._ages.get(each, ("~", each.name)))
        if eldest != key:
            raise PermanentError(
                f"the workload '{target.name}' of type '{target.gvk}' is already managed by the ScaledObject "
                f"'{eldest.name}'"
            )
        if not target.is_deployment and not target.is_request_driven:
            raise PermanentError(
                f"{NO_SCALE}: spec.scaleTargetRef is a {target.gvk}, must be an {DEPLOYMENT.api_version} "
                f"{DEPLOYMENT.kind} or a {SERVICE.api_version} {', '.join(_SERVING)}"
            )
        kind = DEPLOYMENT if target.is_deployment else _SERVING[target.kind]
        try:
            obj = await self._store.get(kind, target.name, target.namespace)
        except NotFound:
            raise PermanentError(f"{NO_TARGET}: there is no {target}") from None
        if target.is_deployment:
            return _of_deployment(obj)
        return await self._latest(target, latest_revision(kind, obj))

    async def _latest(self, target: TargetKey, revision: str) -> _Found:
        try:
            obj = await self._store.get(REVISION, revision, target.namespace)
        except NotFound:
            return _Found()  # none is ready yet
        name = child_name(revision, "-deployment")
        return _Found(name, RevisionKey(target.namespace, revision), obj["spec"])

    def _original_of(self, obj: Json, found: _Found) -> int | None:
        key, told = key_of(obj), (obj.get("status") or {}).get("originalReplicaCount")
        if told is not None:
            return int(told)
        if found.replicas is not None:
            self._original.setdefault(key, found.replicas)
        return self._original.get(key)

    # The end of one.

    async def _finish(self, obj: Json) -> None:
        key = key_of(obj)
        original = self._original_of(obj, _Found())
        self._forget(key)
        target = target_key(obj)
        restore = (obj["spec"].get("advanced") or {}).get("restoreToOriginalReplicaCount")
        if restore and original is not None and target.is_deployment:
            await self._restore(target, original)

        def change(obj: Json) -> Json:
            metadata = obj["metadata"]
            metadata["finalizers"] = [each for each in metadata.get("finalizers") or () if each != FINALIZER]
            return obj

        if FINALIZER in (obj["metadata"].get("finalizers") or ()):
            try:
                await self._store.modify(SCALED_OBJECT, key.name, key.namespace, change)
            except NotFound:
                return

    async def _restore(self, target: TargetKey, original: int) -> None:
        def change(obj: Json) -> Json:
            obj["spec"]["replicas"] = original
            return obj

        try:
            await self._store.modify(DEPLOYMENT, target.name, target.namespace, change)
        except NotFound:
            log.info("nothing to restore: the target is gone", target=str(target))

    def _forget(self, key: ObjectKey) -> None:
        self.loop.remove(key)
        self._ages.pop(key, None)
        self._original.pop(key, None)
        self._referring.forget(key)
        self._attach(key, None)


def _if_asked(event: WatchEvent) -> Iterable[ObjectKey]:
    """The object itself, unless only its status, or what we put on it, has changed."""
    same = event.type is EventType.MODIFIED and event.old is not None and _asked(event.old) == _asked(event.object)
    return () if same else (key_of(event.object),)


def _asked(obj: Json) -> tuple[Any, ...]:
    metadata = obj["metadata"]
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != SCALED_OBJECT_NAME}
    said = metadata.get("annotations"), metadata.get("deletionTimestamp"), metadata.get("uid")
    return obj.get("spec"), labels, *said


def _lost(event: WatchEvent) -> Iterable[ObjectKey]:
    """Whose HorizontalPodAutoscaler somebody has deleted."""
    return _owners(event) if event.type is EventType.DELETED else ()


_owners = owner(SCALED_OBJECT)


def _of_deployment(obj: Json) -> _Found:
    owner = controller_of(obj)
    if owner is not None and owner["kind"] == REVISION.kind:
        raise PermanentError(
            f"spec.scaleTargetRef: Deployment {obj['metadata']['name']} belongs to revision {owner['name']}, which "
            f"requests scale, too: name the {SERVICE.api_version} {SERVICE.kind} instead"
        )
    spec = obj["spec"]
    pods = (spec.get("template") or {}).get("spec")
    return _Found(obj["metadata"]["name"], pods=pods, replicas=spec.get("replicas", 1))


def _reference(obj: Json) -> Json:
    metadata = {name: obj["metadata"][name] for name in ("namespace", "name", "uid") if name in obj["metadata"]}
    return {"apiVersion": SCALED_OBJECT.api_version, "kind": SCALED_OBJECT.kind, "metadata": metadata}


def _last_active(obj: Json, now: float, wall: float) -> float | None:
    """When there was work last, by what a platform before this one wrote: until its end, where there was then."""
    status = obj.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    if conditions.get(ACTIVE) == "True":
        return now
    told = epoch_of(status.get("lastActiveTime") or "")
    return None if told is None else min(now, now - (wall - told))
