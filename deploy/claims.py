"""What becomes of a PersistentVolumeClaim, and of a PersistentVolume: Kubernetes' volume binder for one machine. Pure.

`deploy/controllers/claims` and `deploy/controllers/volumes` read what there is, ask here, and write. A claim gets the
least of the volumes that will do; where there is none, its class makes one: a folder in the platform's data folder.
(pkg/controller/volume/persistentvolume.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, TypeAlias

from core.resources.meta import Json
from core.resources.quantities import parse_quantity
from core.resources.selectors import selector_of
from core.resources.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from core.resources.storage_columns import DEFAULT_CLASS, is_default
from core.resources.storage_rules import (
    AVAILABLE,
    BLOCK,
    BOUND,
    DELETE,
    FAILED,
    FILESYSTEM,
    IMMEDIATE,
    LOST,
    PENDING,
    READ_WRITE_ONCE_POD,
    RELEASED,
    VOLUME_PROTECTION,
)

PROVISIONER: Final = "pilotlight.dev/folder"
STANDARD: Final = "standard"
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
STORAGE_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
_NO_GROWTH: Final = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


@dataclass(frozen=True, slots=True)
class Keep:
    """It has its volume; `capacity` is what the claim asks for now, where that is more than the volume has."""

    volume: Json
    capacity: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """It gets the default class."""

    storage_class: str


@dataclass(frozen=True, slots=True)
class Bind:
    """It gets a volume that there is."""

    volume: Json


@dataclass(frozen=True, slots=True)
class Provide:
    """A volume is made for it."""

    storage_class: Json


@dataclass(frozen=True, slots=True)
class Wait:
    """It stays as it is, and this is why."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Warning"
    phase: str = PENDING


Fate: TypeAlias = Keep | Join | Bind | Provide | Wait


def decide_claim(claim: Json, volumes: Sequence[Json], classes: Sequence[Json]) -> Fate:
    """`volumes` and `classes` are all that there are; of one with a volume's name, that volume is enough."""
    name = claim["spec"].get("volumeName")
    if name:
        volume = next((each for each in volumes if each["metadata"]["name"] == name), None)
        return _with_its_volume(claim, name, volume)
    return _without_volume(claim, volumes, classes)


def _with_its_volume(claim: Json, name: str, volume: Json | None) -> Fate:
    """The volume that the binder gave it, or that its user names."""
    had_it = (claim["metadata"].get("annotations") or {}).get(BIND_COMPLETED) == "yes"
    if volume is None:
        if had_it:
            return Wait(
                "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!", phase=LOST
            )
        return Wait("FailedBinding", f'volume "{name}" not found')
    reference = volume["spec"].get("claimRef")
    if had_it and reference is not None and is_of(reference, claim):
        return Keep(volume, _growth(claim, volume))
    if had_it and (reference is None or may_be_of(reference, claim)):
        return Bind(volume)  # it has come unbound: a backup, most likely
    if had_it:
        return Wait(
            "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly", phase=LOST
        )
    if reference is not None and not may_be_of(reference, claim):
        return Wait("FailedBinding", f'volume "{name}" already bound to a different claim.')
    if why := why_unfit(claim, volume):
        return Wait("VolumeMismatch", f'Cannot bind to requested volume "{name}": {why}')
    return Bind(volume)


def _without_volume(claim: Json, volumes: Sequence[Json], classes: Sequence[Json]) -> Fate:
    wanted = claim["spec"].get("storageClassName")
    if wanted is None:
        defaults = [each for each in classes if is_default(each) and "deletionTimestamp" not in each["metadata"]]
        if defaults:
            newest = max(defaults, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"]))
            return Join(newest["metadata"]["name"])
    if (volume := find_volume(claim, volumes)) is not None:
        return Bind(volume)
    if not wanted:
        said = "no persistent volumes available for this claim and no storage class is set"
        return Wait("FailedBinding", said, "Normal")
    found = next((each for each in classes if each["metadata"]["name"] == wanted), None)
    if found is None:
        return Wait("ProvisioningFailed", f'storageclass.storage.k8s.io "{wanted}" not found')
    return _provide(claim, found)


def _provide(claim: Json, storage_class: Json) -> Fate:
    provisioner, spec = storage_class["provisioner"], claim["spec"]
    if provisioner == NO_PROVISIONER:
        said = "no persistent volume is available for this claim, and its class makes none: create one by hand"
        return Wait("FailedBinding", said, "Normal")
    if provisioner != PROVISIONER:
        said = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        return Wait("ExternalProvisioning", said, "Normal")
    refused = {
        "spec.volumeMode Block: a folder is no device": spec.get("volumeMode") == BLOCK,
        "spec.selector: a volume that is made for a claim has no labels; name a volume in spec.volumeName": bool(
            spec.get("selector")
        ),
        "spec.dataSource: a folder begins empty": bool(spec.get("dataSource") or spec.get("dataSourceRef")),
        "spec.accessModes ReadWriteOncePod: nobody holds a folder to one Pod; use ReadWriteOnce": (
            READ_WRITE_ONCE_POD in spec["accessModes"]
        ),
    }
    for why, applies in refused.items():
        if applies:
            name = storage_class["metadata"]["name"]
            return Wait("ProvisioningFailed", f'failed to provision volume with StorageClass "{name}": {why}')
    return Provide(storage_class)


def find_volume(claim: Json, volumes: Sequence[Json]) -> Json | None:
    """The one that was kept for it, else the least that will do."""
    free = [each for each in volumes if "deletionTimestamp" not in each["metadata"] and not why_unfit(claim, each)]
    for volume in free:
        reference = volume["spec"].get("claimRef")
        if reference is not None and may_be_of(reference, claim):
            return volume
    selector = selector_of(claim["spec"].get("selector"))
    fit = [
        each
        for each in free
        if each["spec"].get("claimRef") is None and selector.matches(each["metadata"].get("labels"))
    ]
    return min(fit, key=lambda each: (_capacity(each), each["metadata"]["name"]), default=None)


def why_unfit(claim: Json, volume: Json) -> str:
    """ "" where the volume will do (checkVolumeSatisfyClaim)."""
    wanted, given = claim["spec"], volume["spec"]
    if _capacity(volume) < _requested(claim):
        return "requested PV is too small"
    if (wanted.get("storageClassName") or "") != (given.get("storageClassName") or ""):
        return "storageClassName does not match"
    if wanted.get("volumeMode", FILESYSTEM) != given.get("volumeMode", FILESYSTEM):
        return "incompatible volumeMode"
    if not set(wanted["accessModes"]) <= set(given["accessModes"]):
        return "incompatible accessMode"
    return ""


def is_of(reference: Json, claim: Json) -> bool:
    """Whether a volume's claimRef means this very claim."""
    return may_be_of(reference, claim) and reference.get("uid") == claim["metadata"]["uid"]


def may_be_of(reference: Json, claim: Json) -> bool:
    """The same, or a claim of that name that nobody had seen when it was written."""
    metadata = claim["metadata"]
    named = (reference.get("namespace"), reference.get("name")) == (metadata["namespace"], metadata["name"])
    return named and reference.get("uid", "") in ("", metadata["uid"])


def _growth(claim: Json, volume: Json) -> str:
    return str(claim["spec"]["resources"]["requests"]["storage"]) if _requested(claim) > _capacity(volume) else ""


def _requested(claim: Json) -> Decimal:
    return parse_quantity(claim["spec"]["resources"]["requests"]["storage"])


def _capacity(volume: Json) -> Decimal:
    return parse_quantity(volume["spec"]["capacity"]["storage"])


def why_fixed(claim: Json, wanted: Json, classes: Sequence[Json]) -> str:
    """Why a claim may not ask for as much as `wanted` does; "" where it may (PersistentVolumeClaimResize)."""
    if _requested(wanted) <= _requested(claim):
        return ""
    name = claim["spec"].get("storageClassName")
    if any(each["metadata"]["name"] == name and each.get("allowVolumeExpansion") for each in classes):
        return ""
    return _NO_GROWTH


# --- what is written


def standard_class() -> Json:
    """The class that a platform has from its first second."""
    return {
        "apiVersion": STORAGE_CLASS.api_version,
        "kind": STORAGE_CLASS.kind,
        "metadata": {"name": STANDARD, "annotations": {DEFAULT_CLASS: "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": DELETE,
        "volumeBindingMode": IMMEDIATE,
        "allowVolumeExpansion": True,
    }


def make_volume(claim: Json, storage_class: Json, folder: Path) -> Json:
    """A volume for this claim alone, bound from its first second."""
    spec = claim["spec"]
    return {
        "apiVersion": PERSISTENT_VOLUME.api_version,
        "kind": PERSISTENT_VOLUME.kind,
        "metadata": {
            "name": volume_name(claim),
            "annotations": {PROVISIONED_BY: PROVISIONER},
            "finalizers": [VOLUME_PROTECTION],
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "hostPath": {"path": str(folder), "type": "Directory"},
            "claimRef": reference_to(claim),
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", DELETE),
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": FILESYSTEM,
        },
        "status": {"phase": BOUND},
    }


def volume_name(claim: Json) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def folder_name(claim: Json) -> str:
    """Whose it is can be read off the disk."""
    metadata = claim["metadata"]
    return f"{volume_name(claim)}_{metadata['namespace']}_{metadata['name']}"


def reference_to(claim: Json) -> Json:
    metadata = claim["metadata"]
    return {
        "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
        "kind": PERSISTENT_VOLUME_CLAIM.kind,
        **{field: metadata[field] for field in ("namespace", "name", "uid", "resourceVersion") if field in metadata},
    }


def bound(claim: Json, volume: Json) -> Json:
    """The claim with its volume, for good."""
    metadata, name = claim["metadata"], volume["metadata"]["name"]
    annotations = {**(metadata.get("annotations") or {}), BIND_COMPLETED: "yes"}
    if not claim["spec"].get("volumeName"):
        annotations[BOUND_BY_CONTROLLER] = "yes"
    if (volume["metadata"].get("annotations") or {}).get(PROVISIONED_BY) == PROVISIONER:
        annotations[STORAGE_PROVISIONER] = PROVISIONER
    return {
        **claim,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {**claim["spec"], "volumeName": name},
    }


def bound_status(claim: Json, volume: Json) -> Json:
    spec = volume["spec"]
    status = {**(claim.get("status") or {}), "phase": BOUND, "accessModes": spec["accessModes"]}
    return {**status, "capacity": {"storage": spec["capacity"]["storage"]}}


# --- a volume


@dataclass(frozen=True, slots=True)
class Standing:
    """What a volume is now. `reclaim`: its folder is to go, and the volume with it."""

    phase: str
    reclaim: bool = False
    message: str = ""


def decide_volume(volume: Json, claim: Json | None, folders: Path) -> Standing:
    """`claim` is what its claimRef names, where there is that; `folders` hold what was made here."""
    spec = volume["spec"]
    reference = spec.get("claimRef")
    if reference is None:
        return Standing(AVAILABLE)
    if claim is not None and may_be_of(reference, claim):
        has_it = reference.get("uid") and claim["spec"].get("volumeName") == volume["metadata"]["name"]
        return Standing(BOUND if has_it or was_made(volume) else AVAILABLE)
    if not reference.get("uid"):
        return Standing(AVAILABLE)  # kept for a claim that is yet to come
    if spec.get("persistentVolumeReclaimPolicy") != DELETE:
        return Standing(RELEASED)
    path = Path((spec.get("hostPath") or spec.get("local") or {}).get("path", ""))
    if was_made(volume) and path.parent == folders and ".." not in path.parts:
        return Standing(RELEASED, reclaim=True)
    return Standing(FAILED, message=f"{path} was not made in {folders}, and is left alone: remove it yourself")


def was_made(volume: Json) -> bool:
    """By this platform, for a claim."""
    annotations: Mapping[str, str] = volume["metadata"].get("annotations") or {}
    return annotations.get(PROVISIONED_BY) == PROVISIONER
