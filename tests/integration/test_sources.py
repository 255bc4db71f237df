"""Sources and sinks by the real kubectl on a running platform: real processes send, real functions get."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pilotlight.cli.platform import start_detached, stop
from pilotlight.datadir import DataDir
from pilotlight.options import PlatformOptions
from tests.support.kubectl import Kubectl
from tests.support.platform import Platform
from tests.support.user import User, make_function

pytestmark = pytest.mark.kubectl
HEARTBEATS = Path(__file__).parents[2] / "examples/heartbeats"
Events = Callable[[], list[dict[str, Any]]]
DISPLAY = """
import json, os, time
from cloudevents.core.v1.event import CloudEvent

BORN = time.time()

async def handle(event: CloudEvent):
    seen = {key: str(value) for key, value in event.get_attributes().items()}
    line = {**seen, "data": event.get_data(), "born": BORN, "now": time.time()}
    with open(%r, "a") as file:
        file.write(json.dumps(line, default=str) + "\\n")
"""


@pytest.fixture(scope="module")
def kubectl(platform: Platform) -> Kubectl:
    return Kubectl(platform)


def display(user: User, folder: Path, name: str) -> Events:
    """A function that writes down what it gets; what it has."""
    source, seen = folder / name, folder / f"{name}.seen"
    source.mkdir()
    (source / "main.py").write_text(DISPLAY % str(seen))
    user.deploy(make_function(name, source, {"window": "6s"}))
    return lambda: [json.loads(line) for line in seen.read_text().splitlines()] if seen.exists() else []


def to(name: str) -> dict[str, Any]:
    return {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}}


def document(kind: str, name: str, spec: dict[str, Any], version: str = "sources.knative.dev/v1") -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def test_a_ping_finds_its_sink_awake(kubectl: Kubectl, user: User, tmp_path: Path) -> None:
    got = display(user, tmp_path, "pinged")
    user.until_asleep("pinged")
    kubectl.apply(document("PingSource", "p", {"schedule": "*/15 * * * * *", "data": '{"a":1}', "sink": to("pinged"),
                                              "contentType": "application/json"}))  # fmt: skip
    kubectl("wait", "--for=condition=Ready", "pingsource/p", "--timeout=20s")
    (first, *_) = user.until("a tick", got, 40)
    assert (first["type"], first["data"]) == ("dev.knative.sources.ping", {"a": 1})
    assert first["source"] == "/apis/v1/namespaces/default/pingsources/p"
    tick = first["now"] - first["now"] % 15
    assert first["born"] < tick, "it was up before the tick"
    assert first["now"] - tick < 1.0
    assert kubectl("get", "pingsource", "p", "--no-headers").split()[1].startswith("http://pinged.default.svc")
    kubectl("delete", "pingsource", "p")


def test_no_tick_is_lost_over_a_restart_of_the_platform(tmp_path: Path) -> None:
    folder = DataDir(tmp_path / "data")
    running = start_detached(PlatformOptions(folder, gateway_port=0, api_port=0))
    try:
        got = display(user := User(Platform(running)), tmp_path, "counted")
        Kubectl(Platform(running)).apply(
            document("PingSource", "each", {"schedule": "*/2 * * * * *", "sink": to("counted")})
        )
        user.until("two ticks", lambda: len(got()) >= 2, 30)
        stop(running)
        running = start_detached(PlatformOptions(folder, gateway_port=0, api_port=0))
        before = len(got())
        user.until("more ticks", lambda: len(got()) >= before + 3, 40)
    finally:
        stop(running)
    seconds = [int(time[17:19]) for time in sorted({event["time"] for event in got()})]
    assert {(later - earlier) % 60 for earlier, later in pairwise(seconds)} == {2}, seconds


def test_a_process_sends_where_it_is_told(kubectl: Kubectl, user: User, tmp_path: Path) -> None:
    got = display(user, tmp_path, "orders")
    text = (HEARTBEATS / "containersource.yaml").read_text().replace("/path/to/examples/heartbeats", str(HEARTBEATS))
    kubectl("apply", "-f", "-", stdin=text)
    kubectl("wait", "--for=condition=Ready", "containersource/heartbeats", "--timeout=40s")
    (first, second, *_) = user.until("two beats", lambda: got() if len(got()) > 1 else None, 40)
    assert (first["type"], first["team"]) == ("dev.knative.eventing.samples.heartbeat", "blue")
    assert "/#default/heartbeats-deployment-" in first["source"]
    assert (first["data"], second["data"]["id"]) == ({"id": 1, "label": "a beat"}, 2)
    assert "sent {'id': 1" in kubectl("logs", "deployment/heartbeats-deployment")
    kubectl("delete", "containersource", "heartbeats")
    kubectl("wait", "--for=delete", "deployment/heartbeats-deployment", "--timeout=30s")
    kubectl("wait", "--for=delete", "sinkbinding/heartbeats-sinkbinding", "--timeout=30s")


def test_a_job_that_is_made_later_is_bound(kubectl: Kubectl, user: User, tmp_path: Path) -> None:
    got = display(user, tmp_path, "bound")
    subject = {"apiVersion": "batch/v1", "kind": "Job", "selector": {"matchLabels": {"app": "beat"}}}
    kubectl.apply(document("SinkBinding", "beats", {"subject": subject, "sink": to("bound")}))
    kubectl("wait", "--for=condition=Ready", "sinkbinding/beats", "--timeout=20s")
    container = {"name": "main", "image": f"dir:{HEARTBEATS}", "command": ["python3", "heartbeats.py", "--period=1"]}
    pod = {"restartPolicy": "Never", "runtimeClassName": "process", "containers": [container]}
    job = document("Job", "beat", {"activeDeadlineSeconds": 20, "template": {"spec": pod}}, "batch/v1")
    job["metadata"]["labels"] = {"app": "beat"}
    kubectl.apply(job)
    assert user.until("a beat", got, 30)[0]["type"] == "dev.knative.eventing.samples.heartbeat"
    kubectl.apply(job)  # once more, with what was put in: nothing changes
    assert kubectl.get("job", "beat")["metadata"]["generation"] == 1
    kubectl("delete", "job", "beat")
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "replicas": 0, "template": template}
    named = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    kubectl.apply(
        document("Deployment", "web", spec, "apps/v1"),
        document("SinkBinding", "web", {"subject": named, "sink": to("bound")}),
    )
    kubectl("wait", "--for=condition=Ready", "sinkbinding/web", "--timeout=20s")
    path = "jsonpath={.spec.template.spec.containers[0].env[*].name}"
    assert kubectl("get", "deployment", "web", "-o", path) == "K_SINK K_CE_OVERRIDES"
    kubectl("delete", "sinkbinding", "web", "beats")
    assert kubectl("get", "deployment", "web", "-o", path) == ""
    kubectl("delete", "deployment", "web")


def test_an_event_runs_a_job_with_it_in_a_file(kubectl: Kubectl, user: User, tmp_path: Path) -> None:
    script = 'grep -q "fail" /etc/jobsink-event/event && exit 1; cat /etc/jobsink-event/event'
    container = {"name": "main", "image": "any", "command": ["/bin/sh", "-c", script]}
    pod = {"restartPolicy": "Never", "runtimeClassName": "process", "containers": [container]}
    spec = {"job": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}}
    kubectl.apply(document("JobSink", "logger", spec, "sinks.knative.dev/v1alpha1"))
    kubectl("wait", "--for=condition=Ready", "jobsink/logger", "--timeout=20s")
    sink = {"ref": {"apiVersion": "sinks.knative.dev/v1alpha1", "kind": "JobSink", "name": "logger"}}
    kubectl.apply(
        document("Broker", "main", {}, "eventing.knative.dev/v1"),
        document("Trigger", "t", {"broker": "main", "subscriber": sink}, "eventing.knative.dev/v1"),
    )
    kubectl("wait", "--for=condition=Ready", "trigger/t", "--timeout=20s")
    for number, kind in ((1, "good"), (1, "good"), (2, "fail")):
        headers = {"ce-id": str(number), "ce-source": "/s", "ce-type": kind, "ce-specversion": "1.0"}
        reply = user.call("broker-ingress.localhost", "/default/main", "POST", b"{}", headers)
        assert reply.status == 202

    def ended() -> list[str] | None:
        jobs = kubectl.get("jobs", "-l", "sinks.knative.dev/job-sink-name=logger")["items"]
        ends = [
            c["type"]
            for job in jobs
            for c in (job.get("status") or {}).get("conditions", ())
            if c["type"] in ("Complete", "Failed")
        ]
        return sorted(ends) if len(ends) == 2 else None

    assert user.until("two Jobs", ended, 40) == ["Complete", "Failed"]
    logs = kubectl("logs", "-l", "sinks.knative.dev/job-sink-name=logger", "--tail=-1")
    assert json.loads(logs)["type"] == "good"
    kubectl("delete", "broker/main", "trigger/t", "jobsink/logger")
