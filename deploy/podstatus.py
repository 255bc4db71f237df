"""A Pod's status from what is seen of its containers, as the kubelet writes it. Pure: one function, one truth table.

The phase is that of pkg/kubelet/kubelet_pods.go (getPhase), the conditions those of pkg/kubelet/status; what
differs is a paused Pod (Ready=False, Paused), and the last failure of a probe, told where people look for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from core.resources.meta import Json
from core.resources.pod_rules import qos_class
from core.resources.timestamps import rfc3339


@dataclass(frozen=True, slots=True)
class Waiting:
    """`until`: when it is tried again, in epoch seconds; 0 where nobody knows."""

    reason: str
    message: str = ""
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Running:
    started: float  # epoch seconds, as all below


@dataclass(frozen=True, slots=True)
class Terminated:
    code: int
    reason: str
    started: float
    finished: float
    signal: int = 0
    message: str = ""
    container_id: str = ""


ContainerState: TypeAlias = Waiting | Running | Terminated
CREATING = Waiting("ContainerCreating")
INITIALIZING = Waiting("PodInitializing")


@dataclass(frozen=True, slots=True)
class ContainerSeen:
    """One container as its loop sees it. `unready`: the last thing its readiness probe said against it."""

    name: str
    image: str = ""
    init: bool = False
    sidecar: bool = False  # an init container that stays
    state: ContainerState = CREATING
    last: Terminated | None = None
    restarts: int = 0
    ready: bool = False
    started: bool = False
    unready: str = ""
    container_id: str = ""
    image_id: str = ""


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A Pod as its loop sees it. `ip` is empty until it has a sandbox."""

    containers: tuple[ContainerSeen, ...]
    restart_policy: str = "Always"
    ip: str = ""
    host_ip: str = ""
    taken: float = 0.0  # when the node took it
    paused: bool = False
    generation: int = 1
    node: str = ""
    address: str = ""  # `127.0.0.1:41234`, where it has one
    ports: str = ""  # `9090=41235,…`: where its further ports answer, if not under their own numbers
    in_flight: str = ""  # what it says to have in hand, where it is asked
    unschedulable: str = ""  # why this machine will never run it
    verdict: tuple[str, str] | None = None  # reason and message of the failure that the node has decided on


def pod_status(spec: Json, seen: PodSeen, before: Mapping[str, Json], now: float) -> Json:
    """The status to write. `before`: the conditions that stand, by type; one that says the same keeps its time."""
    if seen.unschedulable:
        conditions = [_condition(("PodScheduled", False, "Unschedulable", seen.unschedulable), before, now)]
        return {"phase": "Pending", "conditions": conditions, "qosClass": qos_class(spec)}
    phase = pod_phase(seen)
    said = (
        ("PodReadyToStartContainers", bool(seen.ip), "", ""),
        ("Initialized", *_initialized(seen, phase)),
        ("Ready", *_ready(seen, phase)),
        ("ContainersReady", *_containers_ready(seen, phase)),
        ("PodScheduled", True, "", ""),
    )
    status: Json = {
        "observedGeneration": seen.generation,
        "phase": phase,
        "conditions": [_condition(each, before, now) for each in said],
        "hostIP": seen.host_ip,
        "hostIPs": [{"ip": seen.host_ip}],
        "startTime": rfc3339(seen.taken),
        "qosClass": qos_class(spec),
    }
    if seen.paused:
        status["reason"] = "Paused"  # what `kubectl get pods` shows as STATUS
    if seen.verdict is not None:
        status["reason"], status["message"] = seen.verdict
    if seen.ip:
        status |= {"podIP": seen.ip, "podIPs": [{"ip": seen.ip}]}
    for field, init in (("initContainerStatuses", True), ("containerStatuses", False)):
        statuses = [_container_status(each) for each in seen.containers if each.init is init]
        if statuses:
            status[field] = statuses
    return status


def pod_phase(seen: PodSeen) -> str:
    """Pending, Running, Succeeded or Failed."""
    if seen.verdict is not None:
        return "Failed"
    init = [each for each in seen.containers if each.init and not each.sidecar]
    main = [each for each in seen.containers if not each.init]
    if any(_has_failed(each) for each in init) and seen.restart_policy == "Never":
        return "Failed"
    if not all(_has_succeeded(each) for each in init):
        return "Pending"
    if any(isinstance(each.state, Waiting) and each.last is None for each in main):
        return "Pending"
    if any(isinstance(each.state, Running) for each in main):
        return "Running"
    if seen.restart_policy == "Always" or any(isinstance(each.state, Waiting) for each in main):
        return "Running"  # about to be restarted
    if all(_has_succeeded(each) for each in main):
        return "Succeeded"
    return "Failed" if seen.restart_policy == "Never" else "Running"


def is_ready(seen: PodSeen) -> bool:
    return _ready(seen, pod_phase(seen))[0]


def _initialized(seen: PodSeen, phase: str) -> tuple[bool, str, str]:
    missing = [each.name for each in seen.containers if each.init and not _is_past(each)]
    if phase == "Succeeded":
        return True, "PodCompleted", ""
    if missing:
        return False, "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(missing)}]"
    return True, "", ""


def _ready(seen: PodSeen, phase: str) -> tuple[bool, str, str]:
    if seen.paused:
        return False, "Paused", "frozen until the next request"
    return _containers_ready(seen, phase)


def _containers_ready(seen: PodSeen, phase: str) -> tuple[bool, str, str]:
    if phase == "Succeeded":
        return False, "PodCompleted", ""
    if phase == "Failed":
        return False, "PodFailed", ""
    needed = [each for each in seen.containers if not each.init or each.sidecar]
    unready = [each for each in needed if not each.ready]
    if not unready:
        return True, "", ""
    why = [f"containers with unready status: [{' '.join(each.name for each in unready)}]"]
    why += [each.unready for each in unready if each.unready]
    return False, "ContainersNotReady", "; ".join(why)


def _condition(said: tuple[str, bool, str, str], before: Mapping[str, Json], now: float) -> Json:
    kind, holds, reason, message = said
    status = "True" if holds else "False"
    last = before.get(kind)
    since = last.get("lastTransitionTime") if last is not None and last["status"] == status else None
    condition: Json = {
        "type": kind,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": since or rfc3339(now),
    }
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _container_status(seen: ContainerSeen) -> Json:
    status: Json = {
        "name": seen.name,
        "state": _state(seen.state),
        "lastState": {} if seen.last is None else _state(seen.last),
        "ready": seen.ready if not seen.init or seen.sidecar else _has_succeeded(seen),
        "started": seen.started,
        "restartCount": seen.restarts,
        "image": seen.image,
        "imageID": seen.image_id,
    }
    if seen.container_id:
        status["containerID"] = seen.container_id
    return status


def _state(state: ContainerState) -> Json:
    match state:
        case Waiting():
            return {"waiting": {"reason": state.reason, **({"message": state.message} if state.message else {})}}
        case Running():
            return {"running": {"startedAt": rfc3339(state.started)}}
        case Terminated():
            terminated: Json = {
                "exitCode": state.code,
                "reason": state.reason,
                "startedAt": rfc3339(state.started),
                "finishedAt": rfc3339(state.finished),
                "containerID": state.container_id,
            }
            if state.signal:
                terminated["signal"] = state.signal
            if state.message:
                terminated["message"] = state.message
            return {"terminated": terminated}


def _is_past(seen: ContainerSeen) -> bool:
    return seen.started if seen.sidecar else _has_succeeded(seen)


def _has_succeeded(seen: ContainerSeen) -> bool:
    return isinstance(seen.state, Terminated) and seen.state.code == 0


def _has_failed(seen: ContainerSeen) -> bool:
    return isinstance(seen.state, Terminated) and seen.state.code != 0


def ending_reason(code: int, oom: bool) -> str:
    """As the kubelet and its runtimes say it."""
    if oom:
        return "OOMKilled"
    return "Completed" if code == 0 else "Error"


def conditions_by_type(status: Json | None) -> dict[str, Json]:
    conditions: Sequence[Json] = (status or {}).get("conditions") or ()
    return {condition["type"]: condition for condition in conditions}
