"""What `kubectl get hpa` prints, by the rules of kubectl's own printer.

(pkg/printers/internalversion/printers.go, printHorizontalPodAutoscaler and formatHPAMetrics.) Pure.
"""

from __future__ import annotations

from typing import Final

from core.resources.hpa_rules import SOURCES
from core.resources.meta import Column, Json

UNKNOWN: Final = "<unknown>"
SHOWN_MAX: Final = 2


def hpa_targets(obj: Json) -> str:
    """`12/5 (avg), cpu: 40%/80%`: what was read of each metric, and what it is held at."""
    specs = obj["spec"].get("metrics") or []
    if not specs:
        return "<none>"
    values = (obj.get("status") or {}).get("currentMetrics") or []
    shown = [
        _target(spec, values[place] if place < len(values) else {}) for place, spec in enumerate(specs[:SHOWN_MAX])
    ]
    more = f" + {len(specs) - SHOWN_MAX} more..." if len(specs) > SHOWN_MAX else ""
    return ", ".join(shown) + more


def _target(spec: Json, status: Json) -> str:
    field = SOURCES.get(spec["type"], "")
    source, current = spec.get(field), (status.get(field) or {}).get("current") or {}
    if not source:
        return "<unknown type>"
    target = source["target"]
    if field in ("resource", "containerResource"):
        return f"{source['name']}: {_of_resource(target, current)}"
    if target.get("averageValue") is not None:
        average = "" if field == "pods" else " (avg)"
        return f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']}{average}"
    return f"{current.get('value', UNKNOWN)}/{target.get('value')}"


def _of_resource(target: Json, current: Json) -> str:
    if target.get("averageValue") is not None:
        return f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']}"
    used, asked = current.get("averageUtilization"), target.get("averageUtilization")
    return f"{UNKNOWN if used is None else f'{used}%'}/{'<auto>' if asked is None else f'{asked}%'}"


def _reference(obj: Json) -> str:
    target = obj["spec"].get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _least(obj: Json) -> str:
    return str(obj["spec"].get("minReplicas", "<unset>"))


def _replicas(obj: Json) -> int:
    return int((obj.get("status") or {}).get("currentReplicas") or 0)


COLUMNS: Final = (
    Column("Reference", "", value=_reference, description="What is scaled."),
    Column("Targets", "", value=hpa_targets, description="What was read of each metric, and what it is held at."),
    Column("MinPods", "", value=_least, description="Least replicas."),
    Column("MaxPods", "spec.maxReplicas", "integer", description="Most replicas."),
    Column("Replicas", "", "integer", value=_replicas, description="Replicas there are asked for."),
    Column("Age", "metadata.creationTimestamp", "date"),
)
