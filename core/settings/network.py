"""`config-network`: how hosts are named, how the gateway treats plain HTTP, how fast traffic moves to a new revision.

Source: knative.dev/networking/pkg/config/config.go. Keys that choose an ingress, a mesh or certificates are read and
checked, so that a cluster's ConfigMap can be applied unchanged; the platform has one gateway of its own. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import FieldError
from core.settings.declaration import Choice, Settings, TemplateText, Text, Truth, Whole, invalid, key, parse_settings
from core.settings.templates import NameTemplate, Values, parse_template

DOMAIN_FIELDS: Final = {"Name": False, "Namespace": False, "Domain": False, "Annotations": True, "Labels": True}
TAG_FIELDS: Final = {"Tag": False, "Name": False}
_SWITCH: Final = Choice(("Disabled", "Enabled"))
_NOT_IN_A_HOST: Final = frozenset("/?#@: \t\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings(Settings):
    """What `config-network` says."""

    domain_template: NameTemplate = key(
        "domain-template",
        TemplateText(DOMAIN_FIELDS),
        parse_template("{{.Name}}.{{.Namespace}}.{{.Domain}}", DOMAIN_FIELDS),
        "public host of a route",
        aliases=("domainTemplate",),
    )
    tag_template: NameTemplate = key(
        "tag-template",
        TemplateText(TAG_FIELDS),
        parse_template("{{.Tag}}-{{.Name}}", TAG_FIELDS),
        "takes the place of the route's name for a tag",
        aliases=("tagTemplate",),
    )
    rollout_duration_s: int = key(
        "rollout-duration",
        Whole(0),
        0,
        "seconds over which traffic moves to a new latest revision; 0: at once",
        aliases=("rolloutDuration",),
    )
    http_protocol: str = key(
        "http-protocol",
        Choice(("Enabled", "Redirected", "Disabled")),
        "Enabled",
        "plain HTTP is served, or answered with 301 to https",
        aliases=("httpProtocol",),
    )
    default_external_scheme: str = key(
        "default-external-scheme",
        Text(),
        "http",
        "scheme of public URLs without TLS",
        aliases=("defaultExternalScheme",),
    )
    autocreate_cluster_domain_claims: bool = key(
        "autocreate-cluster-domain-claims",
        Truth(),
        True,
        "a DomainMapping claims its host by itself (upstream's default is false; one machine has one owner)",
        aliases=("autocreateClusterDomainClaims",),
    )
    ingress_class: str = key(
        "ingress-class",
        Text(),
        "pilotlight.ingress.networking.knative.dev",
        "not used: there is one gateway",
        aliases=("ingress.class",),
    )
    certificate_class: str = key(
        "certificate-class",
        Text(),
        "cert-manager.certificate.networking.knative.dev",
        "not used yet: certificates are brought by secretName",
        aliases=("certificate.class",),
    )
    external_domain_tls: str = key(
        "external-domain-tls", _SWITCH, "Disabled", "certificates per route", aliases=("auto-tls", "autoTLS")
    )
    cluster_local_domain_tls: str = key("cluster-local-domain-tls", _SWITCH, "Disabled", "TLS on cluster-local hosts")
    system_internal_tls: str = key("system-internal-tls", _SWITCH, "Disabled", "not used: there is no internal hop")
    internal_encryption: bool = key("internal-encryption", Truth(), False, "older name of system-internal-tls")
    namespace_wildcard_cert_selector: str = key(
        "namespace-wildcard-cert-selector", Text(required=False), "", "namespaces with a wildcard certificate"
    )
    mesh_compatibility_mode: str = key(
        "mesh-compatibility-mode", Choice(("auto", "enabled", "disabled")), "auto", "not used: there is no mesh"
    )
    enable_mesh_pod_addressability: bool = key(
        "enable-mesh-pod-addressability", Truth(), False, "not used: there is no mesh"
    )

    def problems(self) -> Sequence[FieldError]:
        return tuple(self._problems())

    def _problems(self) -> Iterator[FieldError]:
        probes: tuple[tuple[str, NameTemplate, Values], ...] = (
            ("domain-template", self.domain_template, {"Name": "foo", "Namespace": "bar", "Domain": "baz.com"}),
            ("tag-template", self.tag_template, {"Name": "foo", "Tag": "v2"}),
        )
        for name, template, values in probes:
            host = template.render(values)
            if not host or _NOT_IN_A_HOST & set(host):
                found = host or "an empty name"
                yield invalid(name, template.text, f"must make a host name, but makes {found!r}")


def parse_network(data: Mapping[str, str]) -> NetworkSettings | list[FieldError]:
    return parse_settings(NetworkSettings, data)
