"""A sink as it is typed, as the URL at which the platform itself would call it."""

from __future__ import annotations

from core.clients.kubernetes import KubernetesClient
from core.resources.core_services import CORE_SERVICE
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.settings.domain import CLUSTER_DOMAIN
from pilotlight.cli.session import UsageProblem


async def url_of(client: KubernetesClient, destination: Json) -> str:
    """NotFound; UsageProblem where it has no address."""
    reference = destination.get("ref")
    if reference is None:
        return str(destination["uri"])
    name, namespace = reference["name"], reference["namespace"]
    kind = next(each for each in KINDS if (each.api_version, each.kind) == (reference["apiVersion"], reference["kind"]))
    obj = await client.get(kind, name, namespace)
    if kind is CORE_SERVICE:
        return f"http://{name}.{namespace}.svc.{CLUSTER_DOMAIN}"
    url = ((obj.get("status") or {}).get("address") or {}).get("url")
    if not url:
        raise UsageProblem(f"{kind.kind} {name} has no address yet: it is not ready")
    return str(url)
