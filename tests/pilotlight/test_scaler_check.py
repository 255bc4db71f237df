"""Documents judged and tried out, with triggers that say what a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from core.errors import NotFound, TemporaryError
from core.resources.meta import Json, Kind, ObjectKey
from pilotlight.scaler_check import INSIDE, Beside, Checker, ObjectReport, as_json
from scalers.readings import Quality, Reading
from scalers.registry import SCALERS
from tests.support.clock import FakeClock
from tests.support.scripted_scaler import MODULE, TYPE, Script, script

SECRET = "sesame-open"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders}
spec:
  selector: {matchLabels: {app: orders}}
  template:
    metadata: {labels: {app: orders}}
    spec:
      containers:
      - {name: main, image: x, env: [{name: HOST, value: "broker:1"}]}
"""
AUTHENTICATION = f"""
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {{name: credentials}}
spec: {{secretTargetRef: [{{parameter: password, name: words, key: password}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: words}}
stringData: {{password: {SECRET}}}
"""


def scaled_object(*triggers: Json, **spec: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "orders"},
            "spec": {"scaleTargetRef": {"name": "orders"}, "triggers": list(triggers), **spec},
        }
    )


def trigger(type_: str = TYPE, *, authenticated: bool = False, **metadata: str) -> Json:
    told: Json = {"type": type_, "metadata": {"queue": "orders", **metadata} if type_ == TYPE else metadata}
    return {**told, "authenticationRef": {"name": "credentials"}} if authenticated else told


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setitem(SCALERS, TYPE, MODULE)  # type: ignore[arg-type]
    return script()


def checked(*texts: str, beside: Beside | None = None, reads: bool = True) -> Sequence[ObjectReport]:
    documents = [each for each in yaml.safe_load_all("\n---\n".join(texts)) if each]
    return asyncio.run(Checker(FakeClock(), "shop", beside, reads=reads).check(documents))


def test_what_it_would_mean_in_replicas(scripted: Script) -> None:
    scripted.readings = [Reading(35.0), Reading(0.0, note="nothing")]
    (report,) = checked(DEPLOYMENT, scaled_object(trigger(size="10"), maxReplicaCount=3))
    assert not report.is_wrong
    assert (report.kind, str(report.key)) == ("ScaledObject", "shop/orders")
    first, second = report.triggers[0].metrics
    assert (first.name, first.value, first.target, first.active, first.replicas) == ("s0-q-orders", 35, 10, True, 4)
    assert (second.name, second.active, second.replicas, second.note) == ("s0-q1-orders", False, 0, "nothing")
    assert (report.replicas, report.least, report.most) == (3, 0, 3)
    assert scripted.closed == 1


def test_credentials_and_variables_come_from_the_file_and_are_shown_nowhere(scripted: Script) -> None:
    scripted.error = TemporaryError(f"the broker refuses {SECRET}")
    texts = (DEPLOYMENT, AUTHENTICATION, scaled_object(trigger(authenticated=True, hostFromEnv="HOST")))
    (report,) = checked(*texts)
    (made,) = scripted.made
    assert (dict(made.auth), dict(made.env)) == ({"password": SECRET}, {"HOST": "broker:1"})
    assert report.triggers[0].errors == ["the broker refuses ***"]
    assert SECRET not in str(as_json(report))
    assert report.is_wrong
    assert report.replicas is None


def test_what_is_not_in_the_file_is_sought_beside_it(scripted: Script) -> None:
    there = {each["kind"]: each for each in yaml.safe_load_all(f"{DEPLOYMENT}\n---\n{AUTHENTICATION}")}
    there["Secret"]["data"] = {"password": "c2VzYW1lLW9wZW4="}

    async def beside(kind: Kind[Any], key: ObjectKey) -> Json:
        if kind.kind not in there:
            raise NotFound(f"no {kind.kind} {key}")
        assert key.namespace == "shop"
        return there[kind.kind]

    (report,) = checked(scaled_object(trigger(authenticated=True, hostFromEnv="HOST")), beside=beside)
    assert not report.is_wrong, report
    assert scripted.made[0].auth == {"password": SECRET}
    assert report.warnings == []


@pytest.mark.parametrize(
    ("texts", "errors", "warnings"),
    [
        pytest.param([DEPLOYMENT, scaled_object(trigger(), minReplicaCount=9, maxReplicaCount=3)],
                     ["spec.minReplicaCount: Invalid value: 9: must be less"], [], id="a rule of the kind"),
        pytest.param([DEPLOYMENT, scaled_object(trigger(), maxReplicas=3)],
                     ['unknown field "spec.maxReplicas": kubectl apply refuses it'], [], id="an unknown field"),
        pytest.param([DEPLOYMENT, scaled_object(trigger()).replace("keda.sh/v1alpha1", "keda.k8s.io/v1alpha1")],
                     ["apiVersion: is 'keda.k8s.io/v1alpha1', must be keda.sh/v1alpha1"], [], id="KEDA 1's"),
        pytest.param([DEPLOYMENT, scaled_object({"type": TYPE, "metadata": {"queue": "q", "size": 5}})], [],
                     ["spec.triggers[0].metadata: size: taken as if quoted"], id="a number"),
        pytest.param([DEPLOYMENT, scaled_object(trigger(qeue="x"))], [],
                     ["unknown parameter 'qeue' has no effect; did you mean 'queue'?"], id="an unknown parameter"),
        pytest.param([scaled_object(trigger())], [], ["there is no Deployment orders"], id="no target"),
        pytest.param([DEPLOYMENT, DEPLOYMENT], ["is in the file twice"], [], id="twice"),
    ],
)  # fmt: skip
def test_what_the_platform_would_say(texts: list[str], errors: list[str], warnings: list[str]) -> None:
    reports = checked(*texts)
    said = [error for report in reports for error in report.errors]
    warned = [warning for report in reports for warning in report.warnings]
    assert len(said) == len(errors), said
    assert all(any(words in each for each in said) for words in errors), said
    assert all(any(words in each for each in warned) for words in warnings), warned


@pytest.mark.parametrize(
    ("made", "errors"),
    [
        pytest.param(
            trigger(size="0"), ["spec.triggers[0].metadata.size: is '0', must be greater than 0.0"], id="a number"
        ),
        pytest.param(trigger("kafkaa"), ["spec.triggers[0].type: type 'kafkaa' is not known"], id="a type"),
        pytest.param({"type": TYPE, "metadata": {}}, ["metadata.queue: is required"], id="missing"),
        pytest.param(trigger(authenticated=True), ["TriggerAuthentication shop/credentials"], id="no credentials"),
    ],
)
def test_what_is_wrong_in_a_trigger_is_said_once(made: Json, errors: list[str]) -> None:
    (report,) = checked(DEPLOYMENT, scaled_object(made))
    assert report.is_wrong
    assert len(report.triggers[0].errors) == len(errors)
    assert all(words in said for words, said in zip(errors, report.triggers[0].errors, strict=True)), report
    assert not set(report.triggers[0].errors) & set(report.warnings)


def test_offline_nothing_is_read_and_nothing_missing_is_wrong(scripted: Script) -> None:
    text = scaled_object(trigger(authenticated=True), trigger(hostFromEnv="HOST"), trigger(size="0"))
    (report,) = checked(text, reads=False)
    unresolved, made, wrong = report.triggers
    assert "TriggerAuthentication shop/credentials" in unresolved.note
    assert (unresolved.errors, made.errors, made.metrics) == ((), (), [])
    assert wrong.errors
    assert scripted.reads == 0
    (report,) = checked(DEPLOYMENT, scaled_object(trigger()), reads=False)
    assert not report.is_wrong


def test_what_is_measured_in_a_platform_is_not_read_here() -> None:
    (report,) = checked(DEPLOYMENT, scaled_object(trigger("kubernetes-workload", podSelector="app=x", value="1")))
    assert (report.triggers[0].note, report.replicas, report.is_wrong) == (INSIDE, None, False)


def test_a_part_is_at_least_so_much(scripted: Script) -> None:
    scripted.readings = [Reading(0.0, quality=Quality.PARTIAL)]
    (report,) = checked(DEPLOYMENT, scaled_object(trigger()))
    assert report.triggers[0].metrics[0].active is None


def test_jobs_are_tried_too(scripted: Script) -> None:
    container = {"name": "main", "image": "x", "env": [{"name": "HOST", "value": "broker:1"}]}
    job = {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}
    document = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledJob",
        "metadata": {"name": "orders"},
        "spec": {"jobTargetRef": job, "triggers": [trigger(hostFromEnv="HOST")]},
    }
    (report,) = checked(yaml.safe_dump(document))
    assert not report.is_wrong, report
    assert report.triggers[0].metrics[0].replicas == 4
    assert scripted.made[0].env == {"HOST": "broker:1"}
    assert report.replicas is None


def test_what_is_unknown_does_not_keep_its_triggers_from_being_read(scripted: Script) -> None:
    scripted.readings = [Reading(35.0), Reading(0.0)]
    (report,) = checked(DEPLOYMENT, scaled_object(trigger(size="10"), maxReplicas=3))
    assert report.is_wrong
    assert report.replicas == 4


def test_an_authentication_that_is_not_there_is_told_of_once() -> None:
    (report,) = checked(DEPLOYMENT, scaled_object(trigger(authenticated=True)))
    assert report.warnings == []
    assert len(report.triggers[0].errors) == 1
