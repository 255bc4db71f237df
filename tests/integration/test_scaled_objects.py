"""A ScaledObject on a whole platform, by the real kubectl: a Deployment of processes goes 0 → N → 0, and says why."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.kubectl import Kubectl
from tests.support.platform import Platform
from tests.support.user import User

pytestmark = pytest.mark.kubectl

DEADLINE_S = 40.0
SCALED_OBJECT = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: followers
spec:
  scaleTargetRef:
    name: followers
  pollingInterval: 1
  cooldownPeriod: 2
  maxReplicaCount: 4
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown:
          stabilizationWindowSeconds: 0
  triggers:
  - type: kubernetes-workload
    metadata:
      podSelector: app=leaders
      value: "0.5"
"""


@pytest.fixture
def kubectl(platform: Platform) -> Iterator[Kubectl]:
    kubectl = Kubectl(platform)
    yield kubectl
    kubectl("delete", "so,deploy", "--all", "--timeout=20s")


def deployment(name: str, replicas: int) -> dict[str, Any]:
    container = {"name": "app", "image": "any", "command": ["/bin/sleep", "3600"]}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"runtimeClassName": "process", "terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def shell(platform: Platform, *arguments: str) -> str:
    command = [sys.executable, "-m", "pilotlight", *arguments]
    done = subprocess.run(command, env=platform.environment, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


def test_from_zero_and_back_and_why(platform: Platform, kubectl: Kubectl) -> None:
    kubectl.apply(deployment("leaders", 0), deployment("followers", 0))
    kubectl("apply", "-f", "-", stdin=SCALED_OBJECT)
    kubectl("wait", "--for=condition=Ready", "so/followers", "--timeout=20s")
    columns = kubectl("get", "so", "followers", "--no-headers").split()
    assert columns[:3] == ["followers", "apps/v1.Deployment", "followers"]

    def ready(name: str) -> int:
        return int(kubectl.get("deploy", name)["status"].get("readyReplicas", 0))

    kubectl("scale", "deploy/leaders", "--replicas=1")
    until(lambda: ready("followers") == 2, "two for one")
    assert kubectl("get", "so", "followers", "--no-headers").split()[3:6] == ["4", "True", "True"]
    kubectl("scale", "deploy/leaders", "--replicas=3")
    until(lambda: ready("followers") == 4, "no more than four")
    said = shell(platform, "explain", "so/followers")
    assert re.search(r"scale [01] → 2.*: s0-workload-default 1 / 0.5 = 2", said), said
    assert "limited by maxReplicaCount 4" in said
    assert "changes next" in said
    (row,) = json.loads(shell(platform, "top", "--json"))["scaledObjects"]
    assert (row["name"], row["desired"], row["triggers"][0]["value"]) == ("followers", 4, 3.0)
    assert "SCALEDOBJECT" in shell(platform, "top", "--once")
    kubectl("scale", "deploy/leaders", "--replicas=0")
    until(lambda: kubectl.get("pods", "-l", "app=followers")["items"] == [], "none for none")
    assert "cooldownPeriod" in shell(platform, "explain", "scaledobject/followers", "--last", "40")
    events = {event["reason"]: event["message"] for event in kubectl.get("events")["items"]}
    assert events["KEDAScaleTargetActivated"].startswith("Scaled apps/v1.Deployment default/followers from 0 to ")
    assert events["KEDAScaleTargetDeactivated"].endswith(" to 0")
    assert "KEDAScaleTargetActivated" in kubectl("describe", "so", "followers")
    metrics = User(platform).ask("GET", "metrics").text
    assert 'keda_trigger_registered_total{type="kubernetes-workload"} 1' in metrics


def test_tools_find_the_autoscaler_that_they_look_for(kubectl: Kubectl) -> None:
    name = "keda-hpa-followers"
    kubectl.apply(deployment("leaders", 1), deployment("followers", 0))
    kubectl("apply", "-f", "-", stdin=SCALED_OBJECT)
    until(lambda: name in kubectl("get", "hpa", "-o", "name"), "it is made")
    kubectl("wait", "--for=jsonpath={.status.currentReplicas}=2", f"hpa/{name}", "--timeout=20s")
    assert kubectl("get", "so", "followers", "-o", "jsonpath={.status.hpaName}") == name
    header, row = (re.split(r"\s{2,}", line.strip()) for line in kubectl("get", "hpa").splitlines())
    assert header == ["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"]
    assert row[:-1] == [name, "Deployment/followers", "500m/500m (avg)", "1", "4", "2"]
    assert f"horizontalpodautoscaler.autoscaling/{name}" in kubectl("get", "all")
    said = re.sub(r"[ \t]+", " ", kubectl("describe", "hpa", name))
    assert '"s0-workload-default" (target average value): 500m / 500m' in said
    assert "Deployment pods: 2 current / 2 desired" in said
    assert "ScalingActive True ValidMetricFound the HPA was able to successfully calculate a replica count" in said
    assert "Controlled By: ScaledObject/followers" in said or "app.kubernetes.io/managed-by=keda-operator" in said
    kubectl("scale", "deploy/leaders", "--replicas=9")
    kubectl("wait", "--for=condition=ScalingLimited", f"hpa/{name}", "--timeout=20s")
    kubectl("delete", "hpa", name)
    until(lambda: name in kubectl("get", "hpa", "-o", "name"), "it comes back")
    kubectl("annotate", "so", "followers", "autoscaling.keda.sh/paused=true")
    kubectl("wait", "--for=delete", f"hpa/{name}", "--timeout=20s")
    kubectl("annotate", "so", "followers", "autoscaling.keda.sh/paused-")
    until(lambda: name in kubectl("get", "hpa", "-o", "name"), "it comes back after a pause")
    kubectl("delete", "so", "followers", "--timeout=20s")
    kubectl("wait", "--for=delete", f"hpa/{name}", "--timeout=20s")


DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: NAME}
spec:
  group: keda.sh
  names: {kind: ScaledObject, listKind: ScaledObjectList, plural: scaledobjects, singular: scaledobject}
  scope: Namespaced
  versions:
  - {name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}, subresources: {status: {}}}
"""


def test_the_kinds_are_where_installers_look_for_them(kubectl: Kubectl) -> None:
    name = "scaledobjects.keda.sh"
    assert f"customresourcedefinition.apiextensions.k8s.io/{name}" in kubectl("get", "crd", "-o", "name").split()
    kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=5s")
    before = kubectl.get("crd", name)["spec"]
    kubectl("apply", "-f", "-", stdin=DEFINITION.replace("NAME", name))
    assert kubectl.get("crd", name)["spec"] == before
    for words in (("delete", "crd", name), ("apply", "-f", "-")):
        with pytest.raises(AssertionError, match="built in"):
            kubectl(*words, stdin=DEFINITION.replace("NAME", "things.example.com"))


def test_what_there_was_is_put_back_where_that_is_asked_for(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("leaders", 1), deployment("followers", 3))
    said = SCALED_OBJECT.replace("  advanced:\n", "  advanced:\n    restoreToOriginalReplicaCount: true\n")
    kubectl("apply", "-f", "-", stdin=said)
    until(lambda: kubectl.get("deploy", "followers")["spec"]["replicas"] == 2, "two for one")
    assert kubectl.get("so", "followers")["status"]["originalReplicaCount"] == 3
    kubectl("delete", "so", "followers", "--timeout=20s")
    assert kubectl.get("deploy", "followers")["spec"]["replicas"] == 3


def test_a_target_that_is_missing_is_said(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=SCALED_OBJECT)
    conditions = ("get", "so", "followers", "-o", "jsonpath={.status.conditions}")
    until(lambda: "Target resource doesn't exist" in kubectl(*conditions), "said in the condition")
