"""A Route's Ingress, its placeholder Services and its `status.traffic`, from resolved traffic.

knative.dev/serving/pkg/reconciler/route/resources. Called by the Route controller. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.resources import serving_labels as labels
from core.resources.core_services import CORE_SERVICE
from core.resources.meta import Json, owner_reference
from core.resources.networking import INGRESS, HTTPOption, Visibility
from core.resources.serving import ROUTE
from core.settings.durations import parse_duration
from core.settings.network import NetworkSettings
from deploy.hostnames import Naming, local_forms
from deploy.rollout import Rollout, Share, to_json
from deploy.traffic import DEFAULT_TAG, Target, Traffic

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
TAG_HEADER = "Knative-Serving-Tag"
DEFAULT_ROUTE_HEADER = "Knative-Serving-Default-Route"
REVISION_HEADER = "Knative-Serving-Revision"
NAMESPACE_HEADER = "Knative-Serving-Namespace"
GATEWAY = "pilotlight-gateway.knative-serving.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that the Ingress follows from."""

    traffic: Traffic
    rollout: Rollout
    visibilities: Mapping[str, Visibility]
    naming: Naming
    route_by_tag_header: bool


def make_ingress(route: Json, program: Program) -> Json:
    """deploy.hostnames.HostnameError."""
    metadata = route["metadata"]
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    rollout = json.dumps(to_json(program.rollout), separators=(",", ":"))
    rules = [
        rule
        for tag in program.traffic.by_tag
        for visibility in (Visibility.CLUSTER_LOCAL, Visibility.EXTERNAL_IP)
        if visibility is Visibility.CLUSTER_LOCAL or program.visibilities.get(tag, visibility) is visibility
        for rule in [_rule(route, tag, visibility, program)]
    ]
    return {
        "apiVersion": INGRESS.api_version,
        "kind": INGRESS.kind,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": {
                **(metadata.get("labels") or {}),
                labels.ROUTE_LABEL: metadata["name"],
                labels.ROUTE_NAMESPACE_LABEL: metadata["namespace"],
            },
            "annotations": {**annotations, labels.ROLLOUT_ANNOTATION: rollout},
            "ownerReferences": [owner_reference(ROUTE, route).to_json()],
        },
        "spec": {"rules": rules, "httpOption": http_option(route, program.naming.network)},
    }


def make_status_traffic(route: Json, program: Program) -> list[Json]:
    """One entry per revision; during a rollout a target that follows the latest has several."""
    entries = []
    for target in program.traffic.flat:
        for share in _shares(target, target.tag, program.rollout):
            entry: Json = {"latestRevision": target.latest, "percent": share.percent, "revisionName": share.revision}
            if target.tag:
                visibility = program.visibilities.get(target.tag, Visibility.EXTERNAL_IP)
                entry = {**entry, "tag": target.tag, "url": program.naming.url(route, target.tag, visibility)}
            entries.append(entry)
    return entries


def make_placeholder(route: Json, tag: str, naming: Naming) -> Json:
    """A core Service with the name of the host, so that `kubectl get svc` shows it and nobody else takes it. The
    gateway answers for it; its label `networking.knative.dev/visibility` makes the one tag cluster-local."""
    metadata = route["metadata"]
    inherited = {k: v for k, v in (metadata.get("labels") or {}).items() if k != labels.VISIBILITY_LABEL}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    port = {"name": "http2", "port": 80, "targetPort": 80, "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"}
    return {
        "apiVersion": CORE_SERVICE.api_version,
        "kind": CORE_SERVICE.kind,
        "metadata": {
            "name": naming.hostname(route, tag),
            "namespace": metadata["namespace"],
            "labels": {**inherited, labels.ROUTE_LABEL: metadata["name"]},
            "annotations": annotations,
            "ownerReferences": [owner_reference(ROUTE, route).to_json()],
        },
        "spec": {"type": "ExternalName", "externalName": GATEWAY, "sessionAffinity": "None", "ports": [port]},
    }


def http_option(obj: Json, network: NetworkSettings) -> str:
    """Whether plain HTTP is served or sent on to https: by annotation, else for all."""
    annotations = obj["metadata"].get("annotations") or {}
    asked = next((annotations[key] for key in labels.HTTP_PROTOCOL_ANNOTATIONS if annotations.get(key)), "")
    word = asked or network.http_protocol
    return HTTPOption.REDIRECTED if word.lower() == "redirected" else HTTPOption.ENABLED


def rollout_duration_s(route: Json, network: NetworkSettings) -> float:
    """Over how long traffic moves to a new latest revision; 0: at once."""
    annotations = route["metadata"].get("annotations") or {}
    asked = next((annotations[key] for key in labels.ROLLOUT_DURATION_ANNOTATIONS if annotations.get(key)), "")
    try:
        seconds = parse_duration(asked) if asked else 0.0
    except ValueError:
        seconds = 0.0
    return seconds or float(network.rollout_duration_s)


def _rule(route: Json, tag: str, visibility: Visibility, program: Program) -> Json:
    naming = program.naming
    if visibility is Visibility.CLUSTER_LOCAL:
        hosts = local_forms(naming.local_host(route, tag))
    else:
        hosts = [naming.public_host(route, tag)]
    namespace = route["metadata"]["namespace"]
    path = _path(namespace, program.traffic.by_tag[tag], tag, program.rollout)
    paths = [path]
    if program.route_by_tag_header and tag == DEFAULT_TAG:
        # A request without a known tag goes the default way, and is told so.
        path["appendHeaders"] = {DEFAULT_ROUTE_HEADER: "true"}
        tagged = [other for other in program.traffic.by_tag if other != DEFAULT_TAG]
        paths = [_tagged_path(namespace, other, program) for other in tagged] + paths
    elif program.route_by_tag_header:
        path["appendHeaders"] = {TAG_HEADER: tag}
    return {"hosts": hosts, "visibility": str(visibility), "http": {"paths": paths}}


def _tagged_path(namespace: str, tag: str, program: Program) -> Json:
    path = _path(namespace, program.traffic.by_tag[tag], tag, program.rollout)
    return {**path, "headers": {TAG_HEADER: {"exact": tag}}}


def _path(namespace: str, targets: Sequence[Target], tag: str, rollout: Rollout) -> Json:
    shares = [share for target in targets if target.percent for share in _shares(target, tag, rollout)]
    return {
        "splits": [
            {
                "serviceNamespace": namespace,
                "serviceName": share.revision,
                "servicePort": 80,
                "percent": share.percent,
                "appendHeaders": {REVISION_HEADER: share.revision, NAMESPACE_HEADER: namespace},
            }
            for share in shares
        ]
    }


def _shares(target: Target, tag: str, rollout: Rollout) -> Sequence[Share]:
    """What a target's percent is split into: itself, or the revisions of its rollout."""
    moving = rollout.find(target.configuration, tag) if target.latest else None
    if moving is None or moving.done:
        return (Share(target.revision, target.percent),)
    return moving.shares
