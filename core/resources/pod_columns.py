"""What `kubectl get pods` prints: READY, STATUS and RESTARTS by the rules of kubectl's own printer.

The STATUS column is no field of the Pod but read from all of it (pkg/printers/internalversion/printers.go, printPod).
"""

from __future__ import annotations

from core.resources.ages import age_of
from core.resources.meta import Column, Json

WIDE = 1


def pod_ready(pod: Json) -> str:
    """`1/2`: containers that run and are ready, of all; sidecars count, other init containers do not."""
    sidecars = _sidecars(pod)
    statuses = [s for s in _init_statuses(pod) if s.get("name") in sidecars and s.get("started")]
    if _init_word(pod) is None or _has(pod, "Initialized"):
        statuses += [s for s in _statuses(pod) if (s.get("state") or {}).get("running") is not None]
    ready = sum(bool(s.get("ready")) for s in statuses)
    return f"{ready}/{len(pod['spec'].get('containers', ())) + len(sidecars)}"


def pod_restarts(pod: Json, now: float) -> str:
    """How often its containers were restarted, and how long ago the last one ended: `3 (5m ago)`.

    While init containers are at work it is theirs that count, afterwards the sidecars' and the others'.
    """
    counted = _init_statuses(pod)
    if _init_word(pod) is None or _has(pod, "Initialized"):
        sidecars = _sidecars(pod)
        counted = [*(s for s in counted if s.get("name") in sidecars), *_statuses(pod)]
    count = sum(s.get("restartCount", 0) for s in counted)
    ends = [((s.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for s in counted]
    last = max(filter(None, ends), default=None)
    return f"{count} ({age_of(last, now)} ago)" if count and last else str(count)


def pod_status(pod: Json) -> str:
    """One word for how the Pod is: its phase, unless a container, a gate or a deletion says something nearer."""
    status = pod.get("status", {})
    word = status.get("reason") or status.get("phase") or "Unknown"
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in _conditions(pod)):
        word = "SchedulingGated"
    init = _init_word(pod)
    word = init or word
    if init is None or _has(pod, "Initialized"):
        word = _container_word(pod, word)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return str(word)


def _conditions(pod: Json) -> list[Json]:
    return pod.get("status", {}).get("conditions") or []


def _has(pod: Json, condition: str) -> bool:
    return any(c.get("type") == condition and c.get("status") == "True" for c in _conditions(pod))


def _statuses(pod: Json) -> list[Json]:
    return pod.get("status", {}).get("containerStatuses") or []


def _init_statuses(pod: Json) -> list[Json]:
    return pod.get("status", {}).get("initContainerStatuses") or []


def _sidecars(pod: Json) -> set[str]:
    containers = pod["spec"].get("initContainers") or ()
    return {c.get("name", "") for c in containers if c.get("restartPolicy") == "Always"}


def _init_word(pod: Json) -> str | None:
    """`Init:0/2`, `Init:CrashLoopBackOff`, … while init containers are at work; None when all are done."""
    sidecars = _sidecars(pod)
    for index, status in enumerate(_init_statuses(pod)):
        state = status.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if status.get("name") in sidecars and status.get("started"):
            continue
        if ended is not None:
            return f"Init:{ended.get('reason') or _ending(ended)}"
        reason = (state.get("waiting") or {}).get("reason")
        if reason and reason != "PodInitializing":
            return f"Init:{reason}"
        return f"Init:{index}/{len(pod['spec'].get('initContainers') or ())}"
    return None


def _container_word(pod: Json, word: str) -> str:
    """What the containers say; the first one has the last word."""
    running = False
    for container in reversed(_statuses(pod)):
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            word = waiting["reason"]
        elif ended is not None:
            word = ended.get("reason") or _ending(ended)
        elif container.get("ready") and state.get("running") is not None:
            running = True
    if word == "Completed" and running:
        return "Running" if _has(pod, "Ready") else "NotReady"
    return word


def _ending(terminated: Json) -> str:
    signal = terminated.get("signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated.get('exitCode', 0)}"


def _first_ip(pod: Json) -> str:
    status = pod.get("status", {})
    addresses = status.get("podIPs") or ()
    return str(addresses[0].get("ip", "")) if addresses else str(status.get("podIP") or "<none>")


def _gates(pod: Json) -> str:
    gates = pod["spec"].get("readinessGates") or ()
    if not gates:
        return "<none>"
    return f"{sum(_has(pod, g.get('conditionType', '')) for g in gates)}/{len(gates)}"


POD_COLUMNS = (
    Column("Ready", "", value=pod_ready, description="Containers that are ready, of all."),
    Column("Status", "", value=pod_status, description="How the Pod is, in one word."),
    Column("Restarts", "", told=pod_restarts, description="How often its containers were restarted."),
    Column("Age", "metadata.creationTimestamp", "date"),
    Column("IP", "", priority=WIDE, value=_first_ip),
    Column("Node", "", priority=WIDE, value=lambda pod: pod["spec"].get("nodeName") or "<none>"),
    Column(
        "Nominated Node",
        "",
        priority=WIDE,
        value=lambda pod: pod.get("status", {}).get("nominatedNodeName") or "<none>",
    ),
    Column("Readiness Gates", "", priority=WIDE, value=_gates),
)
