"""What a Pod says about itself to its own containers: fieldRef, resourceFieldRef. Pure.

`deploy/environment` and `deploy/podvolumes` read fields of a Pod through here (pkg/fieldpath, pkg/api/v1/resource).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.resources.containers import Container, ResourceSelector
from core.resources.meta import Json
from core.resources.quantities import parse_quantity
from deploy.runtimes.base import StartError

CONFIG_ERROR = "CreateContainerConfigError"
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a Pod may be told of where it runs. `now`: epoch seconds."""

    node: str
    ip: str
    cpus: int
    memory_bytes: int
    now: float


def read_field(path: str, pod: Json, machine: Machine) -> str:
    """The value of a downward API field. StartError on one that there is not."""
    metadata, spec = pod["metadata"], pod["spec"]
    if match := _SUBSCRIPT.fullmatch(path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    values: dict[str, Any] = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "metadata.labels": _lines(metadata.get("labels") or {}),
        "metadata.annotations": _lines(metadata.get("annotations") or {}),
        "spec.nodeName": machine.node,
        "spec.serviceAccountName": spec.get("serviceAccountName") or "default",
        "status.hostIP": machine.ip,
        "status.hostIPs": machine.ip,
        "status.podIP": machine.ip,
        "status.podIPs": machine.ip,
    }
    if path not in values:
        raise StartError(CONFIG_ERROR, f"unsupported fieldPath: {path}")
    return str(values[path])


def read_resource(selector: ResourceSelector, container: Container, machine: Machine) -> str:
    """A limit or request in units of the divisor, rounded up; the machine's own where nothing is limited."""
    kind, _, name = selector.resource.partition(".")
    given = container.resources
    values = (given.limits if kind == "limits" else given.requests) if given is not None else None
    value = (values or {}).get(name)
    if value is None and given is not None and kind == "requests":
        value = (given.limits or {}).get(name)
    whole = {"cpu": Decimal(machine.cpus), "memory": Decimal(machine.memory_bytes)}
    amount = parse_quantity(value) if value is not None else whole.get(name, Decimal(0))
    if kind == "requests" and value is None:
        amount = Decimal(0)
    divisor = parse_quantity(selector.divisor) if selector.divisor else Decimal(0)
    return str(math.ceil(amount / (divisor or Decimal(1))))


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(values.items()))


def _quoted(text: str) -> str:
    """As Go's %q writes it, for the characters that matter."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
