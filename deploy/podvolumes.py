"""A Pod's volumes as folders: which files with which content and mode, or an empty one, one of a
claim, or one of the host. Pure.

`deploy/volume_files` writes them. Files are kept by where they come from, or by their content, so that Pods of one
template see the same folder, and a runtime can prepare it before there is a Pod.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from core.resources.containers import Container
from core.resources.meta import Json
from core.resources.pods import PodSpec
from core.resources.quantities import whole_units
from core.resources.volumes import (
    DownwardFile,
    KeyToPath,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)
from deploy.claimed import ClaimedFolder
from deploy.podfields import CONFIG_ERROR, Machine, read_field, read_resource
from deploy.podsources import CONFIG_MAP, SECRET, Source, Sources
from deploy.runtimes.base import StartError

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """`path` is relative to the volume and stays inside it."""

    path: str
    content: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class FilesVolume:
    """Read-only files; `digest` names their content, `origin` what they are made of, where that is Secrets and
    ConfigMaps alone: then the files change as those do."""

    files: tuple[VolumeFile, ...]
    group: int | None = None
    origin: str = ""

    @property
    def digest(self) -> str:
        text = repr((sorted((file.path, file.mode, file.content) for file in self.files), self.group))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def has(self, path: str) -> bool:
        """Whether a file, a folder of them, or ("") all of it."""
        path = posixpath.normpath(path) if path else "."
        return path == "." or any(f"{file.path}/".startswith(f"{path}/") for file in self.files)


@dataclass(frozen=True, slots=True)
class EmptyVolume:
    """A folder of the Pod's own. `limit` as it was written."""

    group: int | None = None
    limit: str = ""

    @property
    def limit_bytes(self) -> int | None:
        return whole_units(self.limit) if self.limit not in ("", "0") else None


@dataclass(frozen=True, slots=True)
class HostVolume:
    """A path of this machine."""

    path: str


@dataclass(frozen=True, slots=True)
class ClaimVolume:
    """The folder of a PersistentVolumeClaim."""

    folder: ClaimedFolder
    read_only: bool = False


PlannedVolume: TypeAlias = FilesVolume | EmptyVolume | HostVolume | ClaimVolume


def plan_volumes(spec: PodSpec, pod: Json, sources: Sources, machine: Machine) -> dict[str, PlannedVolume]:
    """By name. StartError in the kubelet's words where something is missing, or needs storage that is not here."""
    group = spec.security_context.fs_group if spec.security_context is not None else None
    planned: dict[str, PlannedVolume] = {}
    for volume in spec.volumes or ():
        try:
            made = _plan(volume, _Reader(spec.containers, pod, sources, machine), group)
            if isinstance(made, FilesVolume):
                made = replace(made, origin=_origin(volume, sources.namespace, group))
            planned[volume.name] = made
        except StartError as error:
            raise StartError(
                error.reason, f'MountVolume.SetUp failed for volume "{volume.name}": {error.message}'
            ) from None
    return planned


def _origin(volume: Volume, namespace: str, group: int | None) -> str:
    """What fields and tokens are in belongs to one Pod, and stays as it was when the Pod began."""
    projections = (volume.projected.sources if volume.projected is not None else None) or ()
    of_the_pod = any(each.secret is None and each.config_map is None for each in projections)
    if volume.downward_api is not None or of_the_pod:
        return ""
    text = json.dumps([namespace, volume.to_json(), group], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plan(volume: Volume, reader: _Reader, group: int | None) -> PlannedVolume:
    if volume.empty_dir is not None:
        return EmptyVolume(group, str(volume.empty_dir.size_limit or ""))
    if volume.host_path is not None:
        return HostVolume(volume.host_path.path)
    if (claim := volume.persistent_volume_claim) is not None:
        return ClaimVolume(reader.sources.claims[claim.claim_name], bool(claim.read_only))
    if (secret := volume.secret) is not None:
        data = reader.sources.all(Source(SECRET, secret.secret_name or ""), secret.optional)
        return FilesVolume(_chosen(data, secret.items, secret.default_mode, secret.optional), group)
    if (config := volume.config_map) is not None:
        data = reader.sources.all(Source(CONFIG_MAP, config.name), config.optional)
        return FilesVolume(_chosen(data, config.items, config.default_mode, config.optional), group)
    if (downward := volume.downward_api) is not None:
        return FilesVolume(reader.fields(downward.items or (), downward.default_mode), group)
    if (projected := volume.projected) is not None:
        files: dict[str, VolumeFile] = {}
        for projection in projected.sources or ():
            files |= {file.path: file for file in reader.projection(projection, projected.default_mode)}
        return FilesVolume(tuple(files.values()), group)
    kind = next(iter(volume.to_json().keys() - {"name"}), "no source")
    raise StartError(
        CONFIG_ERROR, f"{kind} is not available on one machine; use emptyDir, persistentVolumeClaim or hostPath"
    )


class _Reader:
    """Turns projections into files."""

    def __init__(self, containers: Sequence[Container], pod: Json, sources: Sources, machine: Machine) -> None:
        self.sources = sources
        self._containers, self._pod, self._machine = {each.name: each for each in containers}, pod, machine

    def projection(self, projection: VolumeProjection, mode: int | None) -> Iterable[VolumeFile]:
        for kind, keys in ((SECRET, projection.secret), (CONFIG_MAP, projection.config_map)):
            if keys is not None:
                data = self.sources.all(Source(kind, keys.name), keys.optional)
                return _chosen(data, keys.items, mode, keys.optional)
        if projection.downward_api is not None:
            return self.fields(projection.downward_api.items or (), mode)
        if projection.service_account_token is not None:
            return [self._token(projection.service_account_token, mode)]
        return []

    def fields(self, items: Iterable[DownwardFile], mode: int | None) -> tuple[VolumeFile, ...]:
        files = []
        for item in items:
            text = ""
            if item.field_ref is not None:
                text = read_field(item.field_ref.field_path, self._pod, self._machine)
            elif (selector := item.resource_field_ref) is not None:
                container = self._containers.get(selector.container_name or "")
                if container is None:
                    raise StartError(CONFIG_ERROR, f'container "{selector.container_name}" not found')
                text = read_resource(selector, container, self._machine)
            files.append(VolumeFile(_inside(item.path), text.encode(), item.mode or mode or DEFAULT_MODE))
        return tuple(files)

    def _token(self, asked: ServiceAccountTokenProjection, mode: int | None) -> VolumeFile:
        """A token of the right shape that nobody trusts: there is no authority behind service accounts here."""
        metadata, spec = self._pod["metadata"], self._pod["spec"]
        name = spec.get("serviceAccountName") or "default"
        claims = {
            "aud": [asked.audience or "pilotlight"],
            "exp": int(self._machine.now) + (asked.expiration_seconds or 3600),
            "iat": int(self._machine.now),
            "iss": "pilotlight",
            "sub": f"system:serviceaccount:{metadata['namespace']}:{name}",
        }
        parts = [json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
        text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts) + b"."
        return VolumeFile(_inside(asked.path), text, mode or DEFAULT_MODE)


def _chosen(
    data: Mapping[str, bytes], items: Sequence[KeyToPath] | None, mode: int | None, optional: bool | None
) -> tuple[VolumeFile, ...]:
    usual = DEFAULT_MODE if mode is None else mode
    if items is None:
        return tuple(VolumeFile(key, value, usual) for key, value in sorted(data.items()))
    files = []
    for item in items:
        if item.key not in data:
            if optional:
                continue
            raise StartError(CONFIG_ERROR, f"references non-existent config key: {item.key}")
        files.append(VolumeFile(_inside(item.path), data[item.key], usual if item.mode is None else item.mode))
    return tuple(files)


def _inside(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise StartError(CONFIG_ERROR, f'path "{path}" must be relative and stay inside the volume')
    return path
