"""Unknown fields, wrong types, metadata, rules: what a document goes through before it is stored."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from core.apiserver.admission import admit_create, admit_update
from core.apiserver.duplicates import duplicate_fields
from core.apiserver.metadata_rules import validate_metadata
from core.errors import BadRequest, Conflict, FieldProblem, Invalid
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.keda_auth import TRIGGER_AUTHENTICATION
from core.resources.meta import AdmissionContext, Json, Kind
from core.resources.networking import INGRESS
from core.resources.serving import SERVICE
from core.resources.workloads import DEPLOYMENT

CONTEXT = AdmissionContext()


def deployment(**spec: Any) -> Json:
    container = {"name": "a", "image": "x:1", "resources": {}}
    template = {"metadata": {"creationTimestamp": None, "labels": {"app": "a"}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default", "creationTimestamp": None},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template, **spec},
        "status": {},
    }


def stored(**spec: Any) -> Json:
    obj = admit_create(DEPLOYMENT, deployment(**spec), CONTEXT, "Strict").obj
    obj["metadata"] |= {
        "uid": "u",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "resourceVersion": "7",
        "generation": 1,
    }
    return obj


def test_a_document_is_admitted_with_defaults_and_without_nulls_or_status() -> None:
    document = deployment()
    before = copy.deepcopy(document)
    admitted = admit_create(DEPLOYMENT, document, CONTEXT, "Strict")
    assert document == before
    assert admitted.warnings == ()
    assert "creationTimestamp" not in admitted.obj["metadata"]
    assert "status" not in admitted.obj
    assert admitted.obj["spec"]["replicas"] == 1


def misspelt() -> Json:
    document = deployment(replcias=3)
    document["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    document["metadata"]["label"] = {}
    return document


UNKNOWN = [
    'unknown field "metadata.label"',
    'unknown field "spec.replcias"',
    'unknown field "spec.template.spec.containers[0].imagee"',
]


def test_unknown_fields_are_all_named() -> None:
    with pytest.raises(BadRequest) as caught:
        admit_create(DEPLOYMENT, misspelt(), CONTEXT, "Strict")
    prefix = 'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
    assert caught.value.message.startswith(prefix)
    assert sorted(caught.value.message.removeprefix(prefix).split(", ")) == UNKNOWN


def test_unknown_fields_are_pruned_with_a_warning_or_silently() -> None:
    clean = admit_create(DEPLOYMENT, deployment(), CONTEXT, "Strict").obj
    warned = admit_create(DEPLOYMENT, misspelt(), CONTEXT, "Warn")
    assert warned.obj == clean
    assert sorted(warned.warnings) == UNKNOWN
    ignored = admit_create(DEPLOYMENT, misspelt(), CONTEXT, "Ignore")
    assert (ignored.obj, ignored.warnings) == (clean, ())


def test_a_field_has_its_name_in_the_api_alone() -> None:
    """The one that it has in our models is no other way to say it."""
    document = deployment(replicas=3)
    pod = document["spec"]["template"]["spec"]
    pod["containers"][0]["image_pull_policy"] = "Always"
    pod["termination_grace_period_seconds"] = 5
    admitted = admit_create(DEPLOYMENT, document, CONTEXT, "Warn")
    assert sorted(admitted.warnings) == [
        'unknown field "spec.template.spec.containers[0].image_pull_policy"',
        'unknown field "spec.template.spec.termination_grace_period_seconds"',
    ]
    assert "termination_grace_period_seconds" not in admitted.obj["spec"]["template"]["spec"]


def test_custom_kinds_name_unknown_fields_without_the_prefix() -> None:
    with pytest.raises(BadRequest, match=r'^strict decoding error: unknown field "spec\.foo"$'):
        admit_create(POD_AUTOSCALER, {"metadata": {"name": "a"}, "spec": {"foo": 1}}, CONTEXT, "Strict")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("replicas", "three", 'unmarshal string into field spec.replicas of type integer: found "three"'),
        ("replicas", "3", "unmarshal string into field spec.replicas of type integer"),
        ("replicas", 1.5, "unmarshal number into field spec.replicas of type integer"),
        ("paused", "yes", "unmarshal string into field spec.paused of type boolean"),
        ("template", [], "unmarshal array into field spec.template of type object"),
        (
            "selector",
            {"matchLabels": {"a": 1}},
            "unmarshal number into field spec.selector.matchLabels.a of type string",
        ),
        (
            "strategy",
            {"rollingUpdate": {"maxSurge": [1]}},
            "unmarshal array into field spec.strategy.rollingUpdate.maxSurge of type integer or string",
        ),
        (
            "strategy",
            {"rollingUpdate": {"maxSurge": {"int": 1}}},
            "unmarshal object into field spec.strategy.rollingUpdate.maxSurge of type integer or string",
        ),
    ],
)
def test_wrong_types_are_named_with_what_was_found_and_what_is_allowed(field: str, value: Any, message: str) -> None:
    for validation in ("Strict", "Ignore"):
        with pytest.raises(BadRequest) as caught:
            admit_create(DEPLOYMENT, deployment(**{field: value}), CONTEXT, validation)
        assert message in caught.value.message


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (SECRET, {"stringData": {"password": ["hunter22"]}}),
        (SECRET, {"data": "hunter22"}),
        (TRIGGER_AUTHENTICATION, {"spec": {"hashiCorpVault": {"credential": {"token": ["hunter22"]}}}}),
    ],
)
def test_what_may_be_a_secret_is_not_repeated(kind: Kind[Any], body: Json) -> None:
    document = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "s", "namespace": "default"}}
    with pytest.raises(BadRequest, match=r"cannot unmarshal .* into field .* of type") as raised:
        admit_create(kind, {**document, **body}, CONTEXT, "Strict")
    assert "hunter22" not in str(raised.value)


def test_what_is_missing_or_no_member_of_a_closed_set_is_invalid() -> None:
    rule = {"hosts": ["a"], "visibility": "Nowhere"}
    with pytest.raises(Invalid) as caught:
        admit_create(INGRESS, {"metadata": {"name": "i"}, "spec": {"rules": [rule]}}, CONTEXT, "Strict")
    assert {(e.path, e.problem) for e in caught.value.causes} == {
        ("spec.rules[0].visibility", FieldProblem.NOT_SUPPORTED),
        ("spec.rules[0].http", FieldProblem.REQUIRED),
    }
    assert 'supported values: "ClusterLocal", "ExternalIP"' in caught.value.message


def test_every_broken_rule_is_a_cause() -> None:
    document = deployment(replicas=-1)
    document["metadata"]["name"] = "D"
    document["spec"]["template"]["spec"]["containers"][0]["image"] = ""
    with pytest.raises(Invalid) as caught:
        admit_create(DEPLOYMENT, document, CONTEXT, "Strict")
    paths = [cause.path for cause in caught.value.causes]
    assert paths == ["metadata.name", "spec.replicas", "spec.template.spec.containers[0].image"]
    assert caught.value.message.startswith('Deployment.apps "D" is invalid: [metadata.name: Invalid value: "D"')
    assert caught.value.about == ("apps", "Deployment", "D")


def test_what_is_not_honored_is_told() -> None:
    document = deployment()
    document["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    warnings = admit_create(DEPLOYMENT, document, CONTEXT, "Strict").warnings
    assert warnings == ("spec.template.spec.nodeSelector: accepted, not honored on one machine",)


def test_an_update_keeps_what_the_system_wrote() -> None:
    old = stored()
    new = deployment(replicas=5)
    new["metadata"]["resourceVersion"] = "7"
    admitted = admit_update(DEPLOYMENT, old, new, CONTEXT, "Strict").obj
    assert admitted["spec"]["replicas"] == 5
    assert admitted["metadata"] == old["metadata"]


def test_an_update_of_another_object_of_the_same_name_conflicts() -> None:
    new = deployment()
    new["metadata"]["uid"] = "other"
    with pytest.raises(Conflict, match="Precondition failed"):
        admit_update(DEPLOYMENT, stored(), new, CONTEXT, "Strict")


def test_rules_see_the_old_object() -> None:
    new = deployment(selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})
    with pytest.raises(Invalid) as caught:
        admit_update(DEPLOYMENT, stored(), new, CONTEXT, "Strict")
    assert [cause.path for cause in caught.value.causes] == ["spec.selector"]


@pytest.mark.parametrize("change", [{"resourceVersion": "8"}, {"finalizers": ["x.io/y"]}, {"managedFields": []}])
def test_an_unchanged_object_is_not_held_against_the_rules_again(change: Json) -> None:
    """It was admitted once, maybe under other rules: taking off a finalizer must always be possible."""
    old = stored()
    old["spec"]["replicas"] = -1
    new = copy.deepcopy(old)
    new["metadata"] |= change
    new["status"] = {"replicas": 2}
    assert admit_update(DEPLOYMENT, old, new, CONTEXT, "Strict").obj == new
    new["metadata"]["labels"] = {"a": "b"}
    with pytest.raises(Invalid):
        admit_update(DEPLOYMENT, old, new, CONTEXT, "Strict")


def test_a_status_is_read_like_the_rest() -> None:
    with pytest.raises(BadRequest, match=r'unknown field "status\.x"'):
        admit_update(DEPLOYMENT, stored(), {**stored(), "status": {"x": 1}}, CONTEXT, "Strict")


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({}, "metadata.name"),
        ({"name": "a/b"}, "metadata.name"),
        ({"generateName": "A"}, "metadata.generateName"),
        ({"name": "a", "labels": {"-": ""}}, "metadata.labels"),
        ({"name": "a", "labels": {"a": "-"}}, "metadata.labels"),
        ({"name": "a", "annotations": {"a b": ""}}, "metadata.annotations"),
        ({"name": "a", "annotations": {"a": "x" * 262_144}}, "metadata.annotations"),
        ({"name": "a", "finalizers": ["a b"]}, "metadata.finalizers"),
        (
            {"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]},
            "metadata.ownerReferences[0].uid",
        ),
        (
            {
                "name": "a",
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Pod", "name": n, "uid": n, "controller": True} for n in "pq"
                ],
            },
            "metadata.ownerReferences",
        ),
    ],
)
def test_metadata_that_is_refused(metadata: Json, path: str) -> None:
    assert [error.path for error in validate_metadata(CONFIG_MAP, {"metadata": metadata}, None)] == [path]


def test_metadata_that_an_update_may_not_change() -> None:
    old = {"metadata": {"name": "a", "namespace": "n", "finalizers": ["x"], "deletionTimestamp": "now"}}
    new = {"metadata": {"name": "b", "namespace": "n", "finalizers": ["x", "y"]}}
    assert [e.path for e in validate_metadata(CONFIG_MAP, new, old)] == ["metadata.name", "metadata.finalizers"]
    assert validate_metadata(CONFIG_MAP, {"metadata": {"generateName": "a-"}}, None) == []


def test_repeated_fields_are_found_with_their_place() -> None:
    body = b'{"a": 1, "b": [{"c": 1, "c": 2}], "a": {"d": 1, "d": 2, "d": 3}}'
    assert duplicate_fields(body) == ["a", "a.d", "b[0].c"]
    assert duplicate_fields(b'{"a": {"a": 1}}') == []
    assert duplicate_fields(b"a: 1") == []


def test_what_json_cannot_say_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        admit_create(CONFIG_MAP, {"metadata": {"name": "a"}, "data": {"a": 1 << 70}}, CONTEXT, "Strict")
    with pytest.raises(BadRequest, match="metadata"):
        admit_create(CONFIG_MAP, {"metadata": 1}, CONTEXT, "Strict")


def test_admission_is_cheap() -> None:
    """3,000 small objects a second are asked for; a fifth of that is certain even on a machine that is busy."""
    document = {"metadata": {"name": "a", "labels": {"a": "b"}}, "stringData": {"a": "x" * 100}}
    admit_create(SECRET, document, CONTEXT, "Strict")
    start = time.process_time()
    for _ in range(500):
        admit_create(SECRET, document, CONTEXT, "Strict")
    assert 500 / (time.process_time() - start) > 3_000


def test_what_a_webhook_refuses_upstream_is_refused_in_its_words() -> None:
    traffic = [{"revisionName": "a", "percent": 90}]
    template = {"spec": {"containers": [{"image": "busybox"}], "containerConcurrency": 1001}}
    document = {
        "metadata": {"name": "hello", "namespace": "default"},
        "spec": {"template": template, "traffic": traffic},
    }
    with pytest.raises(BadRequest) as caught:
        admit_create(SERVICE, document, CONTEXT, "Strict")
    assert caught.value.message == (
        'admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: '
        "Traffic targets sum to 90, want 100: spec.traffic\n"
        "expected 0 <= 1001 <= 1000: spec.template.spec.containerConcurrency"
    )
    assert [cause.path for cause in caught.value.causes] == ["spec.template.spec.containerConcurrency", "spec.traffic"]
