"""Whole objects: metadata, traffic, names, immutability (also core/resources/serving_traffic.py)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.resources.knative_errors import sentences
from core.resources.meta import AdmissionContext, Json, Kind
from core.resources.serving import CONFIGURATION, DOMAIN_MAPPING, REVISION, ROUTE, SERVICE
from core.settings.defaults import DefaultsSettings


def template(**spec: Any) -> Json:
    return {"spec": {"containers": [{"image": "busybox"}], **spec}}


def service(**fields: Any) -> Json:
    metadata = {"name": "hello", "namespace": "default", **fields.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"template": template(), **fields}}


def refusal(kind: Kind[Any], obj: Json, old: Json | None = None, **settings: Any) -> str:
    """As admission does it: schema, defaults, rules."""
    context = AdmissionContext(old=old, settings=settings)
    admitted = copy.deepcopy(obj)
    kind.model.model_validate({**admitted, "apiVersion": kind.api_version, "kind": kind.kind})
    kind.default(admitted, context)
    return sentences(kind.validate(admitted, context))


def admitted(kind: Kind[Any], obj: Json, old: Json | None = None) -> Json:
    result = copy.deepcopy(obj)
    kind.default(result, AdmissionContext(old=old))
    return result


def split(*targets: Json) -> Json:
    return service(traffic=list(targets))


T = "spec.traffic"
TRAFFIC = {
    "none given": (service(), ""),
    "pinned and latest": (split({"revisionName": "a", "percent": 90}, {"latestRevision": True, "percent": 10}), ""),
    "a tag at zero": (split({"latestRevision": True, "percent": 100}, {"revisionName": "a", "tag": "old"}), ""),
    "sum": (split({"revisionName": "a", "percent": 90}), f"Traffic targets sum to 90, want 100: {T}"),
    "negative": (
        split({"revisionName": "a", "percent": 101}, {"revisionName": "b", "percent": -1}),
        f"expected 0 <= -1 <= 100: {T}[1].percent\nexpected 0 <= 101 <= 100: {T}[0].percent",
    ),
    "configuration in a Service": (
        split({"configurationName": "c", "percent": 100}),
        f"must not set the field(s): {T}[0].configurationName",
    ),
    "latest and named": (
        split({"revisionName": "a", "latestRevision": True, "percent": 100}),
        f'may not set revisionName "a" when latestRevision is true: {T}[0].latestRevision',
    ),
    "neither latest nor named": (
        split({"latestRevision": False, "percent": 100}),
        f'may not set revisionName "" when latestRevision is false: {T}[0].latestRevision',
    ),
    "url": (split({"tag": "a", "url": "http://x", "percent": 100}), f"must not set the field(s): {T}[0].url"),
    "same tag twice": (
        split({"tag": "a", "percent": 100}, {"tag": "a", "revisionName": "r"}),
        f'Multiple definitions for "a": {T}[0].tag, {T}[1].tag',
    ),
}


@pytest.mark.parametrize("label", TRAFFIC)
def test_traffic_of_a_service(label: str) -> None:
    obj, text = TRAFFIC[label]
    assert refusal(SERVICE, obj) == text


def test_a_tag_becomes_part_of_a_host() -> None:
    text = refusal(SERVICE, split({"tag": "Not_A_Label", "percent": 100}))
    assert text.startswith("invalid value: not a DNS 1035 label: [a DNS-1035 label must consist of")
    assert text.endswith("]: spec.traffic.tag[0]")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ({"configurationName": "c"}, ""),
        ({"revisionName": "r"}, ""),
        ({}, f"expected exactly one, got neither: {T}[0].configurationName, {T}[0].revisionName"),
        (
            {"revisionName": "r", "configurationName": "c"},
            f"expected exactly one, got both: {T}[0].configurationName, {T}[0].revisionName",
        ),
    ],
)
def test_traffic_of_a_route(target: Json, text: str) -> None:
    route = {"metadata": {"name": "r", "namespace": "default"}, "spec": {"traffic": [{**target, "percent": 100}]}}
    assert refusal(ROUTE, route) == text


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({}, ""),
        ({"name": "", "generateName": "hello-"}, ""),
        ({"annotations": {"serving.knative.dev/rollout-duration": "90s"}}, ""),
        (
            {"annotations": {"serving.knative.dev/rolloutDuration": "1.5s"}},
            "rollout-duration=1.5s is not at second precision: "
            "metadata.annotations.serving.knative.dev/rolloutDuration",
        ),
        (
            {"annotations": {"serving.knative.dev/rollout-duration": "-3s"}},
            "rollout-duration=-3s must be positive: metadata.annotations.serving.knative.dev/rollout-duration",
        ),
        (
            {"annotations": {"autoscaling.knative.dev/min-scale": "1"}},
            'invalid key name "autoscaling.knative.dev/min-scale": metadata.annotations\n'
            'autoscaling annotations must be put under "spec.template.metadata.annotations" to work',
        ),
    ],
)
def test_metadata(metadata: Json, text: str) -> None:
    assert refusal(SERVICE, service(metadata=metadata)) == text


@pytest.mark.parametrize("name", ["9lives", "with.dots", "Upper", "a" * 64])
def test_a_name_must_fit_a_host(name: str) -> None:
    assert "metadata.name" in refusal(SERVICE, service(metadata={"name": name}))


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"containerConcurrency": 1001}, "expected 0 <= 1001 <= 1000: spec.template.spec.containerConcurrency"),
        ({"containerConcurrency": -1}, "expected 0 <= -1 <= 1000: spec.template.spec.containerConcurrency"),
        ({"timeoutSeconds": 601}, "expected 0 <= 601 <= 600: spec.template.spec.timeoutSeconds"),
        ({"timeoutSeconds": -1}, "expected 0 <= -1 <= 600: spec.template.spec.timeoutSeconds"),
        ({"containers": []}, "missing field(s): spec.template.spec.containers"),
        (
            {"serviceAccountName": "Not OK"},
            "invalid value: Not OK: spec.template.spec.serviceAccountName",
        ),
    ],
)
def test_template_spec(spec: Json, text: str) -> None:
    assert refusal(SERVICE, service(template=template(**spec))).splitlines()[0] == text
    assert refusal(CONFIGURATION, service(template=template(**spec))).splitlines()[0] == text


def test_unlimited_concurrency_can_be_forbidden() -> None:
    settings = {"config-defaults": DefaultsSettings(allow_container_concurrency_zero=False)}
    assert refusal(SERVICE, service(), **settings) == "expected 1 <= 0 <= 1000: spec.template.spec.containerConcurrency"


A = "spec.template.metadata.annotations"


@pytest.mark.parametrize(
    ("annotations", "text"),
    [
        (
            {"autoscaling.knative.dev/min-scale": "-1"},
            f"expected 0 <= -1 <= {2**31 - 1}: {A}.autoscaling.knative.dev/min-scale",
        ),
        ({"networking.knative.dev/visibility": "x"}, f'invalid key name "networking.knative.dev/visibility": {A}'),
        ({"networking.knative.dev/ingress-class": "x"}, ""),
        (
            {"serving.knative.dev/progress-deadline": "abc"},
            f"invalid value: abc: {A}.serving.knative.dev/progress-deadline",
        ),
        (
            {"queue.sidecar.serving.knative.dev/cpu-resource-request": "lots"},
            f"invalid value: lots: {A}.[queue.sidecar.serving.knative.dev/cpu-resource-request]",
        ),
        (
            {"queue.sidecar.serving.knative.dev/resource-percentage": "0.05"},
            f"expected 0.1 <= 0.05 <= 100: {A}.[queue.sidecar.serving.knative.dev/resource-percentage]",
        ),
        ({"anything.else/is": "fine"}, ""),
    ],
)
def test_template_annotations(annotations: Json, text: str) -> None:
    obj = service(template={**template(), "metadata": {"annotations": annotations}})
    assert refusal(SERVICE, obj) == text


def named(name: str, **spec: Any) -> Json:
    return service(template={**template(**spec), "metadata": {"name": name}})


def test_a_revision_name_starts_with_its_parents() -> None:
    assert refusal(SERVICE, named("hello-one")) == ""
    wrong = 'invalid value: "other-one" must have prefix "hello-": spec.template.metadata.name'
    assert refusal(SERVICE, named("other-one")) == wrong
    assert "not a DNS 1035 label" in refusal(SERVICE, named("hello-ONE"))
    generated = named("hello-one")
    generated["metadata"] = {"generateName": "hello-", "namespace": "default"}
    assert refusal(SERVICE, generated) == "must not set the field(s): spec.template.metadata.name"


def test_a_named_template_changes_only_with_its_name() -> None:
    old = admitted(SERVICE, named("hello-one"))
    assert refusal(SERVICE, old, old) == ""
    changed = copy.deepcopy(old)
    changed["spec"]["template"]["spec"]["containers"][0] |= {"image": "nginx", "env": [{"name": "A", "value": "b"}]}
    assert refusal(SERVICE, changed, old) == (
        "Saw the following changes without a name change (-old +new): spec.template.metadata.name\n"
        '+spec.containers[0].env: [{"name":"A","value":"b"}]\n'
        '-spec.containers[0].image: "busybox"\n+spec.containers[0].image: "nginx"'
    )
    changed["spec"]["template"]["metadata"]["name"] = "hello-two"
    assert refusal(SERVICE, changed, old) == ""


def test_traffic_may_change_under_a_kept_name() -> None:
    old = admitted(SERVICE, named("hello-one"))
    new = copy.deepcopy(old)
    new["spec"]["traffic"] = [{"revisionName": "hello-zero", "percent": 100}]
    assert refusal(SERVICE, new, old) == ""


def test_a_revision_never_changes() -> None:
    metadata = {"name": "r", "namespace": "default", "labels": {}}
    old = admitted(REVISION, {"metadata": metadata, "spec": template()["spec"]})
    assert refusal(REVISION, old, old) == ""
    labelled = {**old, "metadata": {**metadata, "labels": {"a": "b"}}}
    assert refusal(REVISION, labelled, old) == ""
    changed = copy.deepcopy(old)
    changed["spec"]["containers"][0]["image"] = "nginx"
    text = refusal(REVISION, changed, old)
    assert text.startswith('Immutable fields changed (-old +new): spec\n-containers[0].image: "busybox"')


def test_new_defaults_do_not_touch_an_old_revision() -> None:
    old = {"metadata": {"name": "r", "namespace": "default"}, "spec": template()["spec"]}
    assert admitted(REVISION, old, old) == old


def test_a_label_that_names_an_owner_needs_the_owner() -> None:
    obj = service(metadata={"labels": {"serving.knative.dev/service": "s"}})
    assert refusal(CONFIGURATION, obj) == "missing field(s): metadata.labels.serving.knative.dev/service"
    owner = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "s", "uid": "1"}
    obj["metadata"]["ownerReferences"] = [owner]
    assert refusal(CONFIGURATION, obj) == ""


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({"creator": "ann"}, {"creator": "ann"}, ""),
        ({"creator": "ann"}, {"creator": "bob"}, "annotation value is immutable: {A}creator"),
        ({"creator": "ann"}, {}, "annotation value is immutable: {A}creator"),
        ({"lastModifier": "ann"}, {"lastModifier": "bob"}, "invalid value: bob: {A}lastModifier"),
    ],
)
def test_users_do_not_write_who_they_are(before: dict[str, str], after: dict[str, str], text: str) -> None:
    def with_annotations(values: dict[str, str]) -> Json:
        return service(metadata={"annotations": {f"serving.knative.dev/{k}": v for k, v in values.items()}})

    old = admitted(SERVICE, with_annotations(before))
    new = {**old, "metadata": with_annotations(after)["metadata"]}
    assert refusal(SERVICE, new, old) == text.replace("{A}", "metadata.annotations.serving.knative.dev/")


def mapping(name: str = "www.example.com", **ref: Any) -> Json:
    reference = {"kind": "Service", "apiVersion": "serving.knative.dev/v1", "name": "hello", **ref}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"ref": reference}}


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (mapping(), ""),
        (mapping("a.example.com", namespace="default"), ""),
        (
            mapping(namespace="other"),
            'mismatched namespaces: spec.ref.namespace\nparent namespace: "default" does not match ref: "other"',
        ),
        (mapping(name="x.svc.cluster.local"), "must not be a subdomain"),
        (mapping(name="localhost"), "at least two segments"),
        (mapping(name="www.example.com", kind=""), "missing field(s): spec.ref.kind"),
        (
            {"metadata": {"name": "a.b", "namespace": "d"}},
            "missing field(s): spec.ref.apiVersion, spec.ref.kind, spec.ref.name",
        ),
    ],
)
def test_domain_mapping(obj: Json, text: str) -> None:
    found = refusal(DOMAIN_MAPPING, obj)
    assert text in found
    assert bool(text) == bool(found)


def test_what_is_accepted_but_not_honored_is_said() -> None:
    obj = service(template=template(affinity={"nodeAffinity": {}}, nodeSelector={"disk": "ssd"}))
    obj["spec"]["template"]["metadata"] = {"annotations": {"queue.sidecar.serving.knative.dev/cpu-resource-limit": "1"}}
    warnings = SERVICE.warn(obj, AdmissionContext())
    assert [w.split(":")[0] for w in warnings] == [
        "spec.template.spec.affinity",
        "spec.template.spec.nodeSelector",
        "spec.template.metadata.annotations[queue.sidecar.serving.knative.dev/cpu-resource-limit]",
    ]
    assert refusal(SERVICE, obj) == ""


def test_words_that_knatives_conformance_tests_look_for() -> None:
    text = refusal(SERVICE, service(template=template(serviceAccountName="foo@bar.baz")))
    assert text == (
        "invalid value: foo@bar.baz: spec.template.spec.serviceAccountName\n"
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    )


def test_a_class_that_does_not_scale_here_is_told() -> None:
    name = "autoscaling.knative.dev/class"
    for scaler, count in (("hpa.autoscaling.knative.dev", 1), ("kpa.autoscaling.knative.dev", 0)):
        template = {"metadata": {"annotations": {name: scaler}}, "spec": {"containers": [{"image": "x"}]}}
        warnings = SERVICE.warn({"metadata": {"name": "a"}, "spec": {"template": template}}, AdmissionContext())
        assert [warning for warning in warnings if name in warning] == list(warnings)
        assert len(warnings) == count


@pytest.mark.parametrize(("value", "refused"), [("cluster-local", False), ("public", True), ("", True)])
def test_visibility_is_cluster_local_or_is_left_out(value: str, refused: bool) -> None:
    labeled = service() | {"metadata": {"name": "a", "labels": {"networking.knative.dev/visibility": value}}}
    text = f"invalid value: {value}: metadata.labels.networking.knative.dev/visibility" if refused else ""
    assert refusal(SERVICE, labeled).partition("\n")[0] == text


def test_http_2_and_certificates_are_taken_with_a_warning() -> None:
    container = {"image": "x", "ports": [{"containerPort": 8080, "name": "h2c"}]}
    obj = {"metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [container]}}}}
    (said,) = SERVICE.warn(obj, AdmissionContext())
    assert said.startswith("spec.template.spec.containers[0].ports[0].name: h2c is accepted, not honored")
    mapping = {"metadata": {"name": "a.example.com"}, "spec": {"tls": {"secretName": "mine"}}}
    (said,) = DOMAIN_MAPPING.warn(mapping, AdmissionContext())
    assert said.startswith("spec.tls: accepted, not honored: the gateway serves plain HTTP")
