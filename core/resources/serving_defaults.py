"""What admission fills into Knative's kinds (knative.dev/serving/pkg/apis/serving/v1/*_defaults.go).

The `default` hooks of the kinds in `serving`. A hook changes the copy that admission owns and may run any number of
times. Settings come from `config-defaults` and `config-features`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.resources import serving_labels as labels
from core.resources.child_names import child_name
from core.resources.meta import AdmissionContext, Json
from core.settings import config_maps
from core.settings.defaults import DefaultsSettings
from core.settings.features import FeatureSettings

_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_WRITABLE_SOURCES = ("emptyDir", "persistentVolumeClaim", "ephemeral")


def default_service(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    if not _keeps_its_name(spec, context.old):
        _default_template(obj, spec.setdefault("template", {}), context)
    if not spec.get("traffic"):
        spec["traffic"] = [{"percent": 100, "latestRevision": True}]
    _default_traffic(spec)
    stamp_user(obj, context)


def default_configuration(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    if not _keeps_its_name(spec, context.old):
        _default_template(obj, spec.setdefault("template", {}), context)
    if not obj["metadata"].get("ownerReferences"):
        stamp_user(obj, context)


def default_revision(obj: Json, context: AdmissionContext) -> None:
    """On creation only: the spec of a Revision never changes, not even by a new default."""
    if context.old is None:
        default_revision_spec(obj.setdefault("spec", {}), obj["metadata"], context)


def default_route(obj: Json, context: AdmissionContext) -> None:
    _default_traffic(obj.setdefault("spec", {}))
    if not obj["metadata"].get("ownerReferences"):
        stamp_user(obj, context)


def default_domain_mapping(obj: Json, context: AdmissionContext) -> None:
    reference = obj.get("spec", {}).get("ref")
    if reference is not None and not reference.get("namespace"):
        reference["namespace"] = obj["metadata"].get("namespace", "")
    stamp_user(obj, context)


def stamp_user(obj: Json, context: AdmissionContext) -> None:
    """Who made it, and who changed its spec last. Not on a request without a user: the platform's own."""
    if not context.user:
        return
    annotations = obj["metadata"].get("annotations") or {}
    if context.old is None:
        annotations = {**annotations, labels.CREATOR_ANNOTATION: context.user}
    elif context.old.get("spec") == obj.get("spec"):
        return
    obj["metadata"]["annotations"] = {**annotations, labels.LAST_MODIFIER_ANNOTATION: context.user}


def default_revision_spec(spec: Json, parent: Json, context: AdmissionContext) -> None:
    """`parent`: the metadata that container name templates may use."""
    defaults: DefaultsSettings = context.settings.get(config_maps.DEFAULTS) or DefaultsSettings()
    features: FeatureSettings = context.settings.get(config_maps.FEATURES) or FeatureSettings()
    _default_timeouts(spec, defaults)
    if spec.get("containerConcurrency") is None:
        spec["containerConcurrency"] = defaults.container_concurrency
    if spec.get("enableServiceLinks") is None and context.old is None and defaults.enable_service_links is not None:
        spec["enableServiceLinks"] = defaults.enable_service_links
    containers: Sequence[Json] = spec.get("containers") or ()
    init: Sequence[Json] = spec.get("initContainers") or ()
    _default_names(containers, init, parent, defaults)
    writable = {
        volume.get("name")
        for volume in spec.get("volumes") or ()
        if any(volume.get(source) is not None for source in _WRITABLE_SOURCES)
    }
    for container in containers:
        _default_resources(container, defaults)
        _default_probes(container, is_serving=len(containers) == 1 or bool(container.get("ports")))
        for mount in container.get("volumeMounts") or ():
            if mount.get("name") not in writable:
                mount["readOnly"] = True
    for container in (*containers, *init):
        _default_security(container, spec.get("securityContext") or {}, features)


def _default_template(obj: Json, template: Json, context: AdmissionContext) -> None:
    # `enableServiceLinks` is filled in on creation only; whoever leaves it out of an update means no change of it.
    old = ((context.old or {}).get("spec") or {}).get("template") or {}
    links = (old.get("spec") or {}).get("enableServiceLinks")
    if links is not None:
        template.setdefault("spec", {}).setdefault("enableServiceLinks", links)
    default_revision_spec(template.setdefault("spec", {}), obj["metadata"], context)


def _keeps_its_name(spec: Mapping[str, Any], old: Json | None) -> bool:
    """Whether the template keeps the name that the user gave it: then no new default may change it."""
    name = _template_name(spec)
    return bool(name) and old is not None and name == _template_name(old.get("spec") or {})


def _template_name(spec: Mapping[str, Any]) -> str:
    metadata = (spec.get("template") or {}).get("metadata") or {}
    return metadata.get("name") or ""


def _default_traffic(spec: Json) -> None:
    for target in spec.get("traffic") or ():
        if target.get("latestRevision") is None:
            target["latestRevision"] = not target.get("revisionName")
        if target.get("percent") is None:
            target["percent"] = 0


def _default_timeouts(spec: Json, defaults: DefaultsSettings) -> None:
    """The two partial limits are filled in only where they would bite before the total one."""
    if not spec.get("timeoutSeconds"):
        spec["timeoutSeconds"] = defaults.revision_timeout_s
    total = spec["timeoutSeconds"]
    for field, value in (
        ("idleTimeoutSeconds", defaults.revision_idle_timeout_s),
        ("responseStartTimeoutSeconds", defaults.revision_response_start_timeout_s),
    ):
        if spec.get(field) is None and 0 < value < total:
            spec[field] = value


def _default_names(containers: Sequence[Json], init: Sequence[Json], parent: Json, defaults: DefaultsSettings) -> None:
    taken = {container.get("name") or "" for container in (*containers, *init)}
    values = {
        "Name": parent.get("name", ""),
        "Namespace": parent.get("namespace", ""),
        "Labels": parent.get("labels") or {},
        "Annotations": parent.get("annotations") or {},
    }
    for group, template in ((containers, defaults.container_name), (init, defaults.init_container_name)):
        _name_containers(group, taken, template.render(values))


def _name_containers(containers: Sequence[Json], taken: set[str], base: str) -> None:
    """A number follows the name where there are several, or where a user has taken it."""
    suffix = 0
    for container in containers:
        if container.get("name"):
            continue
        name = base
        while len(containers) > 1 or name in taken:
            name = child_name(base, f"-{suffix}")
            suffix += 1
            if name not in taken:
                break
        container["name"] = name


def _default_resources(container: Json, defaults: DefaultsSettings) -> None:
    resources = container.setdefault("resources", {})
    for kind in ("requests", "limits"):
        for name in _RESOURCES:
            value = getattr(defaults, f"revision_{name.replace('-', '_')}_{kind[:-1]}")
            if value is not None:
                resources.setdefault(kind, {}).setdefault(name, value)


def _default_probes(container: Json, is_serving: bool) -> None:
    if is_serving:
        probe = container.setdefault("readinessProbe", {})
        if not any(probe.get(handler) is not None for handler in ("httpGet", "tcpSocket", "exec", "grpc")):
            probe["tcpSocket"] = {"port": 0}
    readiness = container.get("readinessProbe")
    if readiness is not None:
        readiness["successThreshold"] = readiness.get("successThreshold") or 1
        if readiness.get("periodSeconds"):
            readiness["failureThreshold"] = readiness.get("failureThreshold") or 3
            readiness["timeoutSeconds"] = readiness.get("timeoutSeconds") or 1
    for field in ("readinessProbe", "livenessProbe", "startupProbe"):
        action = (container.get(field) or {}).get("grpc")
        if action is not None and action.get("service") is None:
            action["service"] = ""


def _default_security(container: Json, pod: Json, features: FeatureSettings) -> None:
    """`secure-pod-defaults`: what the user did not say becomes the restricted profile."""
    level = features.secure_pod_defaults
    if level not in ("Enabled", "AllowRootBounded"):
        return
    security = dict(container.get("securityContext") or {})
    if security.get("allowPrivilegeEscalation") is None:
        security["allowPrivilegeEscalation"] = False
    if not (pod.get("seccompProfile") or {}).get("type"):
        profile = dict(security.get("seccompProfile") or {})
        profile["type"] = profile.get("type") or "RuntimeDefault"
        security["seccompProfile"] = profile
    if security.get("capabilities") is None:
        security["capabilities"] = {"drop": ["ALL"]}
        if any(port.get("containerPort", 8080) < 1024 for port in container.get("ports") or ()):
            security["capabilities"]["add"] = ["NET_BIND_SERVICE"]
    if level == "Enabled" and pod.get("runAsNonRoot") is None and security.get("runAsNonRoot") is None:
        security["runAsNonRoot"] = True
    container["securityContext"] = security
