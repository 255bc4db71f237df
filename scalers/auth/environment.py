"""Variables of a container, as the kubelet would set them, without a Pod: for `…FromEnv` and env of authentications.

Only what is asked for is resolved, so a Secret that a trigger has no use for is neither read nor missed. As upstream's
ResolveContainerEnv (pkg/scaling/resolver/scale_resolvers.go), but that what cannot be known is an error and not empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import PermanentError
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.expansion import expand, references
from core.resources.meta import Json, Kind, ObjectKey
from scalers.auth.lookup import Lookup, Referent, missing, text_of


@dataclass(frozen=True, slots=True)
class Workload:
    """The Pods of a target: their template's spec, and where they live. `pods` None: the target has no template."""

    namespace: str
    pods: Json | None
    container: str | None = None  # None: the first


async def read_variables(lookup: Lookup, workload: Workload, names: Iterable[str]) -> dict[str, str]:
    """Those of `names` that the container has. PermanentError: one that it has cannot be known."""
    wanted = set(names)
    if not wanted or workload.pods is None:
        return {}
    container = find_container(workload)
    who = f"container {container['name']}"
    variables = container.get("env") or ()
    needed, outside = _needed(variables, wanted)
    env: dict[str, str] = {}
    for whole in container.get("envFrom") or ():
        prefix = whole.get("prefix") or ""
        if any(name.startswith(prefix) for name in outside):
            env |= await _all(lookup, whole, workload.namespace, who)
    for variable in variables:
        name = variable["name"]
        if name not in needed:
            continue
        if variable.get("valueFrom") is None:
            env[name] = expand(variable.get("value") or "", env)
            continue
        value = await _one(lookup, variable, workload, who)
        if value is not None:
            env[name] = value
    return {name: env[name] for name in wanted if name in env}


def find_container(workload: Workload) -> Json:
    """PermanentError: there is none of that name."""
    containers = (workload.pods or {}).get("containers") or ()
    for container in containers:
        if workload.container in (None, container["name"]):
            return dict(container)
    names = ", ".join(container["name"] for container in containers)
    raise PermanentError(
        f"the target has no container {workload.container!r}; it has {names or 'none'}", "ContainerNotFound"
    )


def _needed(variables: Iterable[Mapping[str, Any]], wanted: set[str]) -> tuple[set[str], set[str]]:
    """Wanted ones and those that they refer to; and which of them may come from envFrom. References look back."""
    needed, undefined = set(wanted), set(wanted)
    for variable in reversed(list(variables)):
        if variable["name"] in needed:
            undefined.discard(variable["name"])
            referred = references(variable.get("value") or "")
            needed |= referred
            undefined |= referred
    return needed, undefined


async def _all(lookup: Lookup, whole: Json, namespace: str, who: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, field in ((CONFIG_MAP, "configMapRef"), (SECRET, "secretRef")):
        reference = whole.get(field)
        if reference is None:
            continue
        referent = Referent(kind, ObjectKey(namespace, reference["name"]))
        data = await lookup.data(referent)
        if data is None and not reference.get("optional"):
            raise PermanentError(missing(referent, f"the environment of {who}"), "ReferenceNotFound")
        prefix = whole.get("prefix") or ""
        found |= {prefix + key: value.decode(errors="surrogateescape") for key, value in (data or {}).items()}
    return found


async def _one(lookup: Lookup, variable: Json, workload: Workload, who: str) -> str | None:
    origin = variable["valueFrom"]
    asked_by = f"the variable {variable['name']} of {who}"
    kinds: tuple[tuple[Kind[Any], str], ...] = ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef"))
    for kind, field in kinds:
        reference = origin.get(field)
        if reference is None:
            continue
        referent = Referent(kind, ObjectKey(workload.namespace, reference["name"]))
        if not reference.get("optional"):
            return await lookup.value(referent, reference["key"], asked_by)
        value = (await lookup.data(referent) or {}).get(reference["key"])
        return None if value is None else text_of(value, f"the key {reference['key']!r} of {referent}", asked_by)
    return _of_every_pod(origin, workload, asked_by)


def _of_every_pod(origin: Json, workload: Workload, asked_by: str) -> str:
    """What is the same in every Pod of the target, and so known without one."""
    path = (origin.get("fieldRef") or {}).get("fieldPath")
    if path == "metadata.namespace":
        return workload.namespace
    if path == "spec.serviceAccountName":
        return (workload.pods or {}).get("serviceAccountName") or "default"
    what = f"fieldRef {path}" if path else ", ".join(origin)
    raise PermanentError(
        f"{asked_by} comes from {what}, which is not known without one of its Pods: give the trigger a plain value",
        "ReferenceInvalid",
    )
