"""The hosts of a Route and its tags (knative.dev/serving/pkg/reconciler/route/domains, …/visibility).

Public ones come from `domain-template` and `config-domain`, inside ones are `<name>.<namespace>.svc.cluster.local`
with their short forms. Called by `routes` and by the Route controller. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.resources import serving_labels as labels
from core.resources.hosts import Hosts
from core.resources.meta import Json
from core.resources.names import check_dns1123_label, check_dns1123_subdomain
from core.resources.networking import Visibility
from core.settings.domain import CLUSTER_DOMAIN, DomainSettings
from core.settings.network import NetworkSettings
from deploy.traffic import DEFAULT_TAG


class HostnameError(ValueError):
    """The templates make something that no host can be called."""


@dataclass(frozen=True, slots=True)
class Naming:
    """All that decides how a host is called."""

    network: NetworkSettings
    domain: DomainSettings
    hosts: Hosts

    def hostname(self, route: Json, tag: str) -> str:
        """The first part of the host: the Route's name, or what the tag makes of it. Also the placeholder's name."""
        name: str = route["metadata"]["name"]
        return self.network.tag_template.render({"Tag": tag, "Name": name}) if tag else name

    def public_host(self, route: Json, tag: str) -> str:
        """HostnameError."""
        metadata = route["metadata"]
        values = {
            "Name": self.hostname(route, tag),
            "Namespace": metadata["namespace"],
            "Domain": self.domain.for_labels(metadata.get("labels") or {}),
            "Labels": metadata.get("labels") or {},
            "Annotations": metadata.get("annotations") or {},
        }
        return _checked(self.network.domain_template.render(values))

    def local_host(self, route: Json, tag: str) -> str:
        """HostnameError."""
        return _checked(f"{self.hostname(route, tag)}.{route['metadata']['namespace']}.{CLUSTER_DOMAIN}")

    def url(self, route: Json, tag: str, visibility: Visibility) -> str:
        """HostnameError."""
        if visibility is Visibility.CLUSTER_LOCAL:
            return self.hosts.local_url(self.local_host(route, tag))
        return self.hosts.public_url(self.public_host(route, tag), self.network.default_external_scheme)


def local_forms(host: str) -> list[str]:
    """`a.b.svc.cluster.local` and what a resolver inside makes it of: `a.b.svc`, `a.b`."""
    short = host.removesuffix(f".{CLUSTER_DOMAIN}")
    return [short, f"{short}.svc", host]


def visibilities(
    route: Json, tags: Iterable[str], placeholders: Mapping[str, Json], naming: Naming
) -> dict[str, Visibility]:
    """Per tag, the lesser of the Route's visibility and that of the tag's placeholder Service (by name)."""
    is_local = _is_local(route) or naming.domain.for_labels(_labels(route)) == CLUSTER_DOMAIN
    result = {}
    for tag in {DEFAULT_TAG, *tags}:
        placeholder = placeholders.get(naming.hostname(route, tag))
        tag_is_local = is_local or (placeholder is not None and _is_local(placeholder))
        result[tag] = Visibility.CLUSTER_LOCAL if tag_is_local else Visibility.EXTERNAL_IP
    return result


def _labels(obj: Json) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def _is_local(obj: Json) -> bool:
    return _labels(obj).get(labels.VISIBILITY_LABEL) == labels.CLUSTER_LOCAL


def _checked(host: str) -> str:
    problem = check_dns1123_subdomain(host)
    for part in host.split("."):
        problem = problem or check_dns1123_label(part)
    if problem:
        raise HostnameError(f'domain name error: invalid domain name "{host}": {problem}')
    return host
