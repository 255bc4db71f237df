"""What a revision template may say about its containers (knative.dev/serving/pkg/apis/serving/k8s_validation.go).

Called by `serving_validation` for every kind that holds a template; the messages are Knative's. Volumes are in
`serving_volumes`, probes in `serving_probes`. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import FieldError
from core.resources import serving_fields as fields
from core.resources.image_references import is_image_reference
from core.resources.knative_errors import (
    Errors,
    both_of,
    disallowed,
    generic,
    invalid,
    missing,
    neither_of,
    out_of_bounds,
    via,
    via_index,
)
from core.resources.meta import Json
from core.resources.names import check_dns1123_subdomain
from core.resources.pod_validation import validate_pod_spec as validate_pod_spec_of_kubernetes
from core.resources.serving_probes import validate_probes
from core.resources.serving_volumes import validate_mounts, validate_volumes
from core.settings.features import FeatureSettings, Flag

DEFAULT_PORT = 8080
RESERVED_PORTS = frozenset({8012, 8013, 8022, 9090, 9091, 8008})  # queue-proxy's and its metrics'
RESERVED_CONTAINER_NAMES = frozenset({"queue-proxy"})
RESERVED_ENV = frozenset({"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"})
RESERVED_SIDECAR_ENV = RESERVED_ENV - {"PORT"}
PORT_NAMES = frozenset({"", "h2c", "http1"})
RUNTIME_CLASSES = ("process", "python", "container")
FOLDER_PREFIX = "dir:"
_ID_MAX = 2**31 - 1
_POD_PARTS = ("containers", "initContainers", "volumes", "securityContext", "serviceAccountName")


def validate_pod_spec(spec: Json, features: FeatureSettings) -> Errors:
    """Everything wrong with the Pod's part of a revision spec, after defaults."""
    errors = fields.check_fields(spec, fields.open_fields(features, fields.POD_FIELDS, fields.POD_FLAGS))
    if spec.get("automountServiceAccountToken") is False:
        errors = [error for error in errors if error.path != "automountServiceAccountToken"]
    errors += via("securityContext", _validate_pod_security(spec.get("securityContext") or {}))
    containers: Sequence[Json] = spec.get("containers") or ()
    init: Sequence[Json] = spec.get("initContainers") or ()
    volumes = {volume.get("name", ""): volume for volume in spec.get("volumes") or ()}
    mounted = {mount.get("name", "") for c in (*init, *containers) for mount in c.get("volumeMounts") or ()}
    errors += via("volumes", validate_volumes(spec.get("volumes") or (), mounted, features))
    errors += _validate_runtime(spec)
    errors += via("containers[*]", _validate_one_port(containers))
    context = _Context(spec, features, volumes, serving_port(containers))
    errors += _validate_init_containers(init, containers, context)
    errors += _validate_containers(containers, context)
    if problem := check_dns1123_subdomain(spec.get("serviceAccountName") or "default"):
        errors += invalid(spec["serviceAccountName"], "serviceAccountName", problem)
    return errors


def validate_as_pod(spec: Json) -> Errors:
    """What Kubernetes would refuse in the Pod made of an otherwise good spec: a quantity that is none, a bad name.

    Upstream this shows on a server-side dry run only, and else as a Deployment that cannot be made.
    """
    pod = copy.deepcopy({field: value for field, value in spec.items() if field in _POD_PARTS})
    port = serving_port(spec.get("containers") or ())["containerPort"]
    for container in (*(pod.get("containers") or ()), *(pod.get("initContainers") or ())):
        container["image"] = container.get("image") or "none"
        container.pop("readinessProbe", None)  # periodSeconds 0 is Knative's own
        for declared in container.get("ports") or ():
            declared["containerPort"] = declared.get("containerPort") or port  # 0 asks for the default one
        for probe in (container.get("livenessProbe") or {}, container.get("startupProbe") or {}):
            for action in ("httpGet", "tcpSocket", "grpc"):
                if probe.get(action) is not None and not probe[action].get("port"):
                    probe[action]["port"] = port
    return [
        FieldError(
            error.path.removeprefix("."),
            f"validation callback failed: dry run failed with {error.message}",
            error.problem,
        )
        for error in validate_pod_spec_of_kubernetes(pod, "")
    ]


def serving_port(containers: Sequence[Json]) -> Json:
    """The port that requests go to, as declared, with its defaults."""
    declared: Json = next((c["ports"][0] for c in reversed(containers) if c.get("ports")), {})
    return {"name": declared.get("name") or "http", "containerPort": declared.get("containerPort") or DEFAULT_PORT}


def runtime_class(spec: Mapping[str, Any]) -> str:
    """Which runtime runs the containers: what was asked for, else `python` for a folder, else `container`."""
    if spec.get("runtimeClassName"):
        return str(spec["runtimeClassName"])
    containers = spec.get("containers") or ()
    is_folder = any((c.get("image") or "").startswith(FOLDER_PREFIX) for c in containers)
    return "python" if is_folder else "container"


class _Context:
    """What the rules of one container need to know of the whole Pod."""

    def __init__(self, spec: Json, features: FeatureSettings, volumes: Mapping[str, Json], port: Json) -> None:
        self.runtime = runtime_class(spec)
        self.features = features
        self.volumes = volumes
        self.port = port


def _validate_runtime(spec: Json) -> Errors:
    name = spec.get("runtimeClassName")
    if name and name not in RUNTIME_CLASSES:
        return invalid(name, "runtimeClassName", f"this machine runs one of: {', '.join(RUNTIME_CLASSES)}")
    return []


def _validate_one_port(containers: Sequence[Json]) -> Errors:
    count = sum(len(container.get("ports") or ()) for container in containers)
    if count == 0 and len(containers) > 1:
        return missing("ports")
    if count > 1:
        detail = "Only a single port is allowed across all containers"
        return generic("more than one container port is set", "ports", detail=detail)
    return []


def _validate_containers(containers: Sequence[Json], context: _Context) -> Errors:
    if not containers:
        return missing("containers")
    if len(containers) > 1 and context.features.multi_container != Flag.ENABLED:
        return generic(f"multi-container is off, but found {len(containers)} containers")
    errors: Errors = []
    names: set[str] = set()
    for index, container in enumerate(containers):
        name = container.get("name", "")
        found: Errors = []
        if name in names:
            found += generic(f'duplicate container name "{name}"', "name")
        names.add(name)
        is_serving = len(containers) == 1 or bool(container.get("ports"))
        if is_serving:
            found += validate_probes(container, context.port)
        elif context.features.multi_container_probing == Flag.ENABLED:
            found += validate_probes(container, None)
        else:
            probes = [p for p in ("livenessProbe", "readinessProbe", "startupProbe") if container.get(p)]
            found += [e for p in probes for e in disallowed(*(f"{p}.{field}" for field in container[p]))]
        reserved = RESERVED_ENV if is_serving else RESERVED_SIDECAR_ENV
        found += _validate_container(container, context, reserved)
        errors += via_index("containers", index, found)
    return errors


def _validate_init_containers(init: Sequence[Json], others: Sequence[Json], context: _Context) -> Errors:
    if not init:
        return []
    if context.features.init_containers != Flag.ENABLED:
        return generic(f"pod spec support for init-containers is off, but found {len(init)} init containers")
    errors: Errors = []
    names = {container.get("name", "") for container in others}
    for index, container in enumerate(init):
        name = container.get("name", "")
        found = generic(f'duplicate container name "{name}"', "name") if name in names else []
        for field in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle"):
            if container.get(field) is not None:
                found += generic("field not allowed in an init container", field)
        found += _validate_container(container, context, RESERVED_SIDECAR_ENV, is_init=True)
        errors += via_index("initContainers", index, found)
    return errors


def _validate_container(container: Json, context: _Context, reserved: frozenset[str], is_init: bool = False) -> Errors:
    errors = fields.check_fields(container, fields.CONTAINER_FIELDS)
    if container.get("name") in RESERVED_CONTAINER_NAMES:
        errors += generic(f'"{container["name"]}" is a reserved container name', "name")
    errors += _validate_env(container.get("env") or (), reserved, context.features)
    errors += _validate_env_from(container.get("envFrom") or ())
    errors += _validate_image(container, context.runtime)
    errors += _validate_ports(container.get("ports") or (), is_init)
    errors += via("resources", fields.check_fields(container.get("resources") or {}, fields.RESOURCE_FIELDS))
    errors += via("securityContext", _validate_security(container.get("securityContext") or {}, context.features))
    policy = container.get("terminationMessagePolicy") or "File"
    if policy not in ("File", "FallbackToLogsOnError"):
        errors += invalid(policy, "terminationMessagePolicy")
    mounts = container.get("volumeMounts") or ()
    return errors + via("volumeMounts", validate_mounts(mounts, context.volumes, context.features))


def _validate_image(container: Json, runtime: str) -> Errors:
    image = container.get("image") or ""
    if runtime == "process":
        if container.get("command"):
            return []
        return generic("missing field(s)", "command", detail="runtimeClassName process runs a command of this machine")
    if not image:
        return missing("image")
    if image.startswith(FOLDER_PREFIX):
        if runtime == "python" and image.startswith(FOLDER_PREFIX + "/"):
            return []
        problem = "a folder is an absolute path as in dir:/home/me/hello, with runtimeClassName python or process"
    elif runtime == "python":
        problem = "runtimeClassName python runs a folder: dir:/path"
    elif is_image_reference(image):
        return []
    else:
        problem = f"could not parse reference: {image}"
    detail = f'image: "{image}", error: {problem}'
    return generic("Failed to parse image reference", "image", detail=detail)


def _validate_ports(ports: Sequence[Json], is_init: bool) -> Errors:
    errors: Errors = []
    for index, port in enumerate(ports):
        if index and not is_init:
            break
        number = port.get("containerPort") or 0
        found = fields.check_fields(port, fields.PORT_FIELDS)
        if number in RESERVED_PORTS:
            found += invalid(
                f"{number} is a reserved port",
                "containerPort",
                f"{number} is a reserved port, please use a different value",
            )
        if not 0 <= number <= 65535:
            found += out_of_bounds(number, 0, 65535, "containerPort")
        if not is_init and (port.get("protocol") or "TCP") != "TCP":
            found += invalid(port["protocol"], "protocol")
        if not is_init and (port.get("name") or "") not in PORT_NAMES:
            detail = "Name must be empty, or one of: 'h2c', 'http1'"
            found += generic(f"Port name {port['name']} is not allowed", "", detail=detail)
        errors += via("ports", found)
    return errors


def _validate_env(env: Sequence[Json], reserved: frozenset[str], features: FeatureSettings) -> Errors:
    sources = fields.open_fields(features, fields.ENV_SOURCES, fields.ENV_SOURCE_FLAGS)
    errors: Errors = []
    for index, variable in enumerate(env):
        name = variable.get("name") or ""
        found: Errors = []
        if not name:
            found += missing("name")
        elif name in reserved:
            found += generic(f'"{name}" is a reserved environment variable', "name")
        found += via("valueFrom", fields.check_fields(variable.get("valueFrom") or {}, sources))
        errors += via_index("env", index, found)
    return errors


def _validate_env_from(sources: Sequence[Json]) -> Errors:
    errors: Errors = []
    for index, source in enumerate(sources):
        given = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        found: Errors = []
        if len(given) > 1:
            found = both_of(*given)
        elif not given:
            found = neither_of("configMapRef", "secretRef")
        errors += via_index("envFrom", index, found)
    return errors


def _validate_security(security: Json, features: FeatureSettings) -> Errors:
    allowed = fields.SECURITY_FIELDS | ({"privileged"} if security.get("privileged") is False else set())
    errors = fields.check_fields(security, allowed)
    added = (security.get("capabilities") or {}).get("add")
    if added and features.add_capabilities != Flag.ENABLED:
        secure = str(features.secure_pod_defaults) in ("Enabled", "AllowRootBounded")
        if not (secure and added == ["NET_BIND_SERVICE"]):
            errors += disallowed("capabilities.add")
    return errors + _validate_ids(security, ("runAsUser", "runAsGroup"))


def _validate_pod_security(security: Json) -> Errors:
    errors = fields.check_fields(security, fields.POD_SECURITY_FIELDS)
    errors += _validate_ids(security, ("runAsUser", "runAsGroup", "fsGroup"))
    for index, group in enumerate(security.get("supplementalGroups") or ()):
        if not 0 <= group <= _ID_MAX:
            errors += out_of_bounds(group, 0, _ID_MAX, f"supplementalGroups[{index}]")
    return errors


def _validate_ids(security: Json, names: Sequence[str]) -> Errors:
    errors: Errors = []
    for name in names:
        value = security.get(name)
        if value is not None and not 0 <= value <= _ID_MAX:
            errors += out_of_bounds(value, 0, _ID_MAX, name)
    return errors
