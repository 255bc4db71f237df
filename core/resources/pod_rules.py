"""Defaults and warnings of a PodSpec, and of the Pod around it (pkg/apis/core/v1/defaults.go).

Deployments and, for its warnings, Knative Serving call the same functions. What is refused is in `pod_validation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.resources.fields import NOT_HONORED
from core.resources.meta import AdmissionContext, Json

UNHONORED_SPEC = (
    "affinity",
    "nodeSelector",
    "tolerations",
    "topologySpreadConstraints",
    "priorityClassName",
    "priority",
    "preemptionPolicy",
    "schedulerName",
    "schedulingGates",
    "schedulingGroup",
    "readinessGates",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostUsers",
    "dnsPolicy",
    "dnsConfig",
    "subdomain",
    "hostnameOverride",
    "setHostnameAsFQDN",
    "resourceClaims",
    "overhead",
    "evictionResponders",
)
TERMINATION_GRACE_S = 30
UNHONORED_CONTAINER = ("volumeDevices", "resizePolicy", "restartPolicyRules")
UNHONORED_SECURITY = (
    "seLinuxOptions", "seLinuxChangePolicy", "windowsOptions", "sysctls", "appArmorProfile", "procMount",
    "supplementalGroups", "supplementalGroupsPolicy", "fsGroupChangePolicy",
)  # fmt: skip
UNHONORED_EMPTY_DIR = ("medium",)  # it is a folder of the disk
USUAL = {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "preemptionPolicy": "PreemptLowerPriority"}
"""What the API server fills in itself: documents exported from a cluster carry these, and mean nothing by them."""


def containers_of(spec: Json) -> Iterator[tuple[str, Json]]:
    """Every container with its path below the spec: init containers first, as they run first."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield f"{field}[{index}]", container


def warn_pod_spec(spec: Json, path: str = "spec") -> list[str]:
    """A sentence for each field that is accepted but does nothing on one machine."""
    fields = [
        f"{path}.{field}"
        for field in UNHONORED_SPEC
        if spec.get(field) not in (None, False, {}, [], "", USUAL.get(field, ""))
    ]
    fields += _unhonored(spec.get("securityContext"), UNHONORED_SECURITY, f"{path}.securityContext")
    for index, volume in enumerate(spec.get("volumes") or ()):
        fields += _unhonored(volume.get("emptyDir"), UNHONORED_EMPTY_DIR, f"{path}.volumes[{index}].emptyDir")
    for where, container in containers_of(spec):
        fields += _unhonored(container, UNHONORED_CONTAINER, f"{path}.{where}")
        fields += _unhonored(container.get("securityContext"), UNHONORED_SECURITY, f"{path}.{where}.securityContext")
        for index, port in enumerate(container.get("ports") or ()):
            if port.get("hostPort"):
                fields.append(f"{path}.{where}.ports[{index}].hostPort")
    return [f"{field}: {NOT_HONORED[0].lower()}{NOT_HONORED[1:-1]}" for field in fields]


def _unhonored(given: Json | None, fields: Sequence[str], path: str) -> list[str]:
    return [f"{path}.{field}" for field in fields if (given or {}).get(field)]


def default_pod_spec(spec: Json) -> None:
    """Fills in what Kubernetes would, so that what clients read back is what they know."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", TERMINATION_GRACE_S)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        name = spec.get("serviceAccountName") or spec["serviceAccount"]
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    for _, container in containers_of(spec):
        _default_container(container)
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def _default_container(container: Json) -> None:
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = "Always" if _is_latest(container.get("image", "")) else "IfNotPresent"
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            default_probe(container[probe])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and "httpGet" in hook:
            _default_http_get(hook["httpGet"])
    for variable in container.get("env") or ():
        if "fieldRef" in (variable.get("valueFrom") or {}):
            variable["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")
    limits = container["resources"].get("limits") or {}
    if limits:
        requests = container["resources"].setdefault("requests", {})
        for name, value in limits.items():
            requests.setdefault(name, value)


def default_probe(probe: Json) -> None:
    """Kubernetes' own: every 10 s, 1 s each, one success, three failures."""
    for field, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(field):
            probe[field] = value
    if "httpGet" in probe:
        _default_http_get(probe["httpGet"])
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _default_http_get(action: Json) -> None:
    action["path"] = action.get("path") or "/"
    action["scheme"] = action.get("scheme") or "HTTP"


def _default_volume(volume: Json) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "projected", "downwardAPI"):
        if source in volume:
            volume[source].setdefault("defaultMode", 0o644)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    for item in (volume.get("projected") or {}).get("sources") or ():
        if "serviceAccountToken" in item:
            item["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def _is_latest(image: str) -> bool:
    """Whether an image reference has the tag `latest`, written or meant; a digest is never latest."""
    name = image.rpartition("/")[2]
    return "@" not in name and (":" not in name or name.endswith(":latest"))


def qos_class(spec: Json) -> str:
    """Guaranteed when every container limits cpu and memory to what it requests; BestEffort when none says anything."""
    resources = [c.get("resources") or {} for where, c in containers_of(spec) if not where.startswith("ephemeral")]
    if not any(r.get("limits") or r.get("requests") for r in resources):
        return "BestEffort"
    for resource in resources:
        limits, requests = resource.get("limits") or {}, resource.get("requests") or {}
        if not {"cpu", "memory"} <= limits.keys() or any(requests.get(n, limits[n]) != limits[n] for n in limits):
            return "Burstable"
    return "Guaranteed"


def default_pod(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    status = obj.setdefault("status", {})
    status.setdefault("phase", "Pending")
    status.setdefault("qosClass", qos_class(spec))


def warn_pod(obj: Json, context: AdmissionContext) -> Sequence[str]:
    return warn_pod_spec(obj.get("spec") or {})


def pod_grace_s(obj: Json, asked_s: int | None) -> int:
    """Seconds that a deleted Pod has to stop (podStrategy.CheckGracefulDelete); one that has ended needs none.

    Unlike upstream, a Pod without a nodeName counts as placed: there is one node, and it takes every Pod at once.
    """
    if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    grace_s: int = obj["spec"].get("terminationGracePeriodSeconds", TERMINATION_GRACE_S) if asked_s is None else asked_s
    return max(grace_s, 0)
