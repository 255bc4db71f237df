"""What a request path names: `/apis/G/V/namespaces/N/PLURAL/NAME/SUBRESOURCE` taken apart.

The edge (`app`) calls it once for each request. It knows nothing of which kinds exist.
"""

from __future__ import annotations

from dataclasses import dataclass

# `/api/v1/namespaces/X/status` is a part of the namespace, not a list of a kind called "status".
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Target:
    """A resource path. `namespace` is empty for cluster-scoped objects and for lists over all namespaces."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def parse_path(path: str) -> Target | None:
    """The target, or None where the path names no resource (discovery, health, or nothing at all)."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    if not all(rest):
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and (group or rest[2] not in NAMESPACE_SUBRESOURCES):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    plural, name, subresource = (*rest, "", "")[:3]
    return Target(group, version, plural, namespace, name, subresource)
