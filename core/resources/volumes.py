"""The volumes of a Pod (core/v1): typed where a machine without a cluster can mount them, else known by name."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from core.resources.containers import FieldSelector, Quantity, ResourceSelector
from core.resources.fields import doc, unhonored, whole
from core.resources.meta import Model


class KeyToPath(Model):
    key: str = Field(description="The key to project.")
    path: str = Field(description="Relative path of the file.")
    mode: int | None = doc("Mode bits of the file.")
    user: int | None = unhonored("Owner of the file.")


class SecretVolumeSource(Model):
    secret_name: str | None = doc("Name of the Secret.")
    items: list[KeyToPath] | None = doc("Keys to show, and where; all.")
    default_mode: int | None = doc("Mode bits of the files; 0644.")
    optional: bool | None = doc("Whether the Secret may be missing.")
    default_user: int | None = unhonored("Owner of the files.")


class ConfigMapVolumeSource(Model):
    name: str = Field(default="", description="Name of the ConfigMap.")
    items: list[KeyToPath] | None = doc("Keys to show, and where; all.")
    default_mode: int | None = doc("Mode bits of the files; 0644.")
    optional: bool | None = doc("Whether the ConfigMap may be missing.")
    default_user: int | None = unhonored("Owner of the files.")


class EmptyDirVolumeSource(Model):
    medium: str | None = unhonored("Empty, or Memory for a file system in memory.")
    size_limit: Quantity | None = doc("The most it may hold; a Pod that puts more there is evicted.")
    mode: int | None = unhonored("Mode bits of the folder.")


class HostPathVolumeSource(Model):
    path: str = Field(description="Path on the host.")
    type: str | None = doc("What must be there, such as Directory or File.")


class ClaimVolumeSource(Model):
    claim_name: str = Field(default="", description="Name of the PersistentVolumeClaim, in the Pod's namespace.")
    read_only: bool | None = doc("Whether no container may write to it.")


class DownwardFile(Model):
    path: str = Field(description="Relative path of the file.")
    field_ref: FieldSelector | None = whole("A field of the Pod.")
    resource_field_ref: ResourceSelector | None = whole("A limit or request of a container.")
    mode: int | None = doc("Mode bits of the file.")
    user: int | None = unhonored("Owner of the file.")


class DownwardVolumeSource(Model):
    items: list[DownwardFile] | None = doc("Files to write.")
    default_mode: int | None = doc("Mode bits of the files; 0644.")
    default_user: int | None = unhonored("Owner of the files.")


class ProjectedKeys(Model):
    """A Secret or ConfigMap inside a projected volume."""

    name: str = Field(default="", description="Name of the Secret or ConfigMap.")
    items: list[KeyToPath] | None = doc("Keys to show, and where; all.")
    optional: bool | None = doc("Whether it may be missing.")


class ServiceAccountTokenProjection(Model):
    path: str = Field(description="Relative path of the file.")
    audience: str | None = doc("Whom the token is for.")
    expiration_seconds: int | None = doc("Seconds the token is good for; 3600.")
    user: int | None = unhonored("Owner of the file.")


class VolumeProjection(Model):
    secret: ProjectedKeys | None = doc("Keys of a Secret.")
    config_map: ProjectedKeys | None = doc("Keys of a ConfigMap.")
    downward_api: DownwardVolumeSource | None = doc("Fields of the Pod.", alias="downwardAPI")
    service_account_token: ServiceAccountTokenProjection | None = doc("A token of the Pod's service account.")
    cluster_trust_bundle: dict[str, Any] | None = unhonored()
    pod_certificate: dict[str, Any] | None = unhonored()


class ProjectedVolumeSource(Model):
    sources: list[VolumeProjection] | None = doc("What to put together in one folder.")
    default_mode: int | None = doc("Mode bits of the files; 0644.")
    default_user: int | None = unhonored("Owner of the files.")


class Volume(Model):
    """Exactly one source. Those without a type of their own need a cluster's storage and are refused by the node."""

    name: str = Field(default="", description="Name that mounts refer to.")
    config_map: ConfigMapVolumeSource | None = doc("Files from a ConfigMap.")
    secret: SecretVolumeSource | None = doc("Files from a Secret.")
    empty_dir: EmptyDirVolumeSource | None = doc("A folder that lives as long as the Pod.")
    host_path: HostPathVolumeSource | None = doc("A path of the host.")
    persistent_volume_claim: ClaimVolumeSource | None = doc("A folder that outlives the Pod.")
    projected: ProjectedVolumeSource | None = doc("Several sources in one folder.")
    downward_api: DownwardVolumeSource | None = doc("Files from fields of the Pod.", alias="downwardAPI")
    ephemeral: dict[str, Any] | None = unhonored("A claim made for this Pod.")
    image: dict[str, Any] | None = unhonored("Files of an OCI image.")
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
    git_repo: dict[str, Any] | None = unhonored()
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
