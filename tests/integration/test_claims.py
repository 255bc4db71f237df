"""PersistentVolumeClaims by the real kubectl on a running platform: what functions write outlives all of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_failing_platform import kill, platform_on
from tests.support.kubectl import Kubectl
from tests.support.platform import Platform
from tests.support.user import QUICK_SLEEP, User, condition, hurry, make_function, make_service

pytestmark = [pytest.mark.kubectl, pytest.mark.usefixtures("nothing_left_running")]
WRITER = """
import os
from pathlib import Path

async def app(scope, receive, send):
    assert scope["type"] == "http"
    log = Path(os.environ["DATA"], "log")
    text = (log.read_text() if log.exists() else "") + "x"
    log.write_text(text)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
"""
"""Answers as many letters as have been asked for, whoever answered before."""
SERVER = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        log = pathlib.Path(os.environ["DATA"], "log")
        text = (log.read_text() if log.exists() else "") + "x"
        log.write_text(text)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
NOT_FOUND = '0/1 nodes are available: persistentvolumeclaim "later" not found.'


@pytest.fixture
def kubectl(platform: Platform) -> Kubectl:
    return Kubectl(platform)


def claim(name: str, **spec: Any) -> dict[str, Any]:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted}


def mounted(service: dict[str, Any], name: str, at: Path) -> dict[str, Any]:
    """The service with the claim in that place."""
    spec = service["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": str(at)}]
    spec["containers"][0]["env"] = [{"name": "DATA", "value": str(at)}]
    return service


def process(name: str, **spec: Any) -> dict[str, Any]:
    return make_service(name, (sys.executable, "-S", "-c", SERVER), annotations=QUICK_SLEEP, **spec)


def python(name: str, folder: Path) -> dict[str, Any]:
    (folder / "main.py").write_text(WRITER)
    return make_function(name, folder, annotations=QUICK_SLEEP)


@pytest.mark.parametrize("runtime", ["process", "python"])
def test_what_a_function_writes_is_there_after_its_sleep(
    kubectl: Kubectl, user: User, tmp_path: Path, runtime: str
) -> None:
    kubectl.apply(claim(runtime))
    (tmp_path / "function").mkdir()
    service = process(runtime) if runtime == "process" else python(runtime, tmp_path / "function")
    name = user.deploy(mounted(service, runtime, tmp_path / "data"))
    assert user.call(name).text == "x"
    assert f"Used By:       {user.pods(name)[0]['metadata']['name']}" in kubectl("describe", "pvc", runtime)
    user.until_asleep(name)
    assert user.call(name).text == "xx"
    assert not (tmp_path / "data/log").exists(), "only its instances see it there"


def test_what_kubectl_shows(kubectl: Kubectl) -> None:
    kubectl.apply(claim("shown"))
    kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/shown", "--timeout=20s")
    header, row = kubectl("get", "pvc", "shown").splitlines()
    columns = "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE"
    assert " ".join(header.split()) == columns
    volume = kubectl.get("pvc", "shown")["spec"]["volumeName"]
    assert row.split()[:6] == ["shown", "Bound", volume, "1Gi", "RWO", "standard"]
    header, row = kubectl("get", "pv", volume).splitlines()
    columns = "NAME CAPACITY ACCESS MODES RECLAIM POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE"
    assert " ".join(header.split()) == columns
    assert row.split()[:7] == [volume, "1Gi", "RWO", "Delete", "Bound", "default/shown", "standard"]
    (row,) = kubectl("get", "sc", "--no-headers").splitlines()
    assert row.split()[:6] == ["standard", "(default)", "pilotlight.dev/folder", "Delete", "Immediate", "true"]
    kubectl("patch", "pvc", "shown", "-p", '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}')
    kubectl("wait", "--for=jsonpath={.status.capacity.storage}=2Gi", "pvc/shown", "--timeout=20s")
    kubectl("delete", "pvc", "shown", "--timeout=20s")
    kubectl("wait", "--for=delete", f"pv/{volume}", "--timeout=20s")


def test_who_waits_for_a_claim_says_so_and_goes_on_with_it(kubectl: Kubectl, user: User, tmp_path: Path) -> None:
    user.create(mounted(process("early"), "later", tmp_path / "data"))
    ready = condition(user.until_failed("early"))
    assert NOT_FOUND in ready["message"]
    kubectl.apply(claim("later", storageClassName="unknown"))
    said = 'storageclass.storage.k8s.io "unknown" not found'
    user.until("it is told why", lambda: said in kubectl("describe", "pvc", "later"))
    kubectl("delete", "pvc", "later")
    kubectl.apply(claim("later"))
    user.until_ready("early")
    assert user.call("early").text == "x"


def test_a_sleeper_does_not_hold_its_claim_and_is_told_of_it(kubectl: Kubectl, user: User, tmp_path: Path) -> None:
    kubectl.apply(claim("loose"))
    name = user.deploy(mounted(process("sleeper"), "loose", tmp_path / "data"))
    assert user.call(name).text == "x"
    user.until_asleep(name)
    kubectl("delete", "pvc", "loose", "--timeout=20s")
    reply = user.call(name)
    assert (reply.status, reply.headers["content-type"]) == (503, "application/problem+json")
    assert 'persistentvolumeclaim "loose" not found' in reply.json["detail"]
    kubectl.apply(claim("loose"))
    assert user.until("it has its claim again", lambda: user.call(name).text == "x"), "a new claim begins empty"


def test_a_claim_and_its_data_stay_while_a_pod_uses_them(
    kubectl: Kubectl, user: User, platform: Platform, tmp_path: Path
) -> None:
    kubectl.apply(claim("held"))
    name = user.deploy(mounted(process("holder"), "held", tmp_path / "data"))
    assert user.call(name).text == "x"
    volume = kubectl.get("pvc", "held")["spec"]["volumeName"]
    folder = platform.data_dir.claims / f"{volume}_default_held"
    assert (folder / "log").read_text() == "x"
    kubectl("delete", "pvc", "held", "--wait=false")
    assert kubectl("get", "pvc", "held", "--no-headers").split()[1] == "Terminating"
    assert user.call(name).text == "xx"
    user.delete(name)
    kubectl("wait", "--for=delete", "pvc/held", f"pv/{volume}", "--timeout=30s")
    assert not folder.exists()


def test_a_volume_made_by_hand(kubectl: Kubectl, user: User, tmp_path: Path) -> None:
    """The documents of https://kubernetes.io/docs/tasks/configure-pod-container/configure-persistent-volume-storage."""
    folder = tmp_path / "mnt"
    folder.mkdir()
    (folder / "index.html").write_text("Hello from Kubernetes storage")
    spec = {
        "storageClassName": "manual",
        "capacity": {"storage": "10Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": str(folder)},
    }
    labels = {"name": "task-pv-volume", "labels": {"type": "local"}}
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": labels, "spec": spec}
    asked = {"requests": {"storage": "3Gi"}}
    kubectl.apply(volume, claim("task-pv-claim", storageClassName="manual", resources=asked))
    kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/task-pv-claim", "--timeout=20s")
    job = {"restartPolicy": "Never", "runtimeClassName": "process"}
    job["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "task-pv-claim", "readOnly": True}}]
    at = tmp_path / "seen"
    script = f"cat {at}/index.html; touch {at}/new || echo closed"
    mounts = [{"name": "v", "mountPath": str(at)}]
    job["containers"] = [{"name": "m", "image": "any", "command": ["/bin/sh", "-c", script], "volumeMounts": mounts}]
    kubectl.apply(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "reader"}, "spec": {"template": {"spec": job}}}
    )
    kubectl("wait", "--for=condition=complete", "job/reader", "--timeout=30s")
    assert "Hello from Kubernetes storage" in kubectl("logs", "job/reader")
    assert "closed" in kubectl("logs", "job/reader")
    kubectl("delete", "job", "reader")
    kubectl("delete", "pvc", "task-pv-claim", "--timeout=30s")
    kubectl("wait", "--for=jsonpath={.status.phase}=Released", "pv/task-pv-volume", "--timeout=20s")
    kubectl("delete", "pv", "task-pv-volume", "--timeout=20s")
    assert (folder / "index.html").exists()


def test_what_is_refused_names_the_field(kubectl: Kubectl) -> None:
    for change, sentence in (
        ({"accessModes": []}, "spec.accessModes: Required value: at least 1 access mode is required"),
        ({"resources": {}}, "spec.resources[storage]: Required value"),
    ):
        with pytest.raises(AssertionError) as refusal:
            kubectl("create", "-f", "-", stdin=json.dumps(claim("bad", **change)))
        assert sentence in str(refusal.value)


def test_data_outlives_a_platform_that_is_killed(tmp_path: Path) -> None:
    platform = platform_on(tmp_path)
    user = User(platform)
    hurry(user)
    Kubectl(platform).apply(claim("data"))
    user.deploy(mounted(process("counter"), "data", tmp_path / "mount"))
    assert user.call("counter").text == "x"
    kill(platform)
    again = User(platform_on(tmp_path))
    assert again.call("counter").text == "xx"
