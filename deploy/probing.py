"""When a probe is tried, and what its answers add up to. Pure: `deploy/probes` asks here and does the trying.

The thresholds are the kubelet's (pkg/kubelet/prober/worker.go). Knative's aggressive readiness probe (`periodSeconds`
0) tries until it succeeds at a pace that follows the time waited, so that a server that is fast is not made to look
slow; after that it keeps watch at Kubernetes' ordinary period.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from core.resources.containers import Container, IntOrString, Probe

AGGRESSIVE_AT_ONCE = 12  # so many tries first, as fast as they go: a timer of the event loop costs 1 ms at least
AGGRESSIVE_SHORTEST_S = 0.001
AGGRESSIVE_LONGEST_S = 0.05  # Knative's pace throughout
AGGRESSIVE_SHARE = 16  # a try costs some 30 µs; waiting a sixteenth more than the server needed, nobody notices
AGGRESSIVE_TIMEOUT_S = 0.1
COMMAND_SHORTEST_S = 0.1  # a command costs a process, and in a container the engine some 100 ms of work
COMMAND_LONGEST_S = 1.0
COMMAND_TIMEOUT_S = 10.0  # what Knative gives all the tries of one call together
DEFAULT_PERIOD_S = 10.0
DEFAULT_FAILURES = 3
ASSUMED_AFTER_S = 2.0
USER_AGENT = "kube-probe/1.34"  # frameworks and access logs know it by its beginning


class ProbeKind(StrEnum):
    """The kubelet's three, by the word its events use."""

    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


@dataclass(frozen=True, slots=True)
class TcpCheck:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class HttpCheck:
    host: str
    port: int
    path: str = "/"
    tls: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class GrpcCheck:
    host: str
    port: int
    service: str = ""


@dataclass(frozen=True, slots=True)
class ExecCheck:
    command: tuple[str, ...]


Check: TypeAlias = TcpCheck | HttpCheck | GrpcCheck | ExecCheck


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """One probe of one container, with its ports resolved and its defaults filled in."""

    kind: ProbeKind
    check: Check
    initial_delay_s: float = 0.0
    period_s: float = DEFAULT_PERIOD_S
    timeout_s: float = 1.0
    successes: int = 1
    failures: int = DEFAULT_FAILURES
    aggressive: bool = False
    grace_s: float | None = None  # for the stop that this probe causes
    assumed_after_s: float | None = None  # the answer is taken for yes, where there was none until then


@dataclass(frozen=True, slots=True)
class ProbeState:
    """`healthy` is None until a threshold has been met for the first time."""

    healthy: bool | None = None
    run: int = 0  # answers in a row that were alike
    last: bool | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """What a container's probes are aimed at: the address of its Pod, and the port it was given."""

    host: str
    port: int | None  # of the serving container, else None
    declared_port: int | None = None  # what the document says the serving port is
    inside: int | None = None  # where it is to listen, if that is not `port`: in a network of its own
    doors: Mapping[int, int] = field(default_factory=dict)  # where other ports of such a network are found


def make_probe(probe: Probe, kind: ProbeKind, container: Container, where: Where) -> ProbePlan | None:
    """None where the probe names no check, or a port that nobody has."""
    check = _check(probe, container, where)
    if check is None:
        return None
    aggressive = kind is ProbeKind.READINESS and not probe.period_seconds
    return ProbePlan(
        kind=kind,
        check=check,
        initial_delay_s=float(probe.initial_delay_seconds or 0),
        period_s=float(probe.period_seconds or DEFAULT_PERIOD_S),
        timeout_s=float(probe.timeout_seconds or 1),
        successes=probe.success_threshold or 1,
        failures=probe.failure_threshold or DEFAULT_FAILURES,
        aggressive=aggressive,
        grace_s=None
        if probe.termination_grace_period_seconds is None
        else float(probe.termination_grace_period_seconds),
    )


def default_readiness(where: Where) -> ProbePlan | None:
    """What a serving container without a probe gets: it is ready when it accepts a connection. The port may be one that
    only a document names (Kubernetes asks nobody, and has it ready at once): after a moment that does not matter.
    A Revision's containers have a probe in any case."""
    if where.port is None:
        return None
    check = TcpCheck(where.host, where.port)
    return ProbePlan(ProbeKind.READINESS, check, aggressive=True, assumed_after_s=ASSUMED_AFTER_S)


def make_probes(container: Container, where: Where, default_is_serving: bool) -> dict[ProbeKind, ProbePlan]:
    """All probes of a container. `default_is_serving`: it takes requests, so readiness is never assumed."""
    written = {
        ProbeKind.STARTUP: container.startup_probe,
        ProbeKind.READINESS: container.readiness_probe,
        ProbeKind.LIVENESS: container.liveness_probe,
    }
    made = {kind: make_probe(probe, kind, container, where) for kind, probe in written.items() if probe is not None}
    plans = {kind: plan for kind, plan in made.items() if plan is not None}
    if default_is_serving and ProbeKind.READINESS not in plans and (readiness := default_readiness(where)) is not None:
        plans[ProbeKind.READINESS] = readiness
    return plans


def next_state(plan: ProbePlan, state: ProbeState, success: bool) -> ProbeState:
    """After one more answer."""
    run = state.run + 1 if success == state.last else 1
    threshold = plan.successes if success else plan.failures
    healthy = success if run >= threshold else state.healthy
    return ProbeState(healthy, run, success)


def next_try_s(plan: ProbePlan, state: ProbeState, waited_s: float) -> float:
    """How long to wait before the next try; `waited_s` since the first."""
    if plan.aggressive and not state.healthy:
        if isinstance(plan.check, ExecCheck):
            return min(max(waited_s / AGGRESSIVE_SHARE, COMMAND_SHORTEST_S), COMMAND_LONGEST_S)
        if state.run < AGGRESSIVE_AT_ONCE and waited_s < AGGRESSIVE_SHORTEST_S:
            return 0.0
        return min(max(waited_s / AGGRESSIVE_SHARE, AGGRESSIVE_SHORTEST_S), AGGRESSIVE_LONGEST_S)
    return plan.period_s


def try_timeout_s(plan: ProbePlan, state: ProbeState) -> float:
    """How long one try may take."""
    if not plan.aggressive or state.healthy:
        return plan.timeout_s
    return COMMAND_TIMEOUT_S if isinstance(plan.check, ExecCheck) else AGGRESSIVE_TIMEOUT_S


def resolve_port(wanted: IntOrString | None, container: Container, where: Where) -> int | None:
    """The number behind what the document says; the declared serving port stands for the one that was given."""
    if isinstance(wanted, str) and wanted.isdigit():
        wanted = int(wanted)
    if isinstance(wanted, str):
        named = [port.container_port for port in container.ports or () if port.name == wanted]
        wanted = named[0] if named else None
    if not wanted or wanted == where.declared_port:
        return where.port
    return where.doors.get(wanted, wanted)


def probed_ports(container: Container) -> set[int]:
    """What its probes ask at its Pod's own address."""
    probes = (container.startup_probe, container.readiness_probe, container.liveness_probe)
    plain = Where("", None)
    checks = [_check(probe, container, plain) for probe in probes if probe is not None]
    return {check.port for check in checks if check is not None and not isinstance(check, ExecCheck) and not check.host}


def _check(probe: Probe, container: Container, where: Where) -> Check | None:
    if probe.exec is not None and probe.exec.command:
        return ExecCheck(tuple(probe.exec.command))
    if (action := probe.http_get) is not None:
        port = resolve_port(action.port, container, where)
        headers = {header.name: header.value for header in action.http_headers or ()}
        tls = (action.scheme or "HTTP").upper() == "HTTPS"
        path = "/" + (action.path or "/").removeprefix("/")
        return None if port is None else HttpCheck(action.host or where.host, port, path, tls, headers)
    if (action_tcp := probe.tcp_socket) is not None:
        port = resolve_port(action_tcp.port, container, where)
        return None if port is None else TcpCheck(action_tcp.host or where.host, port)
    if probe.grpc is not None:
        port = resolve_port(probe.grpc.port, container, where)
        return None if port is None else GrpcCheck(where.host, port, probe.grpc.service or "")
    return None
