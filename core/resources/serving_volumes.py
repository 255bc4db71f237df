"""Volumes and mounts in a revision template. Called by `serving_podspec`; the messages are Knative's. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence

from core.resources import serving_fields as fields
from core.resources.knative_errors import Errors, both_of, generic, invalid, missing, neither_of, via
from core.resources.meta import Json
from core.resources.names import check_dns1123_label
from core.settings.features import FeatureSettings, Flag

RESERVED_PATHS = frozenset({"/", "/dev", "/dev/log"})
WRITABLE_SOURCES = frozenset({"emptyDir", "persistentVolumeClaim", "ephemeral"})
_DISABLED = {
    "image": "Image",
    "emptyDir": "EmptyDir",
    "hostPath": "HostPath",
    "csi": "CSI",
    "ephemeral": "Ephemeral",
}
_ORDER = (
    "secret",
    "configMap",
    "projected",
    "emptyDir",
    "persistentVolumeClaim",
    "hostPath",
    "csi",
    "ephemeral",
    "image",
)
_PROJECTED = ("secret", "configMap", "serviceAccountToken", "downwardAPI")


def validate_volumes(volumes: Sequence[Json], mounted: Collection[str], features: FeatureSettings) -> Errors:
    """`mounted`: the names that some container mounts; a volume that none does is refused."""
    errors: Errors = []
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        name = volume.get("name") or ""
        found: Errors = []
        if name in seen:
            found += generic(f'duplicate volume name "{name}"', "name")
        if name not in mounted:
            found += generic(f'volume with name "{name}" not mounted', "name")
        seen.add(name)
        errors += via(f"[{index}]", found + _validate_volume(name, volume, features))
    return errors


def _validate_volume(name: str, volume: Json, features: FeatureSettings) -> Errors:
    errors = [] if name else missing("name")
    if name and check_dns1123_label(name):
        errors += invalid(name, "name")
    errors += _validate_closed_sources(name, volume, features)
    allowed = fields.open_fields(features, fields.VOLUME_SOURCES, fields.VOLUME_FLAGS)
    sources = {source: value for source, value in volume.items() if source != "name" and value is not None}
    errors += fields.check_fields({k: v or True for k, v in sources.items()}, allowed)
    given = [source for source in _ORDER if source in sources]
    if not given:
        errors += neither_of(*(source for source in _ORDER if source in allowed))
    elif len(given) > 1:
        errors += both_of(*given)
    for source in ("secret", "configMap"):
        errors += via("items", _validate_items((sources.get(source) or {}).get("items") or ()))
    for index, projection in enumerate((sources.get("projected") or {}).get("sources") or ()):
        errors += via(f"projected[{index}]", _validate_projection(projection))
    medium = (sources.get("emptyDir") or {}).get("medium") or ""
    if medium not in ("", "Memory"):
        errors += invalid(medium, "emptyDir.medium")
    return errors


def _validate_closed_sources(name: str, volume: Json, features: FeatureSettings) -> Errors:
    """A source behind a flag that is off: said in a sentence that names the volume."""
    errors: Errors = []
    for source, title in _DISABLED.items():
        if volume.get(source) is not None and not fields.is_open(features, fields.VOLUME_FLAGS[source]):
            errors += generic(f"{title} volume support is disabled, but found {title} volume {name}")
    claim = volume.get("persistentVolumeClaim")
    if claim is not None and features.persistent_volume_claim != Flag.ENABLED:
        errors += generic(
            "Persistent volume claim support is disabled, "
            f"but found persistent volume claim {claim.get('claimName', '')}"
        )
    if claim is not None and not claim.get("readOnly") and features.persistent_volume_write != Flag.ENABLED:
        errors += generic(
            "Persistent volume write support is disabled, "
            f"but found persistent volume claim {claim.get('claimName', '')} that is not read-only"
        )
    return errors


def _validate_projection(projection: Json) -> Errors:
    errors = fields.check_fields(projection, fields.PROJECTION_SOURCES)
    given = [source for source in _PROJECTED if projection.get(source) is not None]
    if not given:
        errors += neither_of(*_PROJECTED)
    elif len(given) > 1:
        errors += both_of(*given)
    for source in ("secret", "configMap"):
        part = projection.get(source)
        if part is not None:
            found = [] if part.get("name") else missing("name")
            errors += via(source, found + via("items", _validate_items(part.get("items") or ())))
    token = projection.get("serviceAccountToken")
    if token is not None and not token.get("path"):
        errors += missing("serviceAccountToken.path")
    for index, item in enumerate((projection.get("downwardAPI") or {}).get("items") or ()):
        errors += via(f"downwardAPI.items[{index}]", _validate_downward(item))
    return errors


def _validate_downward(item: Json) -> Errors:
    given = [source for source in ("fieldRef", "resourceFieldRef") if item.get(source) is not None]
    errors = [] if item.get("path") else missing("path")
    if not given:
        errors += neither_of("fieldRef", "resourceFieldRef")
    elif len(given) > 1:
        errors += generic("Within a single item, cannot set both", "resourceFieldRef", "fieldRef")
    return errors


def _validate_items(items: Sequence[Json]) -> Errors:
    errors: Errors = []
    for index, item in enumerate(items):
        errors += via(f"[{index}]", missing(*(field for field in ("key", "path") if not item.get(field))))
    return errors


def validate_mounts(mounts: Sequence[Json], volumes: Mapping[str, Json], features: FeatureSettings) -> Errors:
    allowed = fields.MOUNT_FIELDS
    if fields.is_open(features, "volumes_mount_propagation"):
        allowed = allowed | {"mountPropagation"}
    errors: Errors = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        volume = volumes.get(mount.get("name") or "")
        found = fields.check_fields(mount, allowed)
        if mount.get("mountPropagation") and features.volumes_mount_propagation != Flag.ENABLED:
            name = mount.get("name") or ""
            found += generic(
                f"Volume Mount Propagation support is disabled, but found volume mount {name} with mount propagation"
            )
        if (mount.get("mountPropagation") or "None") not in ("None", "HostToContainer"):
            found += generic("mount propagation should be set to None or HostToContainer", "mountPropagation")
        if volume is None:
            found += generic("volumeMount has no matching volume", "name")
        found += _validate_mount_path(mount.get("mountPath") or "", seen)
        is_writable = any((volume or {}).get(source) is not None for source in WRITABLE_SOURCES)
        if not is_writable and not mount.get("readOnly"):
            found += generic("volume mount should be readOnly for this type of volume", "readOnly")
        claim = (volume or {}).get("persistentVolumeClaim") or {}
        if claim.get("readOnly") and not mount.get("readOnly"):
            found += generic("volume is readOnly but volume mount is not", "readOnly")
        errors += via(f"[{index}]", found)
    return errors


def _validate_mount_path(path: str, seen: set[str]) -> Errors:
    if not path:
        return missing("mountPath")
    clean = posixpath.normpath(path)
    if clean in RESERVED_PATHS:
        return generic(f'mountPath "{clean}" is a reserved path', "mountPath")
    if not path.startswith("/"):
        return invalid(path, "mountPath")
    if clean in seen:
        return invalid(f'"{path}" must be unique', "mountPath")
    seen.add(clean)
    return []
