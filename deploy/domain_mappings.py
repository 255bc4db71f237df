"""A DomainMapping's Ingress, its claim and its status (knative.dev/serving/pkg/reconciler/domainmapping).

The Ingress rewrites the host to the target's inside name, and the gateway goes on from there as if that had been asked
for. A domain belongs to the namespace that has its ClusterDomainClaim; where there is none, the oldest mapping of the
domain may claim it. Called by the controller. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.resources import serving_labels as labels
from core.resources.child_names import child_name
from core.resources.conditions import Conditions, ConditionSet
from core.resources.core_services import CORE_SERVICE
from core.resources.meta import Json, owner_reference
from core.resources.networking import CLUSTER_DOMAIN_CLAIM, INGRESS, Visibility
from core.resources.serving import DOMAIN_MAPPING
from core.settings.domain import CLUSTER_DOMAIN
from core.settings.network import NetworkSettings
from deploy.routes import LAST_APPLIED, http_option

CONDITIONS = ConditionSet(("ReferenceResolved", "IngressReady", "DomainClaimed", "CertificateProvisioned"))
REFERENCE_RESOLVED, INGRESS_READY, DOMAIN_CLAIMED, CERTIFICATE_PROVISIONED = CONDITIONS.dependents
ORIGINAL_HOST_HEADER = "K-Original-Host"


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why the reference leads nowhere."""

    message: str


def begin(mapping: Json, now: str) -> Conditions:
    status = mapping.get("status") or {}
    conditions = CONDITIONS.manage(status, now)
    if status.get("observedGeneration") != mapping["metadata"].get("generation"):
        conditions.mark_unknown(INGRESS_READY, "IngressNotConfigured", "Ingress has not yet been reconciled.")
    return conditions


def oldest(mappings: Sequence[Json]) -> Json:
    """Of all mappings of a domain the one that has it."""
    return min(mappings, key=lambda m: (m["metadata"].get("creationTimestamp", ""), m["metadata"]["uid"]))


def mark_claim(conditions: Conditions, mapping: Json, claim: Json | None) -> bool:
    """Whether the domain is its namespace's."""
    domain, namespace = mapping["metadata"]["name"], mapping["metadata"]["namespace"]
    if claim is None:
        message = f'no ClusterDomainClaim found for domain "{domain}"'
        conditions.mark_false(DOMAIN_CLAIMED, "DomainClaimFailed", message)
        return False
    if claim["spec"].get("namespace") != namespace:
        message = "The domain name is already in use by another DomainMapping"
        conditions.mark_false(DOMAIN_CLAIMED, "DomainAlreadyClaimed", message)
        return False
    conditions.mark_true(DOMAIN_CLAIMED)
    return True


def make_claim(mapping: Json) -> Json:
    """Its label says that it goes with the mapping; one that a user made stays."""
    metadata = mapping["metadata"]
    return {
        "apiVersion": CLUSTER_DOMAIN_CLAIM.api_version,
        "kind": CLUSTER_DOMAIN_CLAIM.kind,
        "metadata": {"name": metadata["name"], "labels": {labels.DOMAIN_MAPPING_UID_LABEL: metadata["uid"]}},
        "spec": {"namespace": metadata["namespace"]},
    }


def goes_with(claim: Json, namespace: str) -> bool:
    """Whether a claim is one that a mapping of this namespace has made."""
    made = labels.DOMAIN_MAPPING_UID_LABEL in (claim["metadata"].get("labels") or {})
    return made and claim["spec"].get("namespace") == namespace


def mark_tls(conditions: Conditions, mapping: Json) -> None:
    if mapping["spec"].get("tls"):
        message = "the gateway serves plain HTTP: a proxy before it must have the certificate"
        conditions.mark_true(CERTIFICATE_PROVISIONED, "TLS certificate was provided externally", message)
    else:
        conditions.mark_true(CERTIFICATE_PROVISIONED, "TLSNotEnabled", "external-domain-tls is not enabled")


def scheme(mapping: Json, network: NetworkSettings) -> str:
    """By which the domain is called: who gives a certificate has it served."""
    return "https" if mapping["spec"].get("tls") else network.default_external_scheme


def target_host(mapping: Json, target: Json | None) -> str | Unresolved:
    """The inside host of what the mapping refers to; `target` is that object, None where there is none."""
    reference = mapping["spec"]["ref"]
    name, namespace = reference.get("name", ""), mapping["metadata"]["namespace"]
    if target is None:
        return Unresolved(f'failed to get object {namespace}/{name}: {reference.get("kind", "")} "{name}" not found')
    if target["apiVersion"] == CORE_SERVICE.api_version and target["kind"] == CORE_SERVICE.kind:
        return f"{name}.{namespace}.{CLUSTER_DOMAIN}"
    url = ((target.get("status") or {}).get("address") or {}).get("url", "")
    if not url:
        return Unresolved(f'address not set for {reference.get("kind", "")} "{name}"')
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.path.rstrip("/"):
        return Unresolved(f'resolved URI "{url}" contains a path')
    inside = host.removesuffix(f".{CLUSTER_DOMAIN}").split(".")
    if not host.endswith(f".{CLUSTER_DOMAIN}") or len(inside) != 2:
        return Unresolved(f'resolved URI "{url}" must be of the form {{name}}.{{namespace}}.{CLUSTER_DOMAIN}')
    if inside[1] != namespace:
        return Unresolved(f'resolved URI "{url}" must be in same namespace as DomainMapping')
    return host


def ingress_name(mapping: Json) -> str:
    """The domain, within 63 characters."""
    return child_name(mapping["metadata"]["name"], "")


def make_ingress(mapping: Json, host: str, network: NetworkSettings) -> Json:
    """`host`: the target's inside name."""
    metadata = mapping["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    split = {
        "serviceNamespace": namespace,
        "serviceName": host.partition(".")[0],
        "servicePort": 80,
        "percent": 100,
        "appendHeaders": {ORIGINAL_HOST_HEADER: name},
    }
    rule = {
        "hosts": [name],
        "visibility": str(Visibility.EXTERNAL_IP),
        "http": {"paths": [{"rewriteHost": host, "splits": [split]}]},
    }
    own = {
        labels.DOMAIN_MAPPING_UID_LABEL: metadata["uid"],
        labels.DOMAIN_MAPPING_NAMESPACE_LABEL: namespace,
    }
    return {
        "apiVersion": INGRESS.api_version,
        "kind": INGRESS.kind,
        "metadata": {
            "name": ingress_name(mapping),
            "namespace": namespace,
            "labels": {**(metadata.get("labels") or {}), **own},
            "annotations": {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED},
            "ownerReferences": [owner_reference(DOMAIN_MAPPING, mapping).to_json()],
        },
        "spec": {"rules": [rule], "httpOption": http_option(mapping, network)},
    }


def make_status(mapping: Json, conditions: Conditions, url: str, address: str) -> Json:
    """`address` is the gateway's own, which asks no proxy."""
    return {
        "conditions": conditions.to_json(),
        "observedGeneration": mapping["metadata"].get("generation"),
        "url": url,
        "address": {"url": address},
    }
