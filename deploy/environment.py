"""A container's environment, in the kubelet's order and with its errors (pkg/kubelet, makeEnvironmentVariables). Pure.

First whole Secrets and ConfigMaps, then the variables one by one, each of which may refer to those before it. What
Knative promises comes from the Pod's labels (`K_*`), and `PORT` is a placeholder: the runtime chooses the port.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.resources import serving_labels
from core.resources.containers import Container, EnvVarSource
from core.resources.expansion import expand
from core.resources.meta import Json
from deploy.podfields import Machine, read_field, read_resource
from deploy.podsources import CONFIG_MAP, SECRET, Source, Sources
from deploy.runtimes.base import PORT_PLACEHOLDER

KNATIVE = {
    "K_SERVICE": serving_labels.SERVICE_LABEL,
    "K_CONFIGURATION": serving_labels.CONFIGURATION_LABEL,
    "K_REVISION": serving_labels.REVISION_LABEL,
}


def make_environment(
    container: Container, pod: Json, sources: Sources, machine: Machine, serving: bool
) -> dict[str, str]:
    """StartError where something is missing that is not optional."""
    env = _knative(pod)
    if serving:
        env["PORT"] = PORT_PLACEHOLDER
    for whole in container.env_from or ():
        prefix = whole.prefix or ""
        for kind, reference in ((CONFIG_MAP, whole.config_map_ref), (SECRET, whole.secret_ref)):
            if reference is not None:
                data = sources.all(Source(kind, reference.name), reference.optional)
                env |= {prefix + key: value.decode(errors="surrogateescape") for key, value in data.items()}
    for variable in container.env or ():
        if serving and variable.name == "PORT":
            continue  # the controller writes the declared one; here it is the runtime that knows
        if variable.value_from is None:
            env[variable.name] = expand(variable.value or "", env)
            continue
        value = _from(variable.value_from, container, pod, sources, machine)
        if value is not None:
            env[variable.name] = value
    return env


def _knative(pod: Json) -> dict[str, str]:
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    return {name: labels[label] for name, label in KNATIVE.items() if label in labels}


def _from(origin: EnvVarSource, container: Container, pod: Json, sources: Sources, machine: Machine) -> str | None:
    for kind, reference in ((CONFIG_MAP, origin.config_map_key_ref), (SECRET, origin.secret_key_ref)):
        if reference is not None:
            value = sources.one(Source(kind, reference.name), reference.key, reference.optional)
            return None if value is None else value.decode(errors="surrogateescape")
    if origin.field_ref is not None:
        return read_field(origin.field_ref.field_path, pod, machine)
    if origin.resource_field_ref is not None:
        return read_resource(origin.resource_field_ref, container, machine)
    return ""
