"""`config-features`: which optional fields and behaviours are open to users.

Source: knative.dev/serving/pkg/apis/config/features.go; the words are read in any case. Upstream closes most of them by
default. Here a field is open where one machine honors it (init containers, sidecar probes, `fieldRef`, security
contexts, host aliases, persistent volume claims; `runtimeClassName` chooses the runtime), and where it asks for nothing
but a place to run: then it is accepted with a warning. What weakens isolation or needs storage that is no folder of
this machine stays closed. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.errors import FieldError
from core.settings.declaration import Choice, Settings, key, parse_settings


class Flag(StrEnum):
    """`Allowed` lets the user decide by annotation or value; `Enabled` turns it on for all."""

    ENABLED = "Enabled"
    ALLOWED = "Allowed"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class _FlagReader:
    allowed: str = "must be one of Enabled, Allowed, Disabled"

    def read(self, text: str) -> Flag:
        for flag in Flag:
            if flag.value.lower() == text.lower():
                return flag
        raise ValueError


def _flag(name: str, default: Flag, help: str) -> Any:
    return key(name, _FlagReader(), default, help)


_ON, _ASK, _OFF = Flag.ENABLED, Flag.ALLOWED, Flag.DISABLED


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings(Settings):
    """What `config-features` says."""

    multi_container: Flag = _flag("multi-container", _ON, "more than one container")
    multi_container_probing: Flag = _flag("multi-container-probing", _ON, "probes on sidecars")
    init_containers: Flag = _flag("kubernetes.podspec-init-containers", _ON, "initContainers")
    runtime_class_name: Flag = _flag("kubernetes.podspec-runtimeclassname", _ON, "runtimeClassName")
    fieldref: Flag = _flag("kubernetes.podspec-fieldref", _ON, "env valueFrom fieldRef and resourceFieldRef")
    dryrun: Flag = _flag("kubernetes.podspec-dryrun", _ASK, "a dry run also tries the Pod")
    security_context: Flag = _flag("kubernetes.podspec-securitycontext", _ON, "securityContext of the Pod")
    add_capabilities: Flag = _flag("kubernetes.containerspec-addcapabilities", _OFF, "capabilities.add")
    secure_pod_defaults: str = key(
        "secure-pod-defaults",
        Choice(("Disabled", "AllowRootBounded", "Enabled", "Allowed")),
        "Disabled",
        "a strict securityContext where the user wrote none",
    )
    tag_header_based_routing: Flag = _flag("tag-header-based-routing", _OFF, "routing by header Knative-Serving-Tag")
    autodetect_http2: Flag = _flag("autodetect-http2", _OFF, "HTTP/2 without a port name")
    volumes_emptydir: Flag = _flag("kubernetes.podspec-volumes-emptydir", _ON, "volumes emptyDir")
    volumes_hostpath: Flag = _flag("kubernetes.podspec-volumes-hostpath", _OFF, "volumes hostPath")
    volumes_csi: Flag = _flag("kubernetes.podspec-volumes-csi", _OFF, "volumes csi")
    volumes_ephemeral: Flag = _flag("kubernetes.podspec-volumes-ephemeral", _OFF, "volumes ephemeral")
    volumes_image: Flag = _flag("kubernetes.podspec-volumes-image", _OFF, "volumes image")
    volumes_mount_propagation: Flag = _flag(
        "kubernetes.podspec-volumes-mount-propagation", _OFF, "mountPropagation of a volume mount"
    )
    persistent_volume_claim: Flag = _flag("kubernetes.podspec-persistent-volume-claim", _ON, "volumes of a claim")
    persistent_volume_write: Flag = _flag("kubernetes.podspec-persistent-volume-write", _ON, "writing to those")
    affinity: Flag = _flag("kubernetes.podspec-affinity", _ASK, "affinity")
    topology_spread_constraints: Flag = _flag(
        "kubernetes.podspec-topologyspreadconstraints", _ASK, "topologySpreadConstraints"
    )
    node_selector: Flag = _flag("kubernetes.podspec-nodeselector", _ASK, "nodeSelector")
    tolerations: Flag = _flag("kubernetes.podspec-tolerations", _ASK, "tolerations")
    priority_class_name: Flag = _flag("kubernetes.podspec-priorityclassname", _ASK, "priorityClassName")
    scheduler_name: Flag = _flag("kubernetes.podspec-schedulername", _ASK, "schedulerName")
    host_aliases: Flag = _flag("kubernetes.podspec-hostaliases", _ON, "hostAliases")
    host_ipc: Flag = _flag("kubernetes.podspec-hostipc", _OFF, "hostIPC")
    host_pid: Flag = _flag("kubernetes.podspec-hostpid", _OFF, "hostPID")
    host_network: Flag = _flag("kubernetes.podspec-hostnetwork", _OFF, "hostNetwork")
    share_process_namespace: Flag = _flag("kubernetes.podspec-shareprocessnamespace", _OFF, "shareProcessNamespace")
    dns_policy: Flag = _flag("kubernetes.podspec-dnspolicy", _ASK, "dnsPolicy")
    dns_config: Flag = _flag("kubernetes.podspec-dnsconfig", _ASK, "dnsConfig")
    queue_proxy_mount_podinfo: Flag = _flag("queueproxy.mount-podinfo", _OFF, "not used: there is no sidecar")
    queue_proxy_resource_defaults: Flag = _flag("queueproxy.resource-defaults", _OFF, "not used: there is no sidecar")


def parse_features(data: Mapping[str, str]) -> FeatureSettings | list[FieldError]:
    return parse_settings(FeatureSettings, data)
