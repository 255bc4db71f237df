"""Which old Revisions of a Configuration to delete (knative.dev/serving/pkg/reconciler/gc/gc.go).

Non-active is what no Route sends to (routing state `reserve`), is not the latest ready one and not marked no-gc. Of
these the stale ones go, oldest first, until `min` are left; then the oldest beyond `max`. For the collector. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.resources import serving_labels as labels
from core.resources.meta import Json
from core.resources.timestamps import epoch_of
from core.settings.gc import GcSettings
from deploy.revisions import RESERVE


def choose_collectable(revisions: Sequence[Json], latest_ready: str, settings: GcSettings, now: float) -> list[str]:
    """Names, in the order of deletion; `now` in wall seconds."""
    most, created_s, active_s = (
        settings.max_non_active_revisions,
        settings.retain_since_create_s,
        settings.retain_since_last_active_s,
    )
    least = settings.min_non_active_revisions
    if most is None and created_s is None and active_s is None:
        return []
    idle = sorted((r for r in revisions if _is_idle(r, latest_ready)), key=last_active)
    if len(idle) <= least:
        return []
    stale = [r for r in idle if _is_stale(r, settings, now)][: len(idle) - least]
    names = [r["metadata"]["name"] for r in stale]
    if len(stale) == len(idle) - least or most is None:
        return names
    kept = [r["metadata"]["name"] for r in idle if r["metadata"]["name"] not in names]
    return names + kept[: max(0, len(kept) - most)]


def last_active(revision: Json) -> float:
    """When its routing state last changed, else when it was made."""
    modified = (revision["metadata"].get("annotations") or {}).get(labels.ROUTING_STATE_MODIFIED_ANNOTATION, "")
    return epoch_of(modified) or _created(revision)


def _created(revision: Json) -> float:
    return epoch_of(revision["metadata"].get("creationTimestamp", "")) or 0.0


def _is_idle(revision: Json, latest_ready: str) -> bool:
    metadata = revision["metadata"]
    if metadata["name"] == latest_ready or "deletionTimestamp" in metadata:
        return False
    if (metadata.get("annotations") or {}).get(labels.NO_GC_ANNOTATION, "").lower() == "true":
        return False
    return (metadata.get("labels") or {}).get(labels.ROUTING_STATE_LABEL) == RESERVE


def _is_stale(revision: Json, settings: GcSettings, now: float) -> bool:
    """Older than every retention that is enabled; never where none is."""
    created_s, active_s = settings.retain_since_create_s, settings.retain_since_last_active_s
    if created_s is None and active_s is None:
        return False
    if created_s is not None and now - _created(revision) < created_s:
        return False
    return active_s is None or now - last_active(revision) >= active_s
