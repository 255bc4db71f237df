"""Rules of Knative's kinds (knative.dev/serving/pkg/apis/serving/v1/*_validation.go).

The `validate` and `warn` hooks of the kinds in `serving`; they run after the schema and the defaults. The messages are
Knative's. A rule on an update sees the stored object as `context.old`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import FieldError
from core.resources import autoscaling_annotations
from core.resources import serving_labels as labels
from core.resources.knative_errors import (
    Errors,
    disallowed,
    generic,
    invalid,
    invalid_key,
    missing,
    out_of_bounds,
    quoted,
    via,
)
from core.resources.meta import AdmissionContext, Json
from core.resources.names import check_dns1035_label, check_dns1123_subdomain
from core.resources.pod_rules import warn_pod_spec
from core.resources.serving_autoscaling import validate_autoscaling
from core.resources.serving_podspec import validate_as_pod, validate_pod_spec
from core.resources.serving_traffic import validate_traffic
from core.settings import config_maps
from core.settings.autoscaler import AutoscalerSettings
from core.settings.defaults import DefaultsSettings
from core.settings.domain import CLUSTER_DOMAIN
from core.settings.durations import parse_duration
from core.settings.features import FeatureSettings

_MISPLACED = 'autoscaling annotations must be put under "spec.template.metadata.annotations" to work'
_NETWORKING_ANNOTATIONS = frozenset(
    (
        *labels.HTTP_PROTOCOL_ANNOTATIONS,
        *labels.INGRESS_CLASS_ANNOTATIONS,
        *labels.CERTIFICATE_CLASS_ANNOTATIONS,
        *labels.DISABLE_TLS_ANNOTATIONS,
    )
)
_SIDECAR = f"queue.sidecar.{labels.GROUP}/"
_SIDECAR_QUANTITIES = tuple(
    f"{_SIDECAR}{resource}-resource-{kind}"
    for resource in ("cpu", "memory", "ephemeral-storage")
    for kind in ("request", "limit")
)
_SIDECAR_PERCENTAGES = (f"{_SIDECAR}resource-percentage", f"{_SIDECAR}resourcePercentage")
_QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?", re.ASCII)


def validate_service(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj.get("spec") or {}
    errors = via("metadata", _validate_metadata(obj) + _validate_rollout_duration(obj) + _validate_visibility(obj))
    errors += via("spec.template", validate_template(spec.get("template") or {}, obj["metadata"], context))
    errors += via("spec.traffic", validate_traffic(spec.get("traffic") or (), in_service=True))
    errors += _validate_user_annotations(obj, context.old)
    return errors + via("spec.template", _validate_name_change(spec, context.old))


def validate_configuration(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj.get("spec") or {}
    errors = via("metadata", _validate_metadata(obj) + _validate_owned_label(obj, labels.SERVICE_LABEL, "Service"))
    errors += via("spec.template", validate_template(spec.get("template") or {}, obj["metadata"], context))
    if not obj["metadata"].get("ownerReferences"):
        errors += _validate_user_annotations(obj, context.old)
    return errors + via("spec.template", _validate_name_change(spec, context.old))


def validate_revision(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    annotations = obj["metadata"].get("annotations") or {}
    errors = _validate_object_name(obj["metadata"])
    errors += via("annotations", validate_autoscaling(annotations, _autoscaler(context)))
    errors = via("metadata", errors + _validate_owned_label(obj, labels.CONFIGURATION_LABEL, "Configuration"))
    if context.old is None:
        return errors + via("spec", validate_revision_spec(obj.get("spec") or {}, context))
    changed = _changed_paths(context.old.get("spec"), obj.get("spec"))
    if changed:
        return generic("Immutable fields changed (-old +new)", "spec", detail="\n".join(changed))
    return errors


def validate_route(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    errors = _validate_metadata(obj) + _validate_rollout_duration(obj) + _validate_visibility(obj)
    errors = via("metadata", errors + _validate_owned_label(obj, labels.SERVICE_LABEL, "Service"))
    traffic = (obj.get("spec") or {}).get("traffic") or ()
    errors += via("spec.traffic", validate_traffic(traffic, in_service=False))
    if not obj["metadata"].get("ownerReferences"):
        errors += _validate_user_annotations(obj, context.old)
    return errors


def validate_domain_mapping(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    metadata, name = obj["metadata"], obj["metadata"].get("name") or ""
    errors = disallowed("metadata.generateName") if metadata.get("generateName") else []
    problem = check_dns1123_subdomain(name)
    if not problem and "." not in name:
        problem = "should be a domain with at least two segments separated by dots"
    if problem:
        errors += generic(f'invalid name "{name}": name: Invalid value: "{name}": {problem}', "metadata.name")
    cluster = CLUSTER_DOMAIN.removeprefix("svc.")
    if name.endswith(f".{cluster}"):
        message = f'invalid name "{name}": must not be a subdomain of cluster local domain "{cluster}"'
        errors += generic(message, "metadata.name")
    errors += _validate_user_annotations(obj, context.old)
    return errors + via("spec.ref", _validate_reference(obj))


def warn_service(obj: Json, context: AdmissionContext) -> Sequence[str]:
    """Of a Service or a Configuration: what its template asks for and one machine has no use for."""
    template = (obj.get("spec") or {}).get("template") or {}
    spec = template.get("spec") or {}
    path = "spec.template.spec"
    return [*warn_pod_spec(spec, path), *_warn_ports(spec, path), *_warn_annotations(template)]


def warn_revision(obj: Json, context: AdmissionContext) -> Sequence[str]:
    return warn_pod_spec(obj.get("spec") or {}, "spec")


def warn_domain_mapping(obj: Json, context: AdmissionContext) -> Sequence[str]:
    said = "spec.tls: accepted, not honored: the gateway serves plain HTTP; give the certificate to a proxy before it"
    return [said] if (obj.get("spec") or {}).get("tls") else []


def validate_template(template: Json, parent: Json, context: AdmissionContext) -> Errors:
    """A `RevisionTemplateSpec` inside the object with metadata `parent`."""
    metadata = template.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    errors = via("spec", validate_revision_spec(template.get("spec") or {}, context))
    wrong = validate_autoscaling(annotations, _autoscaler(context))
    for key in annotations:
        if key.startswith(labels.NETWORKING_PREFIX) and key not in _NETWORKING_ANNOTATIONS:
            wrong += invalid_key(key, "")
    wrong += _validate_sidecar(annotations)
    wrong += _validate_seconds(annotations, (labels.PROGRESS_DEADLINE_ANNOTATION,), "progress-deadline")
    return errors + via("metadata.annotations", wrong) + via("metadata", _validate_revision_name(metadata, parent))


def validate_revision_spec(spec: Json, context: AdmissionContext) -> Errors:
    defaults: DefaultsSettings = context.settings.get(config_maps.DEFAULTS) or DefaultsSettings()
    features: FeatureSettings = context.settings.get(config_maps.FEATURES) or FeatureSettings()
    errors = validate_pod_spec(spec, features) or validate_as_pod(spec)
    timeout = spec.get("timeoutSeconds") or 0
    if not 0 <= timeout <= defaults.max_revision_timeout_s:
        errors += out_of_bounds(timeout, 0, defaults.max_revision_timeout_s, "timeoutSeconds")
    concurrency = spec.get("containerConcurrency")
    lower = 0 if defaults.allow_container_concurrency_zero else 1
    upper = defaults.container_concurrency_max_limit
    if concurrency is not None and not lower <= concurrency <= upper:
        errors += out_of_bounds(concurrency, lower, upper, "containerConcurrency")
    return errors


def _autoscaler(context: AdmissionContext) -> AutoscalerSettings:
    settings: AutoscalerSettings = context.settings.get(config_maps.AUTOSCALER) or AutoscalerSettings()
    return settings


def _validate_metadata(obj: Json) -> Errors:
    """Name, and no autoscaling annotation where none is read."""
    errors = _validate_object_name(obj["metadata"])
    for key in obj["metadata"].get("annotations") or {}:
        if key.startswith(autoscaling_annotations.GROUP):
            errors += invalid_key(key, "annotations", _MISPLACED)
    return errors


def _validate_visibility(obj: Json) -> Errors:
    found = (obj["metadata"].get("labels") or {}).get(labels.VISIBILITY_LABEL)
    if found in (None, labels.CLUSTER_LOCAL):
        return []
    return invalid(found, f"labels.{labels.VISIBILITY_LABEL}", f"it is {labels.CLUSTER_LOCAL}, or is left out")


def _validate_object_name(metadata: Json) -> Errors:
    name, prefix = metadata.get("name") or "", metadata.get("generateName") or ""
    if prefix and (problem := _prefix_problem(prefix)):
        return generic(f"not a DNS 1035 label prefix: [{problem}]", "generateName")
    if name and (problem := check_dns1035_label(name)):
        return generic(f"not a DNS 1035 label: [{problem}]", "name")
    return [] if name or prefix else generic("name or generateName is required", "name")


def _prefix_problem(prefix: str) -> str | None:
    return check_dns1035_label(prefix[:-1] + "a" if prefix.endswith("-") else prefix)


def _validate_revision_name(metadata: Json, parent: Json) -> Errors:
    """A name that the user brings: a label, and the parent's name in front."""
    name, prefix = metadata.get("name") or "", metadata.get("generateName") or ""
    if prefix and (problem := _prefix_problem(prefix)):
        return invalid(f"not a DNS 1035 label prefix: [{problem}]", "generateName")
    if not name:
        return []
    if problem := check_dns1035_label(name):
        return invalid(f"not a DNS 1035 label: [{problem}]", "name")
    # With generateName, admission may have made the name already; a user who relied on it cannot have known it.
    if parent.get("generateName") and not parent.get("name"):
        return disallowed("name")
    start = f"{parent.get('name', '')}-"
    return [] if name.startswith(start) else invalid(f'"{name}" must have prefix "{start}"', "name")


def _validate_name_change(spec: Json, old: Json | None) -> Errors:
    """Whoever names a revision must rename it with every change of the template."""
    template = spec.get("template") or {}
    before = ((old or {}).get("spec") or {}).get("template") or {}
    name = (template.get("metadata") or {}).get("name") or ""
    if not name or name != (before.get("metadata") or {}).get("name"):
        return []
    changed = _changed_paths(before, template)
    if not changed:
        return []
    message = "Saw the following changes without a name change (-old +new)"
    return generic(message, "metadata.name", detail="\n".join(changed))


def _validate_owned_label(obj: Json, label: str, kind: str) -> Errors:
    """A label that says "child of" must agree with the owner reference."""
    value = (obj["metadata"].get("labels") or {}).get(label)
    owners = obj["metadata"].get("ownerReferences") or ()
    if value is None or any(owner["kind"] == kind and owner["name"] == value for owner in owners):
        return []
    return missing(f"labels.{label}")


def _validate_user_annotations(obj: Json, old: Json | None) -> Errors:
    if old is None:
        return []
    before = old["metadata"].get("annotations") or {}
    after = obj["metadata"].get("annotations") or {}
    errors: Errors = []
    if before.get(labels.CREATOR_ANNOTATION) != after.get(labels.CREATOR_ANNOTATION):
        errors += generic("annotation value is immutable", labels.CREATOR_ANNOTATION)
    modifier = after.get(labels.LAST_MODIFIER_ANNOTATION)
    if old.get("spec") == obj.get("spec") and before.get(labels.LAST_MODIFIER_ANNOTATION) != modifier:
        errors += invalid(modifier or "", labels.LAST_MODIFIER_ANNOTATION)
    return via("metadata.annotations", errors)


def _validate_rollout_duration(obj: Json) -> Errors:
    annotations = obj["metadata"].get("annotations") or {}
    return via("annotations", _validate_seconds(annotations, labels.ROLLOUT_DURATION_ANNOTATIONS, "rollout-duration"))


def _validate_seconds(annotations: Mapping[str, str], spellings: Sequence[str], title: str) -> Errors:
    """A duration of whole seconds, not negative."""
    key = next((spelling for spelling in spellings if annotations.get(spelling)), None)
    if key is None:
        return []
    text = annotations[key]
    try:
        seconds = parse_duration(text)
    except ValueError:
        return invalid(text, key)
    if seconds != int(seconds):
        return generic(f"{title}={text} is not at second precision", key)
    return generic(f"{title}={text} must be positive", key) if seconds < 0 else []


def _validate_sidecar(annotations: Mapping[str, str]) -> Errors:
    """Resources of the queue-proxy: checked as upstream, though there is none to give them to."""
    errors: Errors = []
    for key in _SIDECAR_QUANTITIES:
        if key in annotations and not _QUANTITY.fullmatch(annotations[key]):
            errors += invalid(annotations[key], f"[{key}]")
    key = next((key for key in _SIDECAR_PERCENTAGES if key in annotations), "")
    if key:
        try:
            percentage = float(annotations[key])
        except ValueError:
            return errors + invalid(annotations[key], f"[{key}]")
        if not 0.1 <= percentage <= 100:
            errors += out_of_bounds(percentage, 0.1, 100, f"[{key}]")
    return errors


def _warn_ports(spec: Json, path: str) -> list[str]:
    return [
        f"{path}.containers[{index}].ports[0].name: h2c is accepted, not honored: requests go as HTTP/1.1"
        for index, container in enumerate(spec.get("containers") or ())
        if (container.get("ports") or [{}])[0].get("name") == "h2c"
    ]


def _warn_annotations(template: Json) -> list[str]:
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    path = f"spec.template.metadata.annotations[{autoscaling_annotations.CLASS.name}]"
    said = [f"{path}: accepted, not honored: CPU and memory do not scale here, instances stay at min-scale"]
    return [
        *(said if autoscaling_annotations.CLASS.get(annotations) == autoscaling_annotations.HPA_CLASS else ()),
        *_warn_sidecar(annotations),
    ]


def _warn_sidecar(annotations: Json) -> list[str]:
    return [
        f"spec.template.metadata.annotations[{key}]: accepted, not honored: there is no queue-proxy"
        for key in annotations
        if key.startswith(_SIDECAR)
    ]


def _validate_reference(obj: Json) -> Errors:
    """knative.dev/pkg/apis/duck/v1.KReference: named, and in the mapping's own namespace."""
    reference = (obj.get("spec") or {}).get("ref") or {}
    if not reference:
        return missing("name", "kind", "apiVersion")
    errors = missing(*(field for field in ("name", "kind", "apiVersion") if not reference.get(field)))
    namespace, own = reference.get("namespace") or "", obj["metadata"].get("namespace") or ""
    if namespace and own and namespace != own:
        detail = f'parent namespace: "{own}" does not match ref: "{namespace}"'
        errors += generic("mismatched namespaces", "namespace", detail=detail)
    return errors


def _changed_paths(old: Any, new: Any, path: str = "") -> list[str]:
    """`-path: old` and `+path: new` for each leaf that differs; None: it is not there."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in sorted({*old, *new}):
            lines += _changed_paths(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        return lines
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for i in range(len(old)) for line in _changed_paths(old[i], new[i], f"{path}[{i}]")]
    sides = () if old == new else (("-", old), ("+", new))
    return [f"{sign}{path}: {quoted(value)}" for sign, value in sides if value is not None]
