"""Jobs by the real kubectl on a running platform, as processes."""

from __future__ import annotations

import json

import pytest

from tests.support.kubectl import Kubectl
from tests.support.platform import Platform

pytestmark = pytest.mark.kubectl


@pytest.fixture
def kubectl(platform: Platform) -> Kubectl:
    return Kubectl(platform)


def job(name: str, script: str, **spec: object) -> str:
    container = {"name": "main", "image": "any", "command": ["/bin/sh", "-c", script]}
    pod = {"restartPolicy": "Never", "runtimeClassName": "process", "containers": [container]}
    return json.dumps(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"template": {"spec": pod}, **spec},
        }
    )


def test_a_job_completes_and_its_log_can_be_read(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=job("hello", "echo well done", completions=3, parallelism=2))
    kubectl("wait", "--for=condition=complete", "job/hello", "--timeout=30s")
    assert kubectl("logs", "job/hello").strip() == "well done"
    found = kubectl.get("job", "hello")
    assert found["status"]["succeeded"] == 3
    pods = kubectl.get("pods", "-l", "job-name=hello")["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Succeeded"] * 3
    assert kubectl("get", "job", "hello", "--no-headers").split()[:3] == ["hello", "Complete", "3/3"]
    assert "Completed" in kubectl("describe", "job", "hello")
    kubectl("delete", "job", "hello", "--wait")
    kubectl("wait", "--for=delete", "pod", "-l", "job-name=hello", "--timeout=20s")
    assert kubectl.get("pods", "-l", "job-name=hello")["items"] == []


def test_a_job_that_fails_says_so(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=job("bad", "echo no luck; exit 3", backoffLimit=0))
    kubectl("wait", "--for=condition=failed", "job/bad", "--timeout=30s")
    status = kubectl.get("job", "bad")["status"]
    assert (status["failed"], status["conditions"][-1]["reason"]) == (1, "BackoffLimitExceeded")
    assert kubectl("logs", "job/bad").strip() == "no luck"


def test_kubectl_create_job_and_a_deadline(kubectl: Kubectl) -> None:
    made = kubectl("create", "job", "made", "--image=any", "--dry-run=client", "-o", "json", "--", "/bin/sleep", "60")
    document = json.loads(made)
    document["spec"]["template"]["spec"]["runtimeClassName"] = "process"
    document["spec"]["activeDeadlineSeconds"] = 1
    kubectl("create", "-f", "-", stdin=json.dumps(document))
    kubectl("wait", "--for=condition=failed", "job/made", "--timeout=40s")
    assert kubectl.get("job", "made")["status"]["conditions"][-1]["reason"] == "DeadlineExceeded"


def test_suspend_and_resume(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=job("held", "echo went on", suspend=True))
    kubectl("wait", "--for=condition=suspended", "job/held", "--timeout=20s")
    assert kubectl.get("pods", "-l", "job-name=held")["items"] == []
    kubectl("patch", "job/held", "--type=merge", '-p={"spec":{"suspend":false}}')
    kubectl("wait", "--for=condition=complete", "job/held", "--timeout=30s")


def test_it_goes_when_its_time_is_over(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=job("brief", "true", ttlSecondsAfterFinished=1))
    kubectl("wait", "--for=delete", "job/brief", "--timeout=30s")
