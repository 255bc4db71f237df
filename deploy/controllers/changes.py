"""Which changes of a child concern its parent: most writes of a busy revision's status do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.reconcile.controller import Keys
from core.resources.conditions import find_condition
from core.resources.meta import Json, ObjectKey
from core.settings import config_maps
from core.store.base import EventType, WatchEvent


def when_readiness_changes(keys: Keys) -> Keys:
    """Lets through what comes, goes, changes its labels, or changes its Ready."""

    def filtered(event: WatchEvent) -> Iterable[ObjectKey]:
        old = event.old
        if event.type is EventType.MODIFIED and old is not None:
            new = event.object
            same = (
                find_condition(old) == find_condition(new)
                and old["metadata"].get("labels") == new["metadata"].get("labels")
                and old["metadata"].get("deletionTimestamp") == new["metadata"].get("deletionTimestamp")
                and (old.get("status") or {}).get("observedGeneration")
                == (new.get("status") or {}).get("observedGeneration")
            )
            if same:
                return ()
        return keys(event)

    return filtered


def when_desired_changes(keys: Keys) -> Keys:
    """Lets through all but a write of the status alone: that was the controller's own."""

    def filtered(event: WatchEvent) -> Iterable[ObjectKey]:
        old = event.old
        if event.type is EventType.MODIFIED and old is not None and _asked_for(old) == _asked_for(event.object):
            return ()
        return keys(event)

    return filtered


def when_scale_changes(keys: Keys) -> Keys:
    """Of a Deployment or PodAutoscaler, lets through what a Revision's status speaks of, and changes of the spec."""

    def filtered(event: WatchEvent) -> Iterable[ObjectKey]:
        old = event.old
        if event.type is EventType.MODIFIED and old is not None and _scale(old) == _scale(event.object):
            return ()
        return keys(event)

    return filtered


def when_settings_change(names: Iterable[str], everyone: Callable[[], Iterable[ObjectKey]]) -> Keys:
    """For a watch of ConfigMaps: everyone, where it is one of these settings."""
    wanted = frozenset(names)

    def filtered(event: WatchEvent) -> Iterable[ObjectKey]:
        metadata = event.object["metadata"]
        ours = metadata.get("namespace") == config_maps.SYSTEM_NAMESPACE and metadata["name"] in wanted
        return everyone() if ours else ()

    return filtered


def _asked_for(obj: Json) -> tuple[Json, Json]:
    metadata = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    return metadata, {k: v for k, v in obj.items() if k not in ("metadata", "status")}


def _scale(obj: Json) -> tuple[object, ...]:
    status = obj.get("status") or {}
    conditions = [(c["type"], c["status"], c.get("reason"), c.get("message")) for c in status.get("conditions") or ()]
    counts = [status.get(name) for name in ("readyReplicas", "actualScale", "desiredScale")]
    return conditions, counts, obj.get("spec"), obj["metadata"].get("deletionTimestamp")
