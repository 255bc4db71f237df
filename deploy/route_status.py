"""The status of a Route, and what of it outlives the platform (knative.dev/serving: route_lifecycle.go).

The Ingress is kept in memory. After a restart the split that was in force is read back from `status.traffic`, a
rollout under way from `status.annotations`, and which tags were made cluster-local from their URLs. Called by the
Route controller. Pure.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from core.resources import serving_labels as labels
from core.resources.conditions import Conditions, ConditionSet
from core.resources.meta import Json
from core.settings.domain import CLUSTER_DOMAIN
from deploy.rollout import Rollout, parse_rollout, to_json
from deploy.traffic import DEFAULT_TAG, Target, Traffic, TrafficProblem, arrange

CONDITIONS = ConditionSet(("AllTrafficAssigned", "IngressReady", "CertificateProvisioned"))
ALL_TRAFFIC_ASSIGNED, INGRESS_READY, CERTIFICATE_PROVISIONED = CONDITIONS.dependents


def begin(route: Json, now: str) -> Conditions:
    """A new generation is not ready before its Ingress was written."""
    status = route.get("status") or {}
    conditions = CONDITIONS.manage(status, now)
    if status.get("observedGeneration") != route["metadata"].get("generation"):
        mark_ingress_not_configured(conditions)
    return conditions


def mark_ingress_not_configured(conditions: Conditions) -> None:
    conditions.mark_unknown(INGRESS_READY, "IngressNotConfigured", "Ingress has not yet been reconciled.")


def mark_problem(conditions: Conditions, problem: TrafficProblem) -> None:
    mark = conditions.mark_false if problem.status == "False" else conditions.mark_unknown
    mark(ALL_TRAFFIC_ASSIGNED, problem.reason, problem.message)


def mark_rollout(conditions: Conditions) -> None:
    message = "A gradual rollout of the latest revision(s) is in progress."
    conditions.mark_unknown(INGRESS_READY, "RolloutInProgress", message)


def mark_no_tls(conditions: Conditions) -> None:
    conditions.mark_true(CERTIFICATE_PROVISIONED, "TLSNotEnabled", "external-domain-tls is not enabled")


def make_status(route: Json, conditions: Conditions, changes: Json, rollout: Rollout | None = None) -> Json:
    """`changes` replace what the status said; `rollout` is kept while it is under way."""
    before = route.get("status") or {}
    kept = {key: before[key] for key in ("url", "address", "traffic") if key in before}
    status = {
        **kept,
        **changes,
        "conditions": conditions.to_json(),
        "observedGeneration": route["metadata"].get("generation"),
    }
    if rollout is not None and not rollout.done:
        text = json.dumps(to_json(rollout), separators=(",", ":"))
        status["annotations"] = {labels.ROLLOUT_ANNOTATION: text}
    return status


def remembered_rollout(route: Json) -> Rollout | None:
    notes = (route.get("status") or {}).get("annotations") or {}
    return parse_rollout(notes.get(labels.ROLLOUT_ANNOTATION))


def remembered_traffic(route: Json) -> Traffic | None:
    """The split that was in force, by revision; None where there never was one."""
    targets = [
        Target(
            tag=entry.get("tag", DEFAULT_TAG),
            revision=entry["revisionName"],
            configuration="",
            percent=entry.get("percent") or 0,
            latest=False,
        )
        for entry in (route.get("status") or {}).get("traffic") or ()
        if entry.get("revisionName")
    ]
    return arrange(targets) if targets else None


def remembered_local_tags(route: Json) -> set[str]:
    """Tags whose host was an inside one."""
    status = route.get("status") or {}
    urls = {entry["tag"]: entry.get("url", "") for entry in status.get("traffic") or () if entry.get("tag")}
    urls[DEFAULT_TAG] = status.get("url", "")
    return {tag for tag, url in urls.items() if (urlsplit(url).hostname or "").endswith(f".{CLUSTER_DOMAIN}")}


def remembered_tags(route: Json) -> set[str]:
    return {entry["tag"] for entry in (route.get("status") or {}).get("traffic") or () if entry.get("tag")}
