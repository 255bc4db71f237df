"""Triggers on a whole platform: what is measured in it (cpu, requests, events that wait), and an external scaler."""

from __future__ import annotations

import asyncio
import http.server
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from pilotlight.cli.app import run
from tests.support.external_scaler import Scripted, serving
from tests.support.platform import Platform
from tests.support.user import Json, User, make_service

DEPLOYMENTS = "apis/apps/v1/namespaces/default/deployments"
SCALED = "apis/keda.sh/v1alpha1/namespaces/default/scaledobjects"
BROKERS = "apis/eventing.knative.dev/v1/namespaces/default/brokers"
TRIGGERS = "apis/eventing.knative.dev/v1/namespaces/default/triggers"
AUTHENTICATIONS = "apis/keda.sh/v1alpha1/namespaces/default/triggerauthentications"
SINKS = "api/v1/namespaces/knative-eventing/configmaps/config-sinks"
IDLE = "import time; time.sleep(3600)"
BUSY = """
import time
while True:
    began = time.process_time()
    while time.process_time() < began + 0.02:
        pass
    time.sleep(0.06)
"""
QUICK_DOWN = {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}
_numbers = itertools.count(1)


@contextmanager
def scaled(user: User, trigger: Json, program: str = IDLE, resources: Json | None = None, **spec: Any) -> Iterator[str]:
    """A Deployment of a program, and a ScaledObject with that trigger. Yields their name."""
    name = f"worker-{next(_numbers)}"
    container = {
        "name": "main",
        "image": "local",
        "command": [sys.executable, "-S", "-c", program],
        "resources": resources,
    }
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"runtimeClassName": "process", "terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    deployment = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    defaults = {"scaleTargetRef": {"name": name}, "cooldownPeriod": 1, "advanced": QUICK_DOWN, "triggers": [trigger]}
    user.create(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": deployment}, DEPLOYMENTS
    )
    made = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}}
    user.create({**made, "spec": {**defaults, **spec}}, SCALED)
    try:
        yield name
    finally:
        for collection in (SCALED, DEPLOYMENTS):
            user.ask("DELETE", f"{collection}/{name}")


def until_replicas(user: User, name: str, holds: Callable[[int], bool], timeout_s: float = 30.0) -> int:
    """How many its Deployment asks for, once that holds."""

    def look() -> list[int]:
        found = int(user.get(f"{DEPLOYMENTS}/{name}")["spec"]["replicas"])
        return [found] if holds(found) else []

    try:
        return int(user.until(f"replicas of {name}", look, timeout_s)[0])
    except AssertionError as error:
        raise AssertionError(f"{error}; {user.get(f'{SCALED}/{name}').get('status')}") from None


def test_cpu_adds_instances_until_there_is_enough_for_each(user: User) -> None:
    """A quarter of a processor, where half of 100 thousandths are held: as many as may be."""
    trigger = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}}
    resources = {"requests": {"cpu": "100m"}}
    with scaled(user, trigger, BUSY, resources, minReplicaCount=1, maxReplicaCount=3, pollingInterval=1) as name:
        until_replicas(user, name, lambda count: count >= 1)
        until_replicas(user, name, lambda count: count == 3)
        status = user.get(f"{SCALED}/{name}")["status"]
        assert status["resourceMetricNames"] == ["cpu"]


def test_memory_of_an_idle_one_asks_for_no_more(user: User) -> None:
    trigger = {"type": "memory", "metricType": "AverageValue", "metadata": {"value": "1Gi"}}
    resources = {"requests": {"memory": "100Mi"}}
    with scaled(user, trigger, IDLE, resources, minReplicaCount=1, maxReplicaCount=3, pollingInterval=1) as name:
        until_replicas(user, name, lambda count: count == 1)
        health = user.until("a reading", lambda: (user.get(f"{SCALED}/{name}").get("status") or {}).get("health"))
        assert {each["status"] for each in health.values()} == {"Happy"}
        time.sleep(2)
        until_replicas(user, name, lambda count: count == 1)


def test_requests_of_a_service_wake_another_workload(user: User) -> None:
    front = user.deploy(make_service(f"front-{next(_numbers)}"))
    trigger = {"type": "http", "metadata": {"service": front, "targetValue": "10", "window": "1s"}}
    with scaled(user, trigger, pollingInterval=1) as name:
        user.until("it is watched", lambda: (user.get(f"{SCALED}/{name}").get("status") or {}).get("health"))
        time.sleep(4)
        until_replicas(user, name, lambda count: count == 0)
        assert user.call(front).status == 200
        until_replicas(user, name, lambda count: count == 1)
        until_replicas(user, name, lambda count: count == 0)
    user.delete(front)


class Subscriber:
    """Takes events and answers none until it is let; then all."""

    def __init__(self) -> None:
        self.open = threading.Event()
        subscriber = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                subscriber.open.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"


def test_events_that_wait_for_a_trigger_are_pushed(user: User, platform: Platform) -> None:
    user.patch(SINKS, {"data": {"allowed-sinks": "127.0.0.1"}})
    subscriber, name = Subscriber(), f"orders-{next(_numbers)}"
    kind = {"apiVersion": "eventing.knative.dev/v1", "metadata": {"name": name}}
    user.create({**kind, "kind": "Broker"}, BROKERS)
    spec = {"broker": name, "subscriber": {"uri": subscriber.url}}
    user.create({**kind, "kind": "Trigger", "spec": spec}, TRIGGERS)
    trigger = {"type": "pilotlight-backlog", "metadata": {"trigger": name, "backlog": "10"}}
    with scaled(user, trigger, pollingInterval=300) as worker:
        user.until("it is read", lambda: _is_happy(user, worker))
        until_replicas(user, worker, lambda count: count == 0)
        for number in range(25):
            headers = {"Ce-Specversion": "1.0", "Ce-Type": "order", "Ce-Source": "/till", "Ce-Id": str(number)}
            reply = user.call("broker-ingress.localhost", f"/default/{name}", "POST", b"", headers)
            assert reply.status == 202, reply.text
        # Not by a poll: the next one is in five minutes.
        until_replicas(user, worker, lambda count: count >= 2, 10.0)
        subscriber.open.set()
        until_replicas(user, worker, lambda count: count == 0, 30.0)
    for collection in (TRIGGERS, BROKERS):
        user.ask("DELETE", f"{collection}/{name}")
    subscriber.server.shutdown()


def _is_happy(user: User, name: str) -> bool:
    health = (user.get(f"{SCALED}/{name}").get("status") or {}).get("health") or {}
    return bool(health) and {each["status"] for each in health.values()} == {"Happy"}


def test_an_external_scaler_wakes_by_a_push_and_ends_by_one(user: User) -> None:
    script = Scripted([("lag", 0, 5.0, 0, 0.0)], active=False)
    port, loop, ready = [0], asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        async with serving(script) as port[0]:
            ready.set()
            await done.wait()

    async def push(active: bool, value: float) -> None:
        script.active, script.metrics = active, [("lag", 0, 5.0, 0, value)]
        script.pushes.put_nowait(active)

    done = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        trigger = {"type": "external-push", "metadata": {"scalerAddress": f"127.0.0.1:{port[0]}"}}
        with scaled(user, trigger, pollingInterval=300) as name:
            user.until("it listens", script.listening.is_set)
            user.until("it is read", lambda: _is_happy(user, name))
            began = time.monotonic()
            asyncio.run_coroutine_threadsafe(push(True, 22.0), loop).result()
            until_replicas(user, name, bool, 10.0)
            first_s = time.monotonic() - began
            until_replicas(user, name, lambda count: count == 5, 10.0)
            print(
                f"from push to the first: {1000 * first_s:.0f} ms, to all: {1000 * (time.monotonic() - began):.0f} ms"
            )
            asyncio.run_coroutine_threadsafe(push(False, 0.0), loop).result()
            until_replicas(user, name, lambda count: count == 0, 20.0)
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)


def test_a_document_is_checked_with_what_the_platform_has(
    user: User, platform: Platform, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`pilotlight scaler check`: the credentials are the platform's, the file has the ScaledObject alone."""
    folder = tmp_path / "served"
    trigger = {
        "type": "metrics-api",
        "metadata": {"url": "http://127.0.0.1:1/", "valueLocation": "x", "targetValue": "1"},
    }
    told = {**trigger["metadata"], "authMode": "bearer"}
    spec = {
        "scaleTargetRef": {"name": "x"},
        "triggers": [{**trigger, "metadata": told, "authenticationRef": {"name": "t"}}],
    }
    document = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"}, "spec": spec}
    folder.mkdir()
    (folder / "x.yaml").write_text(yaml.safe_dump(document))

    def check() -> list[str]:
        assert run(("--data-dir", platform.running.data_dir, "scaler", "check", "--json", str(folder / "x.yaml"))) == 1
        (report,) = json.loads(capfd.readouterr().out)
        return list(report["triggers"][0]["errors"])

    assert "TriggerAuthentication default/t, which does not exist" in check()[0]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}, "stringData": {"word": "sesame-open"}}
    reference = {"parameter": "token", "name": "t", "key": "word"}
    kind = {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "t"}}
    user.create(secret, "api/v1/namespaces/default/secrets")
    user.create({**kind, "spec": {"secretTargetRef": [reference]}}, AUTHENTICATIONS)
    (error,) = check()
    assert "127.0.0.1:1" in error, "it was asked"
    assert "sesame" not in error
