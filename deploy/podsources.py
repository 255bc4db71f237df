"""What a Pod takes from: the Secrets and ConfigMaps that it names, and their keys; the folders of its claims. Pure.

`deploy/planning` fetches what `needed` names; `environment` and `podvolumes` read from `Sources`.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from core.resources.meta import Json
from core.resources.pods import PodSpec
from deploy.claimed import ClaimedFolder
from deploy.podfields import CONFIG_ERROR
from deploy.runtimes.base import StartError

SECRET, CONFIG_MAP = "secret", "configmap"  # as the kubelet's messages call them


@dataclass(frozen=True, slots=True)
class Source:
    """One object by the kind's word in messages, and its name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The data of what was found, as bytes by key; what is not in it does not exist."""

    namespace: str
    found: Mapping[Source, Mapping[str, bytes]] = field(default_factory=dict)
    claims: Mapping[str, ClaimedFolder] = field(default_factory=dict)  # by name: all that the Pod names

    def all(self, source: Source, optional: bool | None) -> Mapping[str, bytes]:
        """Every key; nothing for a missing one that is optional. StartError in the kubelet's words."""
        data = self.found.get(source)
        if data is None and not optional:
            raise StartError(CONFIG_ERROR, f'{source.kind} "{source.name}" not found')
        return data or {}

    def one(self, source: Source, key: str, optional: bool | None) -> bytes | None:
        """One key; None for a missing one that is optional. StartError in the kubelet's words."""
        value = self.all(source, optional).get(key)
        if value is None and not optional:
            title = "Secret" if source.kind == SECRET else "ConfigMap"
            raise StartError(CONFIG_ERROR, f"couldn't find key {key} in {title} {self.namespace}/{source.name}")
        return value


def data_of(obj: Json) -> dict[str, bytes]:
    """The values of a Secret or ConfigMap."""
    if obj["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    text = {key: value.encode() for key, value in (obj.get("data") or {}).items()}
    return text | {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}


def needed(spec: PodSpec) -> set[Source]:
    """Everything that environment, volumes and pulls refer to, optional or not."""
    pull = (Source(SECRET, reference.name) for reference in spec.image_pull_secrets or ())
    return {*_by_environment(spec), *mounted(spec), *pull}


def mounted(spec: PodSpec) -> set[Source]:
    """What its volumes show."""
    return set(_by_volumes(spec))


def registry_auth(sources: Sources, secrets: Iterable[str]) -> dict[str, dict[str, str]]:
    """Registry host → credentials, of all pull secrets that exist; the kubelet, too, passes over the others. For one
    that several have the first counts."""
    found: dict[str, dict[str, str]] = {}
    for name in secrets:
        data = sources.found.get(Source(SECRET, name)) or {}
        for key, wrapped in ((".dockerconfigjson", True), (".dockercfg", False)):
            if key in data:
                with contextlib.suppress(ValueError, AttributeError):
                    document = orjson.loads(data[key])
                    found = {**((document.get("auths") or {}) if wrapped else document), **found}
    return found


def _by_environment(spec: PodSpec) -> Iterator[Source]:
    for container in (*(spec.init_containers or ()), *spec.containers):
        for whole in container.env_from or ():
            if whole.secret_ref is not None:
                yield Source(SECRET, whole.secret_ref.name)
            if whole.config_map_ref is not None:
                yield Source(CONFIG_MAP, whole.config_map_ref.name)
        for variable in container.env or ():
            if variable.value_from is None:
                continue
            if variable.value_from.secret_key_ref is not None:
                yield Source(SECRET, variable.value_from.secret_key_ref.name)
            if variable.value_from.config_map_key_ref is not None:
                yield Source(CONFIG_MAP, variable.value_from.config_map_key_ref.name)


def _by_volumes(spec: PodSpec) -> Iterator[Source]:
    for volume in spec.volumes or ():
        if volume.secret is not None:
            yield Source(SECRET, volume.secret.secret_name or "")
        if volume.config_map is not None:
            yield Source(CONFIG_MAP, volume.config_map.name)
        for projection in (volume.projected.sources if volume.projected is not None else None) or ():
            if projection.secret is not None:
                yield Source(SECRET, projection.secret.name)
            if projection.config_map is not None:
                yield Source(CONFIG_MAP, projection.config_map.name)
