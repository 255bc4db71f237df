"""The Deployment and the PodAutoscaler of a Revision (knative.dev/serving/pkg/reconciler/revision/resources).

The Pod template is the Revision's spec with images by digest, the port, `PORT` and `K_*` filled in. There is no
queue-proxy: its readiness probe stays on the container, and the node runs it. Called by the Revision controller. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from core.resources import autoscaling_annotations, pilotlight
from core.resources import serving_labels as labels
from core.resources.autoscaling import POD_AUTOSCALER, Reachability
from core.resources.child_names import child_name
from core.resources.conditions import FALSE, find_condition
from core.resources.meta import Json, owner_reference
from core.resources.serving import REVISION
from core.resources.serving_podspec import serving_port
from core.resources.workloads import DEPLOYMENT
from core.settings.durations import parse_duration
from deploy.revisions import ACTIVE, RESERVE

USER_PORT_NAME = "user-port"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
PROGRESS_DEADLINE_S = 600
_NOT_INHERITED_LABELS = frozenset({labels.ROUTE_LABEL, labels.ROUTING_STATE_LABEL})
_NOT_INHERITED_ANNOTATIONS = frozenset(
    {labels.NO_GC_ANNOTATION, labels.ROUTING_STATE_MODIFIED_ANNOTATION, labels.ROUTES_ANNOTATION}
)
_OWN_SPEC_FIELDS = frozenset(
    {"containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds"}
)


def deployment_name(revision: Json) -> str:
    return child_name(revision["metadata"]["name"], "-deployment")


def make_deployment(revision: Json, replicas: int) -> Json:
    """`replicas` is what it starts with; from then on the autoscaler writes it."""
    metadata = revision["metadata"]
    annotations = _annotations(revision, is_scaler=False)
    serving = serving_container(revision["spec"])
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "metadata": {
            **_child_metadata(revision, deployment_name(revision)),
            "annotations": {**annotations, **_idle_action(revision)},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {labels.REVISION_UID_LABEL: metadata["uid"]}},
            "progressDeadlineSeconds": progress_deadline_s(revision),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
            "template": {
                "metadata": {
                    "labels": _labels(revision),
                    "annotations": {**annotations, DEFAULT_CONTAINER: serving.get("name", "")},
                },
                "spec": make_pod_spec(revision),
            },
        },
    }


def make_pod_autoscaler(revision: Json, deployment: Json | None) -> Json:
    """`deployment` as it is now, which decides whether a broken revision is still worth keeping up."""
    return {
        "apiVersion": POD_AUTOSCALER.api_version,
        "kind": POD_AUTOSCALER.kind,
        "metadata": {
            **_child_metadata(revision, revision["metadata"]["name"]),
            "annotations": _annotations(revision, is_scaler=True),
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment_name(revision)},
            "containerConcurrency": revision["spec"].get("containerConcurrency") or 0,
            "protocolType": "h2c" if serving_port(revision["spec"]["containers"])["name"] == "h2c" else "http1",
            "reachability": str(reachability(revision, deployment)),
        },
    }


def reachability(revision: Json, deployment: Json | None) -> Reachability:
    """Whether a Route sends to it; a broken revision that is up in vain counts as unreachable, so that it goes down."""
    is_broken = any(
        (find_condition(revision, kind) or {}).get("status") == FALSE
        for kind in ("ResourcesAvailable", "ContainerHealthy")
    )
    if is_broken and deployment is not None:
        ready = (deployment.get("status") or {}).get("readyReplicas") or 0
        if deployment["spec"].get("replicas", 0) > 0 and ready == 0:
            return Reachability.UNREACHABLE
    state = (revision["metadata"].get("labels") or {}).get(labels.ROUTING_STATE_LABEL)
    known = {ACTIVE: Reachability.REACHABLE, RESERVE: Reachability.UNREACHABLE}
    return known.get(state or "", Reachability.UNKNOWN)


def initial_scale(revision: Json, default: int, zero_allowed: bool) -> int:
    """How many instances must have been ready once: by annotation, else for all."""
    asked = autoscaling_annotations.INITIAL_SCALE.get(revision["metadata"].get("annotations") or {})
    scale = int(asked) if asked is not None and asked.isdigit() else default
    return scale if scale > 0 or zero_allowed else 1


def progress_deadline_s(revision: Json) -> int:
    text = (revision["metadata"].get("annotations") or {}).get(labels.PROGRESS_DEADLINE_ANNOTATION, "")
    try:
        return int(parse_duration(text)) if text else PROGRESS_DEADLINE_S
    except ValueError:
        return PROGRESS_DEADLINE_S


def serving_container(spec: Json) -> Json:
    """The one that requests go to: the only one, or the one with a port."""
    containers = spec.get("containers") or [{}]
    found: Json = next((c for c in containers if c.get("ports")), containers[0])
    return found


def make_pod_spec(revision: Json) -> Json:
    spec = {k: copy.deepcopy(v) for k, v in revision["spec"].items() if k not in _OWN_SPEC_FIELDS}
    status = revision.get("status") or {}
    serving = serving_container(revision["spec"]).get("name")
    port = int(serving_port(revision["spec"]["containers"])["containerPort"])
    variables = _variables(revision)
    for field, digests in (
        ("containers", status.get("containerStatuses")),
        ("initContainers", status.get("initContainerStatuses")),
    ):
        by_name = {digest["name"]: digest.get("imageDigest") for digest in digests or ()}
        for container in spec.get(field) or ():
            container["image"] = by_name.get(container.get("name")) or container.get("image", "")
            container["env"] = [*(container.get("env") or ()), *variables]
            container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
            if field == "containers" and container.get("name") == serving:
                _make_serving(container, port)
    spec["terminationGracePeriodSeconds"] = revision["spec"].get("timeoutSeconds") or 300
    return spec


def _make_serving(container: Json, port: int) -> None:
    container["ports"] = [{"name": USER_PORT_NAME, "containerPort": port, "protocol": "TCP"}]
    container["env"].append({"name": "PORT", "value": str(port)})
    for field in ("readinessProbe", "livenessProbe", "startupProbe"):
        probe = container.get(field) or {}
        for handler in ("httpGet", "tcpSocket", "grpc"):
            action = probe.get(handler)
            # A named port can only be the serving one, whose name has just changed.
            if action is not None and (not action.get("port") or isinstance(action["port"], str)):
                action["port"] = port


def _variables(revision: Json) -> list[Json]:
    marks = _labels(revision)
    values = {
        "K_SERVICE": marks.get(labels.SERVICE_LABEL, ""),
        "K_CONFIGURATION": marks.get(labels.CONFIGURATION_LABEL, ""),
        "K_REVISION": revision["metadata"]["name"],
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _labels(revision: Json) -> dict[str, str]:
    metadata = revision["metadata"]
    inherited: Mapping[str, str] = metadata.get("labels") or {}
    return {
        labels.APP_LABEL: metadata["name"],
        **{key: value for key, value in inherited.items() if key not in _NOT_INHERITED_LABELS},
        labels.REVISION_LABEL: metadata["name"],
        labels.REVISION_UID_LABEL: metadata["uid"],
    }


def _annotations(revision: Json, is_scaler: bool) -> dict[str, str]:
    """The PodAutoscaler gets the autoscaling ones, the Deployment and its Pods all others."""
    theirs: Mapping[str, str] = revision["metadata"].get("annotations") or {}
    return {
        key: value
        for key, value in theirs.items()
        if key not in _NOT_INHERITED_ANNOTATIONS
        and (is_scaler or not key.startswith(f"{autoscaling_annotations.GROUP}/"))
    }


def _idle_action(revision: Json) -> dict[str, str]:
    """A Revision that no Route sends to keeps no frozen instance: nobody would thaw it, and its memory stays taken."""
    marks, annotations = revision["metadata"].get("labels") or {}, revision["metadata"].get("annotations") or {}
    is_kept = marks.get(labels.ROUTING_STATE_LABEL) == RESERVE and pilotlight.IDLE_ACTION in annotations
    return {pilotlight.IDLE_ACTION: pilotlight.IDLE_STOP} if is_kept else {}


def _child_metadata(revision: Json, name: str) -> Json:
    return {
        "name": name,
        "namespace": revision["metadata"]["namespace"],
        "labels": _labels(revision),
        "ownerReferences": [owner_reference(REVISION, revision).to_json()],
    }


def was_ready(revision: Json) -> bool:
    """Whether its initial scale was reached once; kept in the status, so that it outlives the platform."""
    notes = (revision.get("status") or {}).get("annotations") or {}
    return notes.get(pilotlight.INITIALIZED) == "true"
