"""PersistentVolumeClaim, PersistentVolume (core/v1) and StorageClass (storage.k8s.io/v1): folders that outlive Pods.

Users write claims, `deploy` provides for them. Rules are in `storage_rules`, columns in `storage_columns`.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from core.resources import storage_columns as columns
from core.resources import storage_rules as rules
from core.resources.containers import Quantity
from core.resources.core_v1 import ObjectReference
from core.resources.fields import doc, keyed, unhonored, whole
from core.resources.meta import Kind, Model, Resource
from core.resources.selectors import LabelSelectorModel
from core.resources.volumes import HostPathVolumeSource


class VolumeResources(Model):
    requests: dict[str, Quantity] | None = doc("The least it must hold: storage. A folder is not limited to that.")
    limits: dict[str, Quantity] | None = unhonored("The most it may hold.")


class ClaimSpec(Model):
    access_modes: list[str] | None = doc("ReadWriteOnce, ReadOnlyMany or ReadWriteMany.")
    resources: VolumeResources | None = doc("What it must hold.")
    storage_class_name: str | None = doc("Who provides for it; the default class. Empty: an existing volume alone.")
    volume_name: str | None = doc("The volume that it has.")
    volume_mode: str | None = doc("Filesystem.")
    selector: LabelSelectorModel | None = whole("Which existing volumes will do.")
    data_source: dict[str, Any] | None = doc("What it shall begin with; not provided for here.")
    data_source_ref: dict[str, Any] | None = doc("What it shall begin with; not provided for here.")
    volume_attributes_class_name: str | None = unhonored("Attributes of a CSI volume.")


class ClaimCondition(Model):
    type: str = Field(description="Kind of condition.")
    status: str = Field(description="True, False or Unknown.")
    reason: str | None = doc("Why, in one word.")
    message: str | None = doc("Why, in a sentence.")
    last_probe_time: str | None = doc("When it was last looked at.")
    last_transition_time: str | None = doc("When its status last changed.")


class ClaimStatus(Model):
    phase: str | None = doc("Pending, Bound or Lost.")
    access_modes: list[str] | None = doc("What its volume allows.")
    capacity: dict[str, Quantity] | None = doc("What its volume holds.")
    conditions: list[ClaimCondition] | None = keyed("What goes on.", "type")
    allocated_resources: dict[str, Quantity] | None = unhonored("While it grows.")
    allocated_resource_statuses: dict[str, str] | None = unhonored("While it grows.")
    current_volume_attributes_class_name: str | None = unhonored("Attributes of a CSI volume.")
    modify_volume_status: dict[str, Any] | None = unhonored("While attributes change.")
    health_status: dict[str, Any] | None = unhonored("How a CSI volume is.")


class PersistentVolumeClaim(Resource):
    """Storage that a user asks for."""

    spec: ClaimSpec = Field(default_factory=ClaimSpec, description="What is asked for.")
    status: ClaimStatus | None = doc("What there is.")


class LocalVolumeSource(Model):
    path: str = Field(default="", description="Folder on this machine.")
    fs_type: str | None = unhonored("File system of a device.")


class VolumeSpec(Model):
    """A folder of this machine; the other sources are known so that their refusal can say why."""

    capacity: dict[str, Quantity] | None = doc("What it holds: storage.")
    access_modes: list[str] | None = doc("ReadWriteOnce, ReadOnlyMany or ReadWriteMany.")
    host_path: HostPathVolumeSource | None = doc("A folder of this machine.")
    local: LocalVolumeSource | None = doc("A folder of this machine that must be there.")
    claim_ref: ObjectReference | None = whole("The claim that has it.")
    persistent_volume_reclaim_policy: str | None = doc("What becomes of it after its claim: Delete or Retain; Retain.")
    storage_class_name: str | None = doc("The class whose claims may have it.")
    volume_mode: str | None = doc("Filesystem.")
    mount_options: list[str] | None = unhonored("Options of the mount.")
    node_affinity: dict[str, Any] | None = unhonored("Where it can be reached from.")
    volume_attributes_class_name: str | None = unhonored("Attributes of a CSI volume.")
    csi: dict[str, Any] | None = unhonored("A CSI driver.")
    nfs: dict[str, Any] | None = unhonored("An NFS export.")
    iscsi: dict[str, Any] | None = unhonored()
    fc: dict[str, Any] | None = unhonored()
    rbd: dict[str, Any] | None = unhonored()
    cephfs: dict[str, Any] | None = unhonored()
    glusterfs: dict[str, Any] | None = unhonored()
    cinder: dict[str, Any] | None = unhonored()
    flocker: dict[str, Any] | None = unhonored()
    flex_volume: dict[str, Any] | None = unhonored()
    quobyte: dict[str, Any] | None = unhonored()
    storageos: dict[str, Any] | None = unhonored()
    portworx_volume: dict[str, Any] | None = unhonored()
    scale_io: dict[str, Any] | None = unhonored(alias="scaleIO")
    azure_disk: dict[str, Any] | None = unhonored()
    azure_file: dict[str, Any] | None = unhonored()
    aws_elastic_block_store: dict[str, Any] | None = unhonored()
    gce_persistent_disk: dict[str, Any] | None = unhonored()
    photon_persistent_disk: dict[str, Any] | None = unhonored()
    vsphere_volume: dict[str, Any] | None = unhonored()


class VolumeStatus(Model):
    phase: str | None = doc("Available, Bound, Released or Failed.")
    reason: str | None = doc("Why, in one word.")
    message: str | None = doc("Why, in a sentence.")
    last_phase_transition_time: str | None = doc("When its phase last changed.")


class PersistentVolume(Resource):
    """Storage that there is."""

    spec: VolumeSpec = Field(default_factory=VolumeSpec, description="What it is.")
    status: VolumeStatus | None = doc("Who has it.")


class StorageClass(Resource):
    """How claims are provided for."""

    provisioner: str = Field(default="", description="Who makes its volumes.")
    parameters: dict[str, str] | None = unhonored("For the provisioner.")
    reclaim_policy: str | None = doc("What becomes of its volumes after their claims: Delete or Retain; Delete.")
    volume_binding_mode: str | None = doc("Immediate or WaitForFirstConsumer; on one machine there is no difference.")
    allow_volume_expansion: bool | None = doc("Whether its claims may ask for more later.")
    mount_options: list[str] | None = unhonored("Options of the mount.")
    allowed_topologies: list[dict[str, Any]] | None = unhonored("Where its volumes may be.")


PERSISTENT_VOLUME_CLAIM: Final[Kind[PersistentVolumeClaim]] = Kind(
    group="",
    version="v1",
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    model=PersistentVolumeClaim,
    short_names=("pvc",),
    generation=False,
    columns=columns.OF_CLAIMS,
    default=rules.default_claim,
    validate=rules.validate_claim,
    warn=rules.warn_claim,
)
PERSISTENT_VOLUME: Final[Kind[PersistentVolume]] = Kind(
    group="",
    version="v1",
    kind="PersistentVolume",
    plural="persistentvolumes",
    model=PersistentVolume,
    short_names=("pv",),
    namespaced=False,
    generation=False,
    columns=columns.OF_VOLUMES,
    default=rules.default_volume,
    validate=rules.validate_volume,
    warn=rules.warn_volume,
)
STORAGE_CLASS: Final[Kind[StorageClass]] = Kind(
    group="storage.k8s.io",
    version="v1",
    kind="StorageClass",
    plural="storageclasses",
    model=StorageClass,
    short_names=("sc",),
    namespaced=False,
    status=False,
    generation=False,
    columns=columns.OF_CLASSES,
    default=rules.default_class,
    validate=rules.validate_class,
    warn=rules.warn_class,
)
