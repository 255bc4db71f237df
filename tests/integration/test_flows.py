"""A Sequence of three functions and a Parallel of two on a whole platform, applied with the real kubectl.

An event comes in from outside at a Broker, whose Trigger hands it to the Sequence; what that answers goes to the
Parallel, and what comes of its branches to a channel, whose subscriber writes it down. A producer inside the platform
posts to the Sequence by its address.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.support.platform import Platform
from tests.support.user import User, make_function

pytestmark = pytest.mark.kubectl
DEADLINE_S = 60.0

STEP = """
def handle(event):
    return {"specversion": "1.0", "type": "step", "source": "/%(name)s", "id": event["id"] + "%(name)s"}
"""
PASS = """
def handle(event):
    return event if %(condition)s else None
"""
WRITE = """
def handle(event):
    with open(%(path)r, "a") as file:
        file.write(event["id"] + "\\n")
"""
POST = """
import urllib.request

def handle(event):
    fields = {"ce-specversion": "1.0", "ce-id": event["id"], "ce-source": "/inside", "ce-type": "go"}
    urllib.request.urlopen(urllib.request.Request(event["subject"], b"", fields, method="POST")).close()
"""
FUNCTION = "apiVersion: serving.knative.dev/v1, kind: Service, name: "
DOCUMENTS = f"""\
apiVersion: messaging.knative.dev/v1
kind: Channel
metadata: {{name: results}}
---
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {{name: results}}
spec:
  channel: {{apiVersion: messaging.knative.dev/v1, kind: Channel, name: results}}
  subscriber: {{ref: {{{FUNCTION}writer}}}}
---
apiVersion: flows.knative.dev/v1
kind: Parallel
metadata: {{name: split}}
spec:
  branches:
  - filter: {{ref: {{{FUNCTION}short}}}}
    subscriber: {{ref: {{{FUNCTION}s}}}}
  - filter: {{ref: {{{FUNCTION}long}}}}
    subscriber: {{ref: {{{FUNCTION}l}}}}
  reply: {{ref: {{apiVersion: messaging.knative.dev/v1, kind: Channel, name: results}}}}
---
apiVersion: flows.knative.dev/v1
kind: Sequence
metadata: {{name: line}}
spec:
  steps:
  - ref: {{{FUNCTION}a}}
  - ref: {{{FUNCTION}b}}
  - ref: {{{FUNCTION}c}}
  reply: {{ref: {{apiVersion: flows.knative.dev/v1, kind: Parallel, name: split}}}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: line
  annotations: {{eventing.knative.dev/injection: enabled}}
spec:
  broker: default
  filter: {{attributes: {{type: order}}}}
  subscriber: {{ref: {{apiVersion: flows.knative.dev/v1, kind: Sequence, name: line}}}}
"""


def kubectl(platform: Platform, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["kubectl", *arguments], input=stdin, capture_output=True, text=True, env=platform.environment, check=False
    )
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def written(platform: Platform, user: User, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], list[str]]:
    """Everything applied and ready; so many lines of what the last function wrote, once there are so many."""
    folder = tmp_path_factory.mktemp("functions")
    path = folder / "written"
    sources = {name: STEP % {"name": name} for name in "abcsl"}
    sources["short"] = PASS % {"condition": 'len(event["id"]) < 6'}
    sources["long"] = PASS % {"condition": 'len(event["id"]) >= 6'}
    sources["writer"] = WRITE % {"path": str(path)}
    sources["poster"] = POST
    for name, source in sources.items():
        (folder / name).mkdir()
        (folder / name / "main.py").write_text(source)
        user.create(make_function(name, folder / name))
    kubectl(platform, "apply", "-f", "-", stdin=DOCUMENTS)
    kubectl(platform, "wait", "--for=condition=Ready", "ksvc", "--all", "--timeout=60s")
    everything = ["channel/results", "subscription/results", "parallel/split", "sequence/line", "trigger/line"]
    kubectl(platform, "wait", "--for=condition=Ready", *everything, "--timeout=60s")

    def lines(count: int) -> list[str]:
        deadline = time.monotonic() + DEADLINE_S
        while not path.exists() or len(found := path.read_text().splitlines()) < count:
            assert time.monotonic() < deadline, path.read_text() if path.exists() else "nothing was written"
            time.sleep(0.05)
        return found

    return lines


def emit(user: User, id: str, **attributes: str) -> None:
    event = {"specversion": "1.0", "id": id, "source": "/test", "type": "order", **attributes}
    fields = {"Content-Type": "application/cloudevents+json"}
    reply = user.call("broker-ingress.localhost", "/default/default", "POST", json.dumps(event), fields)
    assert reply.status == 202, reply.text


def test_events_go_through_a_sequence_and_a_parallel(
    platform: Platform, user: User, written: Callable[[int], list[str]]
) -> None:
    emit(user, "1")
    emit(user, "1234")
    emit(user, "9", type="other")
    assert sorted(written(2)) == ["1234abcl", "1abcs"]
    shown = kubectl(platform, "get", "sequence,parallel,channel,subscription,trigger,eventtype", "--no-headers")
    rows = [line.split() for line in shown.splitlines() if line]
    assert all("True" in row for row in rows), shown
    assert "http://line-kn-sequence-0-kn-channel.default.svc.cluster.local" in shown
    types = kubectl(platform, "get", "eventtypes", "-o", "jsonpath={.items[*].spec.attributes[0].value}")
    assert {"order", "other"} <= set(types.split())


def test_an_instance_reaches_a_flow_by_its_address(
    platform: Platform, user: User, written: Callable[[int], list[str]]
) -> None:
    before = len(written(1))
    url = kubectl(platform, "get", "sequence", "line", "-o", "jsonpath={.status.address.url}")
    fields = {"ce-specversion": "1.0", "ce-id": "in", "ce-source": "/test", "ce-type": "go", "ce-subject": url}
    assert user.call("poster", "/", "POST", "", fields).status < 300
    assert "inabcs" in written(before + 1)
