"""Which fields of a Pod a revision template may set (knative.dev/serving/pkg/apis/serving/fieldmask.go).

A field that is not listed is refused, not ignored. Those behind a flag of `config-features` follow the flag; what this
machine honors (or can do without) is open by default. Pure tables; `serving_podspec` applies them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from core.resources.knative_errors import Errors, disallowed
from core.resources.meta import Json
from core.settings.features import FeatureSettings, Flag

POD_FIELDS = frozenset(
    {
        "containers",
        "volumes",
        "serviceAccountName",
        "imagePullSecrets",
        "enableServiceLinks",
        # Knative's own, beside the Pod's.
        "containerConcurrency",
        "timeoutSeconds",
        "responseStartTimeoutSeconds",
        "idleTimeoutSeconds",
    }
)
POD_FLAGS: Mapping[str, str] = {
    "affinity": "affinity",
    "topologySpreadConstraints": "topology_spread_constraints",
    "hostAliases": "host_aliases",
    "nodeSelector": "node_selector",
    "runtimeClassName": "runtime_class_name",
    "tolerations": "tolerations",
    "securityContext": "security_context",
    "shareProcessNamespace": "share_process_namespace",
    "priorityClassName": "priority_class_name",
    "schedulerName": "scheduler_name",
    "initContainers": "init_containers",
    "dnsPolicy": "dns_policy",
    "dnsConfig": "dns_config",
    "hostIPC": "host_ipc",
    "hostPID": "host_pid",
    "hostNetwork": "host_network",
}
CONTAINER_FIELDS = frozenset(
    {
        "name",
        "args",
        "command",
        "env",
        "workingDir",
        "envFrom",
        "image",
        "imagePullPolicy",
        "livenessProbe",
        "ports",
        "readinessProbe",
        "resources",
        "securityContext",
        "startupProbe",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "volumeMounts",
    }
)
VOLUME_SOURCES = frozenset({"secret", "configMap", "projected"})
VOLUME_FLAGS: Mapping[str, str] = {
    "emptyDir": "volumes_emptydir",
    "persistentVolumeClaim": "persistent_volume_claim",
    "hostPath": "volumes_hostpath",
    "csi": "volumes_csi",
    "ephemeral": "volumes_ephemeral",
    "image": "volumes_image",
}
PROJECTION_SOURCES = frozenset({"secret", "configMap", "serviceAccountToken", "downwardAPI"})
MOUNT_FIELDS = frozenset({"name", "readOnly", "mountPath", "subPath"})
PROBE_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
PROBE_FIELDS = frozenset(
    {
        *PROBE_HANDLERS,
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
        "terminationGracePeriodSeconds",
    }
)
PORT_FIELDS = frozenset({"containerPort", "name", "protocol"})
ENV_SOURCES = frozenset({"configMapKeyRef", "secretKeyRef"})
ENV_SOURCE_FLAGS: Mapping[str, str] = {"fieldRef": "fieldref", "resourceFieldRef": "fieldref"}
SECURITY_FIELDS = frozenset(
    {
        "capabilities",
        "readOnlyRootFilesystem",
        "runAsUser",
        "runAsGroup",
        "runAsNonRoot",
        "allowPrivilegeEscalation",
        "seccompProfile",
    }
)
POD_SECURITY_FIELDS = frozenset(
    {"runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "supplementalGroups", "seccompProfile"}
)
RESOURCE_FIELDS = frozenset({"limits", "requests"})


def is_open(features: FeatureSettings, flag: str) -> bool:
    """Whether users may set what the flag guards."""
    return getattr(features, flag, Flag.DISABLED) != Flag.DISABLED


def open_fields(features: FeatureSettings, always: Collection[str], flagged: Mapping[str, str]) -> frozenset[str]:
    return frozenset(always) | {field for field, flag in flagged.items() if is_open(features, flag)}


def check_fields(part: Json, allowed: Collection[str]) -> Errors:
    """Every field that is set and not allowed. Zero values count as not set, as they do in Go."""
    return disallowed(*(field for field, value in part.items() if field not in allowed and is_set(value)))


def is_set(value: object) -> bool:
    return value not in (None, False, 0, "") and value != [] and value != {}
