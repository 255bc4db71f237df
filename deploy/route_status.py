"""The status of a Route, and what it tells of its placeholder Services (knative.dev/serving: route_lifecycle.go).

Those are kept in memory: after a restart the URLs in the status say which tags there were, and which of them had been
made cluster-local. Called by the Route controller. Pure.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from core.resources.conditions import Conditions, ConditionSet
from core.resources.meta import Json
from core.settings.domain import CLUSTER_DOMAIN
from deploy.traffic import DEFAULT_TAG, TrafficProblem

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


def make_status(route: Json, conditions: Conditions, changes: Json) -> Json:
    """`changes` replace what the status said."""
    before = route.get("status") or {}
    kept = {key: before[key] for key in ("url", "address", "traffic") if key in before}
    return {
        **kept,
        **changes,
        "conditions": conditions.to_json(),
        "observedGeneration": route["metadata"].get("generation"),
    }


def remembered_local_tags(route: Json) -> set[str]:
    """Tags whose host was an inside one."""
    status = route.get("status") or {}
    urls = {entry["tag"]: entry.get("url", "") for entry in status.get("traffic") or () if entry.get("tag")}
    urls[DEFAULT_TAG] = status.get("url", "")
    return {tag for tag, url in urls.items() if (urlsplit(url).hostname or "").endswith(f".{CLUSTER_DOMAIN}")}


def remembered_tags(route: Json) -> set[str]:
    """Those of the split in force; the one that every Route has is among them."""
    traffic = (route.get("status") or {}).get("traffic") or ()
    return {entry.get("tag") or DEFAULT_TAG for entry in traffic}
