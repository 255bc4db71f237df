"""What `kubectl get events` prints (pkg/printers/internalversion/printers.go, printEvent)."""

from __future__ import annotations

from core.resources.ages import age_of
from core.resources.meta import Column, Json


def _first(event: Json) -> str | None:
    return event.get("firstTimestamp") or event.get("eventTime")


def _first_seen(event: Json, now: float) -> str:
    return age_of(_first(event), now)


def _last_seen(event: Json, now: float) -> str:
    """`3m`, or `3m (x5 over 10m)` for one that happened again."""
    series = event.get("series")
    if series:
        last, count = series.get("lastObservedTime"), series.get("count", 0)
        return f"{age_of(last, now)} (x{count} over {_first_seen(event, now)})"
    last = event.get("lastTimestamp")
    if not last:
        return _first_seen(event, now)
    if (count := event.get("count") or 0) > 1:
        return f"{age_of(last, now)} (x{count} over {_first_seen(event, now)})"
    return age_of(last, now)


def _object(event: Json) -> str:
    about = event.get("involvedObject") or {}
    kind, name = str(about.get("kind", "")).lower(), about.get("name", "")
    return f"{kind}/{name}" if name else kind


def _source(event: Json) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else str(component)


EVENT_COLUMNS = (
    Column("Last Seen", "", told=_last_seen),
    Column("Type", "type"),
    Column("Reason", "reason"),
    Column("Object", "", value=_object),
    Column("Subobject", "involvedObject.fieldPath", priority=1),
    Column("Source", "", priority=1, value=_source),
    Column("Message", "", value=lambda event: str(event.get("message", "")).strip()),
    Column("First Seen", "", priority=1, told=_first_seen),
    Column("Count", "", priority=1, value=lambda event: str((event.get("series") or event).get("count") or 1)),
    Column("Name", "metadata.name", priority=1),
)
