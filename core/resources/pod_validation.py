"""What is refused in a PodSpec and in a Pod (pkg/apis/core/v1/validation), in the words of Kubernetes.

Types and unknown fields have been checked before; here are the rules that a type cannot say.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from core.errors import FieldError, FieldProblem
from core.resources.meta import AdmissionContext, Json
from core.resources.names import (
    check_config_key,
    check_dns1123_label,
    check_dns1123_subdomain,
    check_env_name,
    check_port,
    check_port_name,
)
from core.resources.pod_rules import containers_of
from core.resources.problems import check_allowed, duplicate, forbidden, invalid, required, shown
from core.resources.quantities import parse_quantity

PROBE_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc")
PROBE_TIMES = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def validate_pod_spec(spec: Json, path: str) -> list[FieldError]:
    """Every rule of a PodSpec, after defaults."""
    errors = [] if spec.get("containers") else [required(f"{path}.containers")]
    errors += check_allowed(spec.get("restartPolicy"), ("Always", "OnFailure", "Never"), f"{path}.restartPolicy")
    errors += check_allowed(
        spec.get("dnsPolicy"), ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"), f"{path}.dnsPolicy"
    )
    errors += _not_negative(spec, ("terminationGracePeriodSeconds",), path)
    if (deadline := spec.get("activeDeadlineSeconds")) is not None and deadline < 1:
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"))
    errors += _names(spec, path)
    volumes = {volume.get("name", "") for volume in spec.get("volumes") or ()}
    errors += _each(spec.get("volumes"), f"{path}.volumes", _volume, unique="name")
    seen: set[str] = set()
    for where, container in containers_of(spec):
        at = f"{path}.{where}"
        errors += validate_container(container, at, volumes)
        if (name := container.get("name", "")) in seen:
            errors.append(duplicate(f"{at}.name", name))
        seen.add(name)
        if where.startswith("init") and container.get("restartPolicy") != "Always":
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                if probe in container:
                    errors.append(
                        forbidden(f"{at}.{probe}", "may not be set for init containers without restartPolicy=Always")
                    )
    return errors


def _names(spec: Json, path: str) -> list[FieldError]:
    errors = []
    checks: dict[str, Callable[[str], str | None]] = {
        "hostname": check_dns1123_label,
        "subdomain": check_dns1123_label,
        "nodeName": check_dns1123_subdomain,
        "serviceAccountName": check_dns1123_subdomain,
        "runtimeClassName": check_dns1123_subdomain,
    }
    for field, check in checks.items():
        if (value := spec.get(field)) and (problem := check(value)):
            errors.append(invalid(f"{path}.{field}", value, problem))
    return errors


def validate_container(container: Json, path: str, volumes: set[str]) -> list[FieldError]:
    """The rules of one container; `volumes` are the names that mounts may refer to."""
    errors = _name(container.get("name"), f"{path}.name", check_dns1123_label)
    image = container.get("image", "")
    if not image:
        errors.append(required(f"{path}.image"))
    elif image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    errors += check_allowed(
        container.get("imagePullPolicy"), ("Always", "IfNotPresent", "Never"), f"{path}.imagePullPolicy"
    )
    errors += check_allowed(
        container.get("terminationMessagePolicy"), ("File", "FallbackToLogsOnError"), f"{path}.terminationMessagePolicy"
    )
    errors += _each(container.get("env"), f"{path}.env", _variable)
    errors += _each(container.get("envFrom"), f"{path}.envFrom", _env_from)
    errors += _each(container.get("ports"), f"{path}.ports", _port, unique="name")
    errors += _each(
        container.get("volumeMounts"), f"{path}.volumeMounts", lambda m, at: _mount(m, at, volumes), "mountPath"
    )
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            errors += validate_probe(container[probe], f"{path}.{probe}")
            successes = container[probe].get("successThreshold", 1)
            if probe != "readinessProbe" and successes != 1:
                errors.append(invalid(f"{path}.{probe}.successThreshold", successes, "must be 1"))
    for hook, handler in (container.get("lifecycle") or {}).items():
        if isinstance(handler, dict):
            errors += _one_of(handler, ("exec", "httpGet", "tcpSocket", "sleep"), f"{path}.lifecycle.{hook}")
    return errors + validate_resources(container.get("resources") or {}, f"{path}.resources")


def validate_probe(probe: Json, path: str) -> list[FieldError]:
    errors = _one_of(probe, PROBE_ACTIONS, path) + _not_negative(probe, PROBE_TIMES, path)
    for action in ("httpGet", "tcpSocket", "grpc"):
        if action in probe:
            errors += _port_reference(probe[action].get("port"), f"{path}.{action}.port")
    if "httpGet" in probe:
        errors += check_allowed(probe["httpGet"].get("scheme"), ("HTTP", "HTTPS"), f"{path}.httpGet.scheme")
    if "exec" in probe and not probe["exec"].get("command"):
        errors.append(required(f"{path}.exec.command"))
    return errors


def validate_resources(resources: Json, path: str) -> list[FieldError]:
    """Quantities must parse, must not be negative, and a request must not exceed its limit."""
    errors, parsed = [], {}
    for part in ("limits", "requests"):
        for name, value in (resources.get(part) or {}).items():
            at = f"{path}.{part}[{name}]"
            try:
                amount = parse_quantity(value)
            except ValueError as error:
                errors.append(invalid(at, value, str(error)))
                continue
            if amount < 0:
                errors.append(invalid(at, value, "must be greater than or equal to 0"))
            parsed[part, name] = amount
    for (part, name), amount in parsed.items():
        limit = parsed.get(("limits", name))
        if part == "requests" and limit is not None and amount > limit:
            found = resources["requests"][name]
            message = f"must be less than or equal to {name} limit of {resources['limits'][name]}"
            errors.append(invalid(f"{path}.requests", str(found), message))
    return errors


def _variable(variable: Json, path: str) -> list[FieldError]:
    errors = _name(variable.get("name"), f"{path}.name", check_env_name)
    source = variable.get("valueFrom")
    if source is None:
        return errors
    if variable.get("value"):
        errors.append(invalid(f"{path}.valueFrom", "", "may not be specified when `value` is not empty"))
    choices = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
    errors += _one_of(source, choices, f"{path}.valueFrom")
    for field in ("configMapKeyRef", "secretKeyRef"):
        if field in source and (problem := check_config_key(source[field]["key"])):
            errors.append(invalid(f"{path}.valueFrom.{field}.key", source[field]["key"], problem))
    return errors


def _env_from(source: Json, path: str) -> list[FieldError]:
    errors = _one_of(source, ("configMapRef", "secretRef"), path)
    if (prefix := source.get("prefix")) and (problem := check_env_name(prefix)):
        errors.append(invalid(f"{path}.prefix", prefix, problem))
    return errors


def _port(port: Json, path: str) -> list[FieldError]:
    errors = []
    if (name := port.get("name")) and (problem := check_port_name(name)):
        errors.append(invalid(f"{path}.name", name, problem))
    if problem := check_port(port["containerPort"]):
        errors.append(invalid(f"{path}.containerPort", port["containerPort"], problem))
    return errors + check_allowed(port.get("protocol"), ("TCP", "UDP", "SCTP"), f"{path}.protocol")


def _port_reference(port: Any, path: str) -> list[FieldError]:
    """A probe's port: a number in range, or the name of one."""
    if port is None:
        return [required(path)]
    problem = check_port_name(port) if isinstance(port, str) else check_port(port)
    return [invalid(path, port, problem)] if problem else []


def _mount(mount: Json, path: str, volumes: set[str]) -> list[FieldError]:
    name, at = mount.get("name", ""), mount.get("mountPath", "")
    errors = [] if name else [required(f"{path}.name")]
    if name and name not in volumes:
        errors.append(FieldError(f"{path}.name", f"Not found: {shown(name)}", FieldProblem.NOT_FOUND))
    if not at:
        errors.append(required(f"{path}.mountPath"))
    for field in ("subPath", "subPathExpr"):
        sub = mount.get(field) or ""
        if sub.startswith("/"):
            errors.append(invalid(f"{path}.{field}", sub, "must be a relative path"))
        if ".." in sub.split("/"):
            errors.append(invalid(f"{path}.{field}", sub, "must not contain '..'"))
    return errors


def _volume(volume: Json, path: str) -> list[FieldError]:
    errors = _name(volume.get("name"), f"{path}.name", check_dns1123_label)
    sources = sorted(set(volume) - {"name"})
    for extra in sources[1:]:
        errors.append(forbidden(f"{path}.{extra}", "may not specify more than 1 volume type"))
    if "secret" in volume and not volume["secret"].get("secretName"):
        errors.append(required(f"{path}.secret.secretName"))
    if "configMap" in volume and not volume["configMap"].get("name"):
        errors.append(required(f"{path}.configMap.name"))
    if "persistentVolumeClaim" in volume and not volume["persistentVolumeClaim"].get("claimName"):
        errors.append(required(f"{path}.persistentVolumeClaim.claimName"))
    for source in ("secret", "configMap"):
        errors += _each((volume.get(source) or {}).get("items"), f"{path}.{source}.items", _item)
    if "emptyDir" in volume and (limit := volume["emptyDir"].get("sizeLimit")) is not None:
        errors += validate_resources({"limits": {"sizeLimit": limit}}, f"{path}.emptyDir")
    return errors


def _item(item: Json, path: str) -> list[FieldError]:
    target = item["path"]
    if target.startswith("/"):
        return [invalid(f"{path}.path", target, "must be a relative path")]
    if ".." in target.split("/"):
        return [invalid(f"{path}.path", target, "must not contain '..'")]
    return []


def _each(
    items: Sequence[Json] | None, path: str, check: Callable[[Json, str], list[FieldError]], unique: str = ""
) -> list[FieldError]:
    """`check` for every item, and no two of them with the same value of `unique`."""
    errors: list[FieldError] = []
    seen: set[Any] = set()
    for index, item in enumerate(items or ()):
        at = f"{path}[{index}]"
        errors += check(item, at)
        if unique and (value := item.get(unique)):
            if value in seen:
                errors.append(duplicate(f"{at}.{unique}", value))
            seen.add(value)
    return errors


def _one_of(holder: Json, choices: Sequence[str], path: str) -> list[FieldError]:
    present = [choice for choice in choices if choice in holder]
    if not present:
        return [required(path, f"must specify one of: {', '.join(choices)}")]
    return [forbidden(f"{path}.{extra}", f"may not be specified together with {present[0]}") for extra in present[1:]]


def _name(name: str | None, path: str, check: Callable[[str], str | None]) -> list[FieldError]:
    if not name:
        return [required(path)]
    problem = check(name)
    return [invalid(path, name, problem)] if problem else []


def _not_negative(holder: Json, fields: Sequence[str], path: str) -> list[FieldError]:
    return [
        invalid(f"{path}.{field}", holder[field], "must be greater than or equal to 0")
        for field in fields
        if (holder.get(field) or 0) < 0
    ]


MUTABLE = "image, activeDeadlineSeconds, tolerations (only additions) or terminationGracePeriodSeconds"


def validate_pod(obj: Json, context: AdmissionContext) -> list[FieldError]:
    """A Pod; on update nothing but images and the deadline of its spec may change."""
    spec = obj.get("spec") or {}
    errors = validate_pod_spec(spec, "spec")
    if context.old is not None and _frozen(spec) != _frozen(context.old.get("spec") or {}):
        errors.append(forbidden("spec", f"pod updates may not change fields other than {MUTABLE}"))
    return errors


def _frozen(spec: Json) -> Json:
    """The spec without what may change."""
    frozen = copy.deepcopy(spec)
    for field in (
        "activeDeadlineSeconds",
        "tolerations",
        "terminationGracePeriodSeconds",
        "ephemeralContainers",
        "nodeName",
    ):
        frozen.pop(field, None)
    for _, container in containers_of(frozen):
        for field in ("image", "imagePullPolicy"):
            container.pop(field, None)
    return frozen
