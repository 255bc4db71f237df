"""What the data path reads off stored objects: a revision's limits, a Pod's readiness and address, a Service's ports.

Plain JSON in, small frozen values out: `endpoints` keeps these and not the objects, because a sleeping Service should
cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from activator.instances import Endpoint
from activator.ledger import parse_timeline
from activator.limits import RevisionLimits
from core.resources.meta import Json
from core.resources.pilotlight import ADDRESS, PAUSED, TIMELINE
from core.resources.pod_failures import (
    CONTAINER_HEALTHY,
    RESOURCES_AVAILABLE,
    Failure,
    failure_of,
    ready_deadline_s,
    unready_of,
)
from core.resources.serving_labels import REVISION_LABEL
from core.stats import InstanceKey, RevisionKey

DEFAULT_TIMEOUT_S: Final = 300.0
DEFAULT_PORT: Final = 8080
_HEALTH: Final = (RESOURCES_AVAILABLE, CONTAINER_HEALTHY)


@dataclass(frozen=True, slots=True)
class SeenPod:
    """`endpoint` where it may be given requests; `failure` where it cannot come up; `state` in words for those waiting;
    `port` is the one it serves on; `unready` says why it is not ready although it runs."""

    revision: RevisionKey | None
    endpoint: Endpoint | None
    failure: Failure | None
    state: str
    live: bool
    port: int
    unready: str = ""


def see_pod(pod: Json) -> SeenPod:
    metadata, status = pod["metadata"], pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    namespace = metadata.get("namespace", "")
    name = (metadata.get("labels") or {}).get(REVISION_LABEL)
    live = "deletionTimestamp" not in metadata and annotations.get(PAUSED) != "true"
    failure = failure_of(pod)
    port = _serving_port(pod)
    endpoint = None
    if live and _is_ready(status) and (address := _address(annotations, status, port)):
        key = InstanceKey(namespace, metadata["name"], metadata.get("uid", ""))
        endpoint = Endpoint(key, *address, parse_timeline(annotations.get(TIMELINE, "")))
    return SeenPod(
        revision=RevisionKey(namespace, name) if name else None,
        endpoint=endpoint,
        failure=failure,
        state=_state(metadata["name"], status),
        live=live,
        port=port,
        unready=unready_of(pod) if endpoint is None else "",
    )


def _address(annotations: Mapping[str, str], status: Json, port: int) -> tuple[str, int] | None:
    host, _, chosen = annotations.get(ADDRESS, "").rpartition(":")
    if host and chosen.isdigit():
        return host.strip("[]"), int(chosen)
    address = status.get("podIP")
    return (address, port) if address else None


def _serving_port(pod: Json) -> int:
    for container in pod.get("spec", {}).get("containers") or ():
        for port in container.get("ports") or ():
            return int(port.get("containerPort", DEFAULT_PORT))
    return DEFAULT_PORT


def _is_ready(status: Json) -> bool:
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())


def _state(name: str, status: Json) -> str:
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        if waiting := state.get("waiting"):
            return f"Pod {name} waits: {waiting.get('reason', 'no reason given')}"
        if "running" in state and not container.get("ready"):
            return f"Pod {name} runs but is not ready; see `kubectl describe pod {name}`"
    return f"Pod {name} is {status.get('phase') or 'Pending'}"


def see_limits(revision: Json) -> RevisionLimits:
    spec = revision.get("spec") or {}
    return RevisionLimits(
        concurrency=int(spec.get("containerConcurrency") or 0),
        timeout_s=float(spec.get("timeoutSeconds") or DEFAULT_TIMEOUT_S),
        start_s=float(spec.get("responseStartTimeoutSeconds") or inf),
        idle_s=float(spec.get("idleTimeoutSeconds") or inf),
        ready_s=ready_deadline_s((revision.get("metadata") or {}).get("annotations") or {}),
    )


def newly_failed(revision: Json, old: Json | None) -> Failure | None:
    """Why, where this change says that the revision cannot run. Only the change counts: the next request tries anew."""
    before = _false_conditions(old) if old is not None else {}
    for kind, failure in _false_conditions(revision).items():
        if kind not in before:
            return failure
    return None


def _false_conditions(revision: Json) -> dict[str, Failure]:
    return {
        condition["type"]: Failure(
            condition["type"], condition.get("reason") or "Failed", condition.get("message") or ""
        )
        for condition in (revision.get("status") or {}).get("conditions") or ()
        if condition.get("type") in _HEALTH and condition.get("status") == "False"
    }


@dataclass(frozen=True, slots=True)
class SeenService:
    """A core Service: port → name of that port, as an EndpointSlice calls it."""

    ports: Mapping[int, str]
    external_name: str = ""


def see_service(service: Json) -> SeenService:
    spec = service.get("spec") or {}
    external = (spec.get("externalName") or "").rstrip(".").lower() if spec.get("type") == "ExternalName" else ""
    ports = {int(port["port"]): port.get("name") or "" for port in spec.get("ports") or ()}
    return SeenService(ports or {80: ""}, external)


@dataclass(frozen=True, slots=True)
class SeenEndpoint:
    """One ready address of an EndpointSlice. `pod` is its name, where it is one."""

    address: str
    pod: str


@dataclass(frozen=True, slots=True)
class SeenSlice:
    """Port name → number, and who is ready."""

    ports: Mapping[str, int]
    ready: tuple[SeenEndpoint, ...]


def see_slice(endpoint_slice: Json) -> SeenSlice:
    ports = {port.get("name") or "": int(port["port"]) for port in endpoint_slice.get("ports") or () if "port" in port}
    ready = []
    for endpoint in endpoint_slice.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        addresses = endpoint.get("addresses")
        if addresses and conditions.get("ready") is not False and not conditions.get("terminating"):
            target = endpoint.get("targetRef") or {}
            ready.append(SeenEndpoint(addresses[0], target.get("name", "") if target.get("kind") == "Pod" else ""))
    return SeenSlice(ports, tuple(ready))


def common_failure(pods: Iterable[SeenPod]) -> Failure | None:
    """The reason, where every Pod that is not on its way out fails; of several the first."""
    failures = [pod.failure for pod in pods if pod.live]
    return failures[0] if failures and all(failures) else None
