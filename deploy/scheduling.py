"""Whether this machine could ever run a Pod: what it asks for against what there is. Pure.

A scheduler's question, asked of one node; called by `deploy/planning`. Whether there is room now is nobody's question:
requests are shares here, not reservations.
"""

from __future__ import annotations

from core.resources.containers import Container
from core.resources.pods import PodSpec
from core.resources.quantities import milli_units, whole_units

UNSCHEDULABLE = "Unschedulable"


def why_unschedulable(spec: PodSpec, cpus: int, memory_bytes: int) -> str:
    """In the words of kube-scheduler, and how much it is about; "" where it fits. ValueError: no quantity."""
    cpu_millis, memory = _asked(spec, "cpu"), _asked(spec, "memory")
    short = []
    if cpu_millis > cpus * 1000:
        short.append(f"1 Insufficient cpu ({cpu_millis / 1000:g} asked for, this machine has {cpus})")
    if memory > memory_bytes:
        short.append(f"1 Insufficient memory ({memory >> 20}Mi asked for, this machine has {memory_bytes >> 20}Mi)")
    return f"0/1 nodes are available: {', '.join(short)}." if short else ""


def _asked(spec: PodSpec, resource: str) -> int:
    """All containers at once, or the init container that asks for most; sidecars count beside both."""
    sidecars = main = most = 0
    for container in spec.init_containers or ():
        asked = _request(container, resource)
        if container.restart_policy == "Always":
            sidecars += asked
        most = max(most, sidecars + (0 if container.restart_policy == "Always" else asked))
    main = sum(_request(container, resource) for container in spec.containers)
    return max(most, sidecars + main)


def _request(container: Container, resource: str) -> int:
    """A limit is a request, too, where there is no other."""
    resources = container.resources
    if resources is None:
        return 0
    amount = (resources.requests or {}).get(resource) or (resources.limits or {}).get(resource) or 0
    return milli_units(amount) if resource == "cpu" else whole_units(amount)
