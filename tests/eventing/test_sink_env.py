"""What SinkBindings put into containers: as tables, and as admission asks."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.apiserver.admission import admit_create
from core.resources.batch import JOB
from core.resources.kinds import KINDS
from core.resources.meta import AdmissionContext, Json, Kind, ObjectKey
from core.resources.serving import SERVICE
from core.resources.workloads import DEPLOYMENT
from eventing.sink_env import SUBJECTS, Bindings, make_binding, matches, set_environment

K_SINK = {"name": "K_SINK", "value": "http://sink/"}
NO_OVERRIDES = {"name": "K_CE_OVERRIDES", "value": ""}


def binding(name: str = "b", created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Json:
    subject = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": created},
        "spec": {"subject": subject, "sink": {"uri": "http://sink/"}, **spec},
    }


def deployment(name: str = "web", namespace: str = "default", labels: Json | None = None, env: Any = None) -> Json:
    main: Json = {"name": "main", "image": "x"} | ({"env": env} if env is not None else {})
    pod = {"initContainers": [{"name": "first", "image": "x"}], "containers": [main]}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {"template": {"spec": pod}},
    }


@pytest.mark.parametrize(
    ("label", "subject", "kind", "obj", "meant"),
    [
        ("by name", {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, DEPLOYMENT, deployment(), True),
        ("another name", {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}, DEPLOYMENT, deployment(), False),
        ("another kind", {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, JOB, deployment(), False),
        ("another group", {"apiVersion": "v1", "kind": "Deployment", "name": "web"}, DEPLOYMENT, deployment(), False),
        ("another namespace", {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, DEPLOYMENT,
         deployment(namespace="other"), False),
        ("by labels", {"apiVersion": "batch/v1", "kind": "Job", "selector": {"matchLabels": {"a": "b"}}}, JOB,
         deployment(labels={"a": "b"}), True),
        ("other labels", {"apiVersion": "batch/v1", "kind": "Job", "selector": {"matchLabels": {"a": "b"}}}, JOB,
         deployment(labels={"a": "c"}), False),
        ("all", {"apiVersion": "batch/v1", "kind": "Job", "selector": {}}, JOB, deployment(), True),
        ("neither", {"apiVersion": "batch/v1", "kind": "Job"}, JOB, deployment(), False),
        ("excluded", {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, DEPLOYMENT,
         deployment(labels={"bindings.knative.dev/exclude": "true"}), False),
    ],
)  # fmt: skip
def test_who_is_meant(label: str, subject: Json, kind: Kind[Any], obj: Json, meant: bool) -> None:
    assert matches(subject, "default", kind, obj) is meant, label


def test_every_container_is_told_once_and_keeps_what_it_has() -> None:
    given = binding(ceOverrides={"extensions": {"team": "blue"}}, sink={"uri": "http://sink/", "CACerts": "PEM"})
    bindings, obj = Bindings(), deployment(env=[{"name": "A", "value": "1"}, {"name": "K_SINK", "value": "old"}])
    bindings.put(make_binding(given, "http://sink/"))
    for _ in range(2):
        bindings.inject(DEPLOYMENT, obj)
        pod = obj["spec"]["template"]["spec"]
        told = [
            K_SINK,
            {"name": "K_CE_OVERRIDES", "value": '{"extensions":{"team":"blue"}}'},
            {"name": "K_CA_CERTS", "value": "PEM"},
        ]
        assert pod["containers"][0]["env"] == [{"name": "A", "value": "1"}, *told]
        assert pod["initContainers"][0]["env"] == told
    set_environment(obj, ())
    assert obj["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]
    assert "env" not in obj["spec"]["template"]["spec"]["initContainers"][0]


def test_the_oldest_binding_counts_and_one_that_goes_leaves_its_place() -> None:
    bindings, obj = Bindings(), deployment()
    bindings.put(make_binding(binding("a", "2026-01-02T00:00:00Z"), "http://young/"))
    bindings.put(make_binding(binding("b", "2026-01-01T00:00:00Z"), "http://old/"))
    assert (bindings.of(DEPLOYMENT, obj) or make_binding(binding(), "")).key.name == "b"
    bindings.drop(ObjectKey("default", "b"))
    assert (bindings.of(DEPLOYMENT, obj) or make_binding(binding(), "")).key.name == "a"
    bindings.drop(ObjectKey("default", "a"))
    assert bindings.of(DEPLOYMENT, obj) is None


def test_every_kind_with_the_template_of_a_pod_can_be_bound() -> None:
    templated = {
        kind
        for kind in KINDS
        if (spec := kind.model.model_fields.get("spec")) is not None
        and (template := getattr(spec.annotation, "model_fields", {}).get("template")) is not None
        and "Template" in str(template.annotation)
    }
    assert {kind.kind for kind in templated} - {kind.kind for kind in SUBJECTS} == {"ContainerSource"}


def test_admission_puts_it_in_before_the_rules() -> None:
    bindings = Bindings()
    subject = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}
    bindings.put(make_binding(binding(subject=subject), "http://sink/"))
    service = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"template": {"spec": {"containers": [{"image": "x:1"}]}}},
    }
    context = AdmissionContext(mutate=bindings.inject)
    admitted = admit_create(SERVICE, copy.deepcopy(service), context, "Strict").obj
    assert admitted["spec"]["template"]["spec"]["containers"][0]["env"] == [K_SINK, NO_OVERRIDES]
