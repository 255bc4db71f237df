"""Keeps the loop told of what there is: PodAutoscalers, their Deployments, their ready Pods, `config-autoscaler`.

The whole autoscaler is one service, `Autoscaler`, built by the roof. It meets the other packages in resources and on
the `StatisticBus`, nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from sys import intern
from typing import Any

import orjson
import structlog

from autoscaler.decisions import Decision
from autoscaler.loop import Loop
from autoscaler.sights import Sight, name_of, named, nothing_kept
from autoscaler.spec import ScaleSpec, resolve_spec
from core.clock import Clock
from core.resources.autoscaling import POD_AUTOSCALER, PodAutoscaler
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.serving_labels import REVISION_LABEL
from core.resources.workloads import DEPLOYMENT
from core.settings.autoscaler import AutoscalerSettings
from core.settings.config_maps import AUTOSCALER, SYSTEM_NAMESPACE, settings_of
from core.stats import RevisionKey, StatisticBus
from core.store.base import Store
from core.tasks import Started

log = structlog.get_logger()


class Autoscaler:
    """Watches, and the loop that it feeds."""

    def __init__(self, store: Store, bus: StatisticBus, clock: Clock) -> None:
        self._store = store
        self._loop = Loop(store, bus, clock)
        self._settings = AutoscalerSettings()
        self._autoscalers: dict[RevisionKey, bytes] = {}
        self._replicas: dict[tuple[str, str], int] = {}
        self._ready: dict[RevisionKey, set[str]] = {}
        self._specs: dict[ScaleSpec, ScaleSpec] = {}  # equal ones are one object: most revisions ask for nothing

    async def run(self, started: Started) -> None:
        """Started once everything there is has been seen, so that no request is early after that."""
        sights: tuple[Sight[Any], ...] = (
            Sight(CONFIG_MAP, self._see_config_map, nothing_kept, named, SYSTEM_NAMESPACE),
            Sight(DEPLOYMENT, self._see_deployment, nothing_kept, named),
            Sight(POD, self._see_pod, _revision, _gone),
            Sight(POD_AUTOSCALER, self._see_autoscaler, nothing_kept, named),
        )
        async with asyncio.TaskGroup() as group:
            for sight in sights:
                listed = asyncio.Event()
                group.create_task(sight.follow(self._store, listed), name=f"autoscaler:{sight.kind.plural}")
                await listed.wait()
            group.create_task(self._loop.run(started), name="autoscaler:loop")

    def decisions(self, namespace: str, revision: str) -> Sequence[Decision]:
        """The last decisions about a revision, oldest first: for `explain`."""
        return self._loop.decisions(RevisionKey(namespace, revision))

    def set_floor(self, revision: RevisionKey, floor: int) -> None:
        """As `Loop.set_floor`: for the loop of ScaledObjects."""
        self._loop.set_floor(revision, floor)

    def _see_autoscaler(self, obj: Json, there: bool) -> None:
        key = _revision_key(obj, obj["metadata"]["name"])
        if not there:
            self._autoscalers.pop(key, None)
            self._loop.remove(key)
            return
        before = self._autoscalers.get(key)
        self._autoscalers[key] = asked = _asked(obj)
        if asked == before:
            return  # our own status, come back
        parsed = POD_AUTOSCALER.parse(orjson.loads(asked))
        target = parsed.spec.scale_target_ref.name
        self._loop.place(key, target, self._spec(parsed), parsed.metadata.generation)
        self._loop.see_ready(key, len(self._ready.get(key, ())))
        self._loop.see_replicas(key.namespace, target, self._replicas.get((key.namespace, target)))

    def _see_deployment(self, obj: Json, there: bool) -> None:
        name = name_of(obj)
        if there:
            self._replicas[name] = replicas = obj["spec"].get("replicas", 1)
            self._loop.see_replicas(*name, replicas)
        else:
            self._replicas.pop(name, None)
            self._loop.see_replicas(*name, None)

    def _see_pod(self, obj: Json, there: bool) -> None:
        revision = _revision(obj)
        if not revision:
            return
        key, name = _revision_key(obj, revision), obj["metadata"]["name"]
        ready = self._ready.setdefault(key, set())
        if there and _is_ready(obj):
            ready.add(name)
        else:
            ready.discard(name)
        if not ready:
            del self._ready[key]
        self._loop.see_ready(key, len(ready))

    def _see_config_map(self, obj: Json, there: bool) -> None:
        if obj["metadata"]["name"] != AUTOSCALER:
            return
        settings = settings_of(AUTOSCALER, obj if there else None)
        if settings is None:
            log.warning("config-autoscaler is not valid, the settings before it stay in force")
            return
        self._settings = settings
        self._specs.clear()
        self._loop.respec(self._resolve)

    def _resolve(self, key: RevisionKey) -> ScaleSpec | None:
        asked = self._autoscalers.get(key)
        return self._spec(POD_AUTOSCALER.parse(orjson.loads(asked))) if asked is not None else None

    def _spec(self, autoscaler: PodAutoscaler) -> ScaleSpec:
        spec = resolve_spec(autoscaler, self._settings)
        return self._specs.setdefault(spec, spec)


def _revision(obj: Json) -> str:
    return intern((obj["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))


def _gone(name: tuple[str, str], revision: str) -> Json:
    """As much of an object as is needed to see it go."""
    return {"metadata": {"namespace": name[0], "name": name[1], "labels": {REVISION_LABEL: revision}}}


def _asked(obj: Json) -> bytes:
    """What a PodAutoscaler asks for: spec, generation and annotations; not its status, nor who wrote when."""
    metadata = obj["metadata"]
    kept = {name: metadata[name] for name in ("namespace", "name", "generation", "annotations") if name in metadata}
    text = orjson.dumps({"metadata": kept, "spec": obj.get("spec") or {}})
    return bytes(memoryview(text))  # copied: orjson hands out buffers of several KiB


def _revision_key(obj: Json, name: str) -> RevisionKey:
    return RevisionKey(obj["metadata"].get("namespace", ""), name)


def _is_ready(pod: Json) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
