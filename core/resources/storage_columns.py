"""What `kubectl get pvc,pv,sc` prints, by the rules of kubectl's own printer.

(pkg/printers/internalversion/printers.go, printPersistentVolumeClaim, printPersistentVolume, printStorageClass.) Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.resources.meta import Column, Json

DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
BETA_DEFAULT_CLASS: Final = "storageclass.beta.kubernetes.io/is-default-class"
UNSET: Final = "<unset>"
WIDE: Final = 1
_SHORT: Final = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def is_default(storage_class: Json) -> bool:
    """Whether claims that name no class are its."""
    annotations = storage_class["metadata"].get("annotations") or {}
    return "true" in (annotations.get(DEFAULT_CLASS), annotations.get(BETA_DEFAULT_CLASS))


def short_modes(modes: Sequence[str] | None) -> str:
    """`RWO,ROX`: in Kubernetes' order, each once."""
    return ",".join(short for mode, short in _SHORT.items() if mode in (modes or ()))


def _phase(obj: Json) -> str:
    """What is on its way out says so, whatever it was."""
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    return str((obj.get("status") or {}).get("phase") or "")


def _claim_capacity(obj: Json) -> str:
    status = obj.get("status") or {}
    return str((status.get("capacity") or {}).get("storage", "")) if obj["spec"].get("volumeName") else ""


def _claim_modes(obj: Json) -> str:
    return short_modes((obj.get("status") or {}).get("accessModes")) if obj["spec"].get("volumeName") else ""


def _capacity(obj: Json) -> str:
    return str((obj["spec"].get("capacity") or {}).get("storage", ""))


def _modes(obj: Json) -> str:
    return short_modes(obj["spec"].get("accessModes"))


def _claim(obj: Json) -> str:
    reference = obj["spec"].get("claimRef")
    return f"{reference.get('namespace', '')}/{reference.get('name', '')}" if reference else ""


def _class(obj: Json) -> str:
    return str(obj["spec"].get("storageClassName") or "")


def _attributes(obj: Json) -> str:
    return str(obj["spec"].get("volumeAttributesClassName") or UNSET)


def _mode(obj: Json) -> str:
    return str(obj["spec"].get("volumeMode") or UNSET)


def _class_name(obj: Json) -> str:
    name: str = obj["metadata"]["name"]
    return f"{name} (default)" if is_default(obj) else name


def _expands(obj: Json) -> bool:
    return bool(obj.get("allowVolumeExpansion"))


_AGE: Final = Column("Age", "metadata.creationTimestamp", "date")
_ATTRIBUTES: Final = Column("VolumeAttributesClass", "", value=_attributes, description="Attributes of a CSI volume.")
_MODE: Final = Column("VolumeMode", "", value=_mode, priority=WIDE, description="Filesystem.")

OF_CLAIMS: Final = (
    Column("Status", "", value=_phase, description="Pending, Bound or Lost."),
    Column("Volume", "spec.volumeName", description="The volume that it has."),
    Column("Capacity", "", value=_claim_capacity, description="What that holds."),
    Column("Access Modes", "", value=_claim_modes, description="What that allows."),
    Column("StorageClass", "", value=_class, description="Who provides for it."),
    _ATTRIBUTES,
    _AGE,
    _MODE,
)
OF_VOLUMES: Final = (
    Column("Capacity", "", value=_capacity, description="What it holds."),
    Column("Access Modes", "", value=_modes, description="What it allows."),
    Column("Reclaim Policy", "spec.persistentVolumeReclaimPolicy", description="What becomes of it after its claim."),
    Column("Status", "", value=_phase, description="Available, Bound, Released or Failed."),
    Column("Claim", "", value=_claim, description="Who has it."),
    Column("StorageClass", "", value=_class, description="The class whose claims may have it."),
    _ATTRIBUTES,
    Column("Reason", "status.reason", description="Why its phase is what it is."),
    _AGE,
    _MODE,
)
OF_CLASSES: Final = (
    Column("Name", "", value=_class_name, description="The name of the class, and whether it is the default one."),
    Column("Provisioner", "provisioner", description="Who makes its volumes."),
    Column("ReclaimPolicy", "reclaimPolicy", description="What becomes of them after their claims."),
    Column("VolumeBindingMode", "volumeBindingMode", description="When they are made."),
    Column("AllowVolumeExpansion", "", "boolean", value=_expands, description="Whether claims may grow."),
    _AGE,
)
