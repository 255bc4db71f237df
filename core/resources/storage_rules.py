"""Defaults, refusals and warnings of claims, volumes and storage classes, in the words of Kubernetes.

(pkg/apis/core/validation, pkg/apis/storage/validation, plugin/pkg/admission/storage.) What a claim has to do with its
class is judged elsewhere: rules see one object. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.errors import FieldError
from core.resources.fields import NOT_HONORED
from core.resources.meta import AdmissionContext, Json
from core.resources.names import check_dns1123_subdomain, check_qualified_name
from core.resources.problems import check_allowed, forbidden, invalid, not_supported, required
from core.resources.quantities import parse_quantity
from core.resources.selectors import check_selector

PENDING, BOUND, LOST = "Pending", "Bound", "Lost"
AVAILABLE, RELEASED, FAILED = "Available", "Released", "Failed"
DELETE, RETAIN = "Delete", "Retain"
CLAIM_PROTECTION: Final = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION: Final = "kubernetes.io/pv-protection"
READ_WRITE_ONCE_POD: Final = "ReadWriteOncePod"
ACCESS_MODES: Final = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", READ_WRITE_ONCE_POD)
FILESYSTEM, BLOCK = "Filesystem", "Block"
IMMEDIATE, FIRST_CONSUMER = "Immediate", "WaitForFirstConsumer"
FOLDERS: Final = ("hostPath", "local")
ELSEWHERE: Final = (
    "csi", "nfs", "iscsi", "fc", "rbd", "cephfs", "glusterfs", "cinder", "flocker", "flexVolume", "quobyte",
    "storageos", "portworxVolume", "scaleIO", "azureDisk", "azureFile", "awsElasticBlockStore", "gcePersistentDisk",
    "photonPersistentDisk", "vsphereVolume",
)  # fmt: skip
"""Sources of volumes that no folder of this machine is."""
_GROWS: Final = "spec is immutable after creation except resources.requests for bound claims"


def default_claim(obj: Json, context: AdmissionContext) -> None:
    obj.setdefault("spec", {}).setdefault("volumeMode", FILESYSTEM)
    obj.setdefault("status", {}).setdefault("phase", PENDING)
    _protect(obj, context, CLAIM_PROTECTION)


def default_volume(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", FILESYSTEM)
    spec.setdefault("persistentVolumeReclaimPolicy", RETAIN)
    if "hostPath" in spec:
        spec["hostPath"].setdefault("type", "")
    obj.setdefault("status", {}).setdefault("phase", PENDING)
    _protect(obj, context, VOLUME_PROTECTION)


def default_class(obj: Json, context: AdmissionContext) -> None:
    obj.setdefault("reclaimPolicy", DELETE)
    obj.setdefault("volumeBindingMode", IMMEDIATE)


def _protect(obj: Json, context: AdmissionContext, finalizer: str) -> None:
    """When it is made; whoever takes it off later is not told better (StorageObjectInUseProtection)."""
    finalizers = obj["metadata"].get("finalizers") or []
    if context.old is None and finalizer not in finalizers:
        obj["metadata"]["finalizers"] = [*finalizers, finalizer]


def validate_claim(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec, path = obj["spec"], "spec"
    errors = _access_modes(spec, path, required(f"{path}.accessModes", "at least 1 access mode is required"))
    if "selector" in spec:
        errors += check_selector(spec["selector"], f"{path}.selector")
    errors += _storage((spec.get("resources") or {}).get("requests") or {}, f"{path}.resources")
    errors += _class_name(spec, path) + check_allowed(spec.get("volumeMode"), (FILESYSTEM, BLOCK), f"{path}.volumeMode")
    if not errors and context.old is not None:
        errors += _claim_change(obj, context.old)
    return errors


def _claim_change(new: Json, old: Json) -> list[FieldError]:
    """A claim may get a volume once, and a class; one that has its volume may ask for more."""
    before, after = _comparable(old["spec"]), _comparable(new["spec"])
    if not before.get("volumeName"):
        before.pop("volumeName", None)
        after.pop("volumeName", None)
    if "storageClassName" not in before:
        after.pop("storageClassName", None)
    wanted, held = _requested(new["spec"]), _requested(old["spec"])
    if (old.get("status") or {}).get("phase") == BOUND:
        after["requests"] = {**after["requests"], "storage": before["requests"].get("storage")}
    errors = []
    if before != after:
        errors.append(forbidden("spec", _GROWS))
    if wanted < held:
        errors.append(forbidden("spec.resources.requests.storage", "field can not be less than previous value"))
    return errors


def _comparable(spec: Json) -> Json:
    """With what stands for the same spelled the same."""
    resources = spec.get("resources") or {}
    requests = {name: parse_quantity(value) for name, value in (resources.get("requests") or {}).items()}
    return {**spec, "resources": resources.get("limits"), "requests": requests}


def _requested(spec: Json) -> Any:
    return parse_quantity(spec["resources"]["requests"]["storage"])


def validate_volume(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec, path = obj["spec"], "spec"
    errors = _access_modes(spec, path, required(f"{path}.accessModes"))
    if not spec.get("capacity"):
        errors.append(required(f"{path}.capacity"))
    else:
        errors += _storage(spec["capacity"], f"{path}.capacity")
        unknown = sorted(set(spec["capacity"]) - {"storage"})
        errors += [not_supported(f"{path}.capacity", name, ("storage",)) for name in unknown]
    errors += _source(spec, path) + _class_name(spec, path)
    errors += check_allowed(
        spec.get("persistentVolumeReclaimPolicy"), (DELETE, RETAIN), f"{path}.persistentVolumeReclaimPolicy"
    )
    errors += check_allowed(spec.get("volumeMode"), (FILESYSTEM, BLOCK), f"{path}.volumeMode")
    old = (context.old or {}).get("spec")
    if old is not None:
        if any(old.get(source) != spec.get(source) for source in FOLDERS):
            message = "spec.persistentvolumesource is immutable after creation"
            errors.append(forbidden(f"{path}.persistentvolumesource", message))
        if old.get("volumeMode") != spec.get("volumeMode"):
            errors.append(invalid(f"{path}.volumeMode", spec.get("volumeMode"), "field is immutable"))
    return errors


def _source(spec: Json, path: str) -> list[FieldError]:
    elsewhere = [source for source in ELSEWHERE if source in spec]
    if elsewhere:
        message = "a volume of one machine is a folder of it: use hostPath or local"
        return [forbidden(f"{path}.{source}", message) for source in elsewhere]
    given = [source for source in FOLDERS if source in spec]
    if not given:
        return [required(path, "must specify a volume type")]
    if len(given) > 1:
        return [forbidden(f"{path}.{extra}", "may not specify more than 1 volume type") for extra in given[1:]]
    at, folder = f"{path}.{given[0]}.path", spec[given[0]].get("path") or ""
    if not folder:
        return [required(at)]
    if ".." in folder.split("/"):
        return [invalid(at, folder, "must not contain '..'")]
    return [] if folder.startswith("/") else [invalid(at, folder, "must be an absolute path")]


def validate_class(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    errors: list[FieldError] = []
    provisioner = obj.get("provisioner") or ""
    if not provisioner:
        errors.append(required("provisioner"))
    elif problem := check_qualified_name(provisioner.lower()):
        errors.append(invalid("provisioner", provisioner, problem))
    errors += check_allowed(obj.get("reclaimPolicy"), (DELETE, RETAIN), "reclaimPolicy")
    errors += check_allowed(obj.get("volumeBindingMode"), (IMMEDIATE, FIRST_CONSUMER), "volumeBindingMode")
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if context.old is not None and (context.old.get(field) or {}) != (obj.get(field) or {}):
            errors.append(forbidden(field, f"updates to {field} are forbidden."))
    if context.old is not None and context.old.get("volumeBindingMode") != obj.get("volumeBindingMode"):
        errors.append(invalid("volumeBindingMode", obj.get("volumeBindingMode"), "field is immutable"))
    return errors


def _access_modes(spec: Json, path: str, missing: FieldError) -> list[FieldError]:
    modes = spec.get("accessModes") or []
    if not modes:
        return [missing]
    at = f"{path}.accessModes"
    errors = [not_supported(at, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if READ_WRITE_ONCE_POD in modes and len(set(modes)) > 1:
        errors.append(forbidden(at, "may not use ReadWriteOncePod with other access modes"))
    return errors


def _storage(amounts: Mapping[str, Any], path: str) -> list[FieldError]:
    at = f"{path}[storage]"
    if "storage" not in amounts:
        return [required(at)]
    try:
        amount = parse_quantity(amounts["storage"])
    except ValueError as error:
        return [invalid(at, amounts["storage"], str(error))]
    return [] if amount > 0 else [invalid(at, str(amounts["storage"]), "must be greater than zero")]


def _class_name(spec: Json, path: str) -> list[FieldError]:
    name = spec.get("storageClassName") or ""
    problem = check_dns1123_subdomain(name) if name else None
    return [invalid(f"{path}.storageClassName", name, problem)] if problem else []


def warn_claim(obj: Json, context: AdmissionContext) -> Sequence[str]:
    return _unhonored(obj["spec"], ("volumeAttributesClassName",), "spec.")


def warn_volume(obj: Json, context: AdmissionContext) -> Sequence[str]:
    return _unhonored(obj["spec"], ("mountOptions", "nodeAffinity", "volumeAttributesClassName"), "spec.")


def warn_class(obj: Json, context: AdmissionContext) -> Sequence[str]:
    return _unhonored(obj, ("parameters", "mountOptions", "allowedTopologies"), "")


def _unhonored(given: Json, fields: Sequence[str], path: str) -> list[str]:
    return [f"{path}{field}: {NOT_HONORED[0].lower()}{NOT_HONORED[1:-1]}" for field in fields if given.get(field)]
