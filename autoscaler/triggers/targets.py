"""What ScaledObjects scale: how many a Deployment asks for, what is ready of it and in hand, which revision is a
Service's latest. Watched from the first ScaledObject on: a platform without one pays nothing.

Tells the loop of counts, and the controller of what makes a ScaledObject another one: a target that comes or goes, its
template (the environment of its container), a revision that has become ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from sys import intern
from typing import Any

from autoscaler.sights import Sight, name_of, named, nothing_kept
from autoscaler.triggers.documents import TargetKey
from autoscaler.triggers.loop import Seen
from core.resources.meta import Json, Kind, controller_of
from core.resources.pilotlight import IN_FLIGHT
from core.resources.pods import POD
from core.resources.serving import CONFIGURATION, REVISION, SERVICE
from core.resources.workloads import DEPLOYMENT
from core.store.base import Store
from core.tasks import Started

Name = tuple[str, str]
Counts = Callable[[Name, Seen | None], None]
Changed = Callable[[TargetKey], None]


class Targets:
    """Constructed without effect. `begin` is called with the first ScaledObject."""

    def __init__(self, store: Store, counts: Counts, changed: Changed) -> None:
        self._store = store
        self._counts = counts
        self._changed = changed
        self._wanted = asyncio.Event()
        self._replicas: dict[Name, int] = {}
        self._templates: dict[Name, int] = {}  # a digest of each
        self._pods: dict[Name, dict[str, tuple[bool, int | None]]] = {}  # of a Deployment: ready, in hand
        self._latest: dict[tuple[str, Name], str] = {}

    def begin(self) -> None:
        self._wanted.set()

    def look(self, name: Name) -> Seen | None:
        """A Deployment, as far as it was seen."""
        if name not in self._replicas:
            return None
        pods = self._pods.get(name, {}).values()
        said = [in_hand for _, in_hand in pods if in_hand is not None]
        return Seen(self._replicas[name], sum(ready for ready, _ in pods), sum(said) if said else None)

    async def run(self, started: Started) -> None:
        """Until cancelled."""
        started()
        await self._wanted.wait()
        sights: list[Sight[Any]] = [
            Sight(POD, self._see_pod, _deployment_of, _gone),
            Sight(DEPLOYMENT, self._see_deployment, nothing_kept, named),
            *(Sight(kind, self._see_revised(kind), nothing_kept, named) for kind in (SERVICE, CONFIGURATION, REVISION)),
        ]
        async with asyncio.TaskGroup() as group:
            for sight in sights:
                listed = asyncio.Event()
                group.create_task(sight.follow(self._store, listed), name=f"scaledobjects:{sight.kind.plural}")
                await listed.wait()

    def _see_deployment(self, obj: Json, there: bool) -> None:
        name = name_of(obj)
        before = self._templates.get(name)
        if there:
            self._replicas[name] = obj["spec"].get("replicas", 1)
            self._templates[name] = hash(repr(obj["spec"].get("template")))
        else:
            self._replicas.pop(name, None)
            self._templates.pop(name, None)
        self._counts(name, self.look(name))
        if before != self._templates.get(name):
            self._changed(TargetKey(DEPLOYMENT.api_version, DEPLOYMENT.kind, *name))

    def _see_pod(self, obj: Json, there: bool) -> None:
        deployment = _deployment_of(obj)
        if not deployment:
            return
        namespace, pod = name_of(obj)
        name = (namespace, deployment)
        pods = self._pods.setdefault(name, {})
        before = pods.get(pod)
        if there:
            pods[pod] = _is_ready(obj), _in_hand(obj)
        else:
            pods.pop(pod, None)
        if not pods:
            del self._pods[name]
        if before != pods.get(pod):
            self._counts(name, self.look(name))

    def _see_revised(self, kind: Kind[Any]) -> Callable[[Json, bool], None]:
        def see(obj: Json, there: bool) -> None:
            name = name_of(obj)
            latest = latest_revision(kind, obj) if there else ""
            if self._latest.get((kind.plural, name), "") == latest:
                return
            if latest:
                self._latest[kind.plural, name] = latest
            else:
                del self._latest[kind.plural, name]
            self._changed(TargetKey(kind.api_version, kind.kind, *name))

        return see


def latest_revision(kind: Kind[Any], obj: Json) -> str:
    """Which revision a kind of Serving means: the latest that is ready. Empty: none yet."""
    if kind is REVISION:
        return intern(obj["metadata"]["name"])
    return intern((obj.get("status") or {}).get("latestReadyRevisionName") or "")


def _deployment_of(pod: Json) -> str:
    owner = controller_of(pod)
    return intern(owner["name"]) if owner is not None and owner["kind"] == DEPLOYMENT.kind else ""


def _gone(name: Name, deployment: str) -> Json:
    owner = {"kind": DEPLOYMENT.kind, "name": deployment, "controller": True}
    owners = [owner] if deployment else []
    return {"metadata": {"namespace": name[0], "name": name[1], "ownerReferences": owners}}


def _is_ready(pod: Json) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _in_hand(pod: Json) -> int | None:
    """What its instance says to be working on; one thing where that cannot be understood: unknown is not idle."""
    said = (pod["metadata"].get("annotations") or {}).get(IN_FLIGHT)
    return None if said is None else int(said) if said.isdecimal() else 1
