"""`config-domain`: which domain a route's public host ends in, by the labels of the route.

Every key is a domain; its value is empty (the default domain) or YAML with a `selector`. The most specific selector
that matches wins, ties go to the name that sorts first (knative.dev/serving/pkg/reconciler/route/config/domain.go).
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import yaml

from core.errors import FieldError
from core.settings.declaration import EXAMPLE_KEY, invalid

DEFAULT_DOMAIN: Final = "localhost"
"""Upstream says example.com; every resolver knows that `*.localhost` is this machine (RFC 6761)."""
CLUSTER_DOMAIN: Final = "svc.cluster.local"
_DOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_EMPTY: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class DomainSettings:
    """Domain → the labels that a route must carry to use it."""

    domains: Mapping[str, Mapping[str, str]]

    def for_labels(self, labels: Mapping[str, str]) -> str:
        """The domain of a route with these labels, visibility aside."""
        matching = [
            (-len(selector), domain)
            for domain, selector in self.domains.items()
            if all(labels.get(label) == value for label, value in selector.items())
        ]
        return min(matching)[1]


def parse_domain(data: Mapping[str, str]) -> DomainSettings | list[FieldError]:
    """Adds the default domain where none was given, so that every route has one."""
    domains: dict[str, Mapping[str, str]] = {}
    wrong: list[FieldError] = []
    for domain, text in data.items():
        if domain == EXAMPLE_KEY:
            continue
        if len(domain) > 253 or not _DOMAIN.fullmatch(domain):
            wrong.append(invalid(domain, text.strip(), "the key must be a domain such as apps.example.com"))
            continue
        selector = _selector(text)
        if selector is None:
            wrong.append(invalid(domain, text.strip(), "must be empty or YAML such as 'selector: {app: prod}'"))
            continue
        domains[domain] = selector
    if wrong:
        return wrong
    if all(domains.values()):
        domains[DEFAULT_DOMAIN] = _EMPTY
    return DomainSettings(domains)


def _selector(text: str) -> Mapping[str, str] | None:
    try:
        parsed = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if parsed is None:
        return _EMPTY
    if not isinstance(parsed, dict) or set(parsed) - {"selector"}:
        return None
    selector = parsed.get("selector") or _EMPTY
    if not isinstance(selector, Mapping):
        return None
    return selector if all(isinstance(each, str) for pair in selector.items() for each in pair) else None
