"""Thresholds and pace of probes, and how a document's probe becomes a plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.containers import Container
from deploy.probing import (
    AGGRESSIVE_LONGEST_S,
    ExecCheck,
    GrpcCheck,
    HttpCheck,
    ProbeKind,
    ProbePlan,
    ProbeState,
    TcpCheck,
    Where,
    make_probes,
    next_state,
    next_try_s,
    try_timeout_s,
)

WHERE = Where("127.0.0.1", 20001, declared_port=8080)
CHECK = TcpCheck("127.0.0.1", 1)


def plans(container: dict, serving: bool = True, where: Where = WHERE) -> dict[ProbeKind, ProbePlan]:
    return make_probes(Container.model_validate({"name": "main", **container}), where, serving)


CHECKS = [
    ("no probe: it accepts connections", {}, TcpCheck("127.0.0.1", 20001)),
    ("Knative's default", {"readinessProbe": {"tcpSocket": {"port": 0}}}, TcpCheck("127.0.0.1", 20001)),
    (
        "the declared port is the one given",
        {"readinessProbe": {"tcpSocket": {"port": 8080}}},
        TcpCheck("127.0.0.1", 20001),
    ),
    ("another port stays", {"readinessProbe": {"tcpSocket": {"port": 9000}}}, TcpCheck("127.0.0.1", 9000)),
    (
        "a port by name",
        {"ports": [{"name": "http1", "containerPort": 8080}], "readinessProbe": {"tcpSocket": {"port": "http1"}}},
        TcpCheck("127.0.0.1", 20001),
    ),
    (
        "http with everything",
        {
            "readinessProbe": {
                "httpGet": {
                    "path": "healthz",
                    "scheme": "HTTPS",
                    "host": "example.test",
                    "port": 8443,
                    "httpHeaders": [{"name": "X-A", "value": "b"}],
                }
            }
        },
        HttpCheck("example.test", 8443, "/healthz", tls=True, headers={"X-A": "b"}),
    ),
    ("grpc", {"readinessProbe": {"grpc": {"service": "s"}}}, GrpcCheck("127.0.0.1", 20001, "s")),
    ("exec", {"readinessProbe": {"exec": {"command": ["a", "b"]}}}, ExecCheck(("a", "b"))),
]


@pytest.mark.parametrize(("container", "check"), [case[1:] for case in CHECKS], ids=[case[0] for case in CHECKS])
def test_what_is_checked(container: dict, check: object) -> None:
    assert plans(container)[ProbeKind.READINESS].check == check


@pytest.mark.parametrize("wanted", [9000, "9000", "admin"])
def test_in_a_network_of_its_own_another_port_has_a_door(wanted: int | str) -> None:
    container = {"ports": [{"name": "admin", "containerPort": 9000}], "readinessProbe": {"tcpSocket": {"port": wanted}}}
    where = Where("127.0.0.1", 20001, declared_port=8080, inside=8080, doors={9000: 20002})
    assert plans(container, where=where)[ProbeKind.READINESS].check == TcpCheck("127.0.0.1", 20002)


def test_only_a_readiness_probe_without_a_period_is_aggressive() -> None:
    probe = {"tcpSocket": {"port": 1}}
    made = plans({"readinessProbe": {**probe, "periodSeconds": 3}, "livenessProbe": probe, "startupProbe": probe})
    assert {kind: (plan.aggressive, plan.period_s) for kind, plan in made.items()} == {
        ProbeKind.READINESS: (False, 3),
        ProbeKind.LIVENESS: (False, 10),
        ProbeKind.STARTUP: (False, 10),
    }
    assert plans({"readinessProbe": {**probe, "periodSeconds": 0}})[ProbeKind.READINESS].aggressive


def test_a_container_that_does_not_serve_has_the_probes_it_wrote_only() -> None:
    assert plans({}, serving=False) == {}
    assert plans({}, where=Where("127.0.0.1", None)) == {}
    assert plans({"livenessProbe": {"tcpSocket": {}}}, serving=False, where=Where("h", None)) == {}


def run(plan: ProbePlan, answers: str) -> str:
    """The state after each answer: + healthy, - not, ? undecided."""
    state, states = ProbeState(), ""
    for answer in answers:
        state = next_state(plan, state, answer == "+")
        states += {None: "?", True: "+", False: "-"}[state.healthy]
    return states


@pytest.mark.parametrize(
    ("successes", "failures", "answers", "states"),
    [
        (1, 3, "+", "+"),
        (1, 3, "--+", "??+"),
        (1, 3, "---", "??-"),
        (1, 3, "+--+---", "++++++-"),
        (2, 3, "+-++", "???+"),
        (2, 1, "++-+-++", "?+----+"),
    ],
)
def test_thresholds(successes: int, failures: int, answers: str, states: str) -> None:
    assert run(ProbePlan(ProbeKind.READINESS, CHECK, successes=successes, failures=failures), answers) == states


@given(
    answers=st.text("+-", max_size=40),
    successes=st.integers(1, 4),
    failures=st.integers(1, 4),
)
def test_a_state_changes_only_on_a_full_run_of_answers(answers: str, successes: int, failures: int) -> None:
    plan = ProbePlan(ProbeKind.LIVENESS, CHECK, successes=successes, failures=failures)
    states = run(plan, answers)
    for index in range(1, len(states)):
        if states[index] != states[index - 1]:
            needed = successes if states[index] == "+" else failures
            assert answers[: index + 1].endswith(answers[index] * needed)


def test_the_aggressive_pace_follows_the_wait_and_ends_with_the_first_success() -> None:
    plan = ProbePlan(ProbeKind.READINESS, CHECK, aggressive=True)
    waits = [next_try_s(plan, ProbeState(), waited) for waited in (0, 0.005, 0.1, 0.5, 1, 100)]
    assert waits == sorted(waits)
    assert waits[0] == 0, "a server that is up at once is seen at once"
    assert next_try_s(plan, ProbeState(run=12), 0.0) == 0.001, "but nobody spins for long"
    assert waits[-1] == AGGRESSIVE_LONGEST_S
    assert try_timeout_s(plan, ProbeState()) == 0.1
    failing = ProbeState()
    for _ in range(20):
        failing = next_state(plan, failing, False)
    assert next_try_s(plan, failing, 100) == AGGRESSIVE_LONGEST_S, "however often it failed"
    ready = next_state(plan, failing, True)
    assert next_try_s(plan, ready, 1) == 10
    assert try_timeout_s(plan, ready) == 1


def test_a_command_is_not_hurried_as_a_connection_is() -> None:
    plan = ProbePlan(ProbeKind.READINESS, ExecCheck(("ready",)), aggressive=True)
    assert [next_try_s(plan, ProbeState(run=run), waited) for run, waited in ((0, 0), (9, 8), (99, 100))] == [
        0.1,
        0.5,
        1,
    ]
    assert try_timeout_s(plan, ProbeState()) == 10, "an engine takes its time to start one"
    assert (next_try_s(plan, ProbeState(healthy=True), 1), try_timeout_s(plan, ProbeState(healthy=True))) == (10, 1)


@given(waited=st.floats(0, 1000))
def test_a_server_waits_at_most_a_sixteenth_longer_than_it_needed_or_the_bounds(waited: float) -> None:
    wait = next_try_s(ProbePlan(ProbeKind.READINESS, CHECK, aggressive=True), ProbeState(), waited)
    assert wait <= max(waited / 16, 0.001) + 1e-12
    assert wait <= AGGRESSIVE_LONGEST_S
