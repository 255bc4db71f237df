"""What there is: the documents by which clients find groups, versions, resources and verbs.

Plain (`/api`, `/apis`, `/apis/G`, `/apis/G/V`) as every client knows them, and aggregated (`apidiscovery.k8s.io`),
which spares kubectl one request for each group. Both come from the kinds and the reviews alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.apiserver.reviews import REVIEWS
from core.resources.meta import Json, Kind

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
SUBRESOURCE_VERBS = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource as discovery lists it."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()


def subresources_of(kind: Kind[Any]) -> tuple[Subresource, ...]:
    """What can be asked for below an object of the kind."""
    found: list[Subresource] = []
    own = (kind.group, kind.version, kind.kind)
    if (kind.group, kind.plural) == ("", "namespaces"):
        found.append(Subresource("finalize", *own, ("update",)))
    if (kind.group, kind.plural) == ("", "pods"):
        found.append(Subresource("log", *own, ("get",)))
    if kind.scale is not None:
        found.append(Subresource("scale", "autoscaling", "v1", "Scale", SUBRESOURCE_VERBS))
    if kind.status:
        found.append(Subresource("status", *own, SUBRESOURCE_VERBS))
    return tuple(found)


class Discovery:
    """All documents for one set of kinds."""

    def __init__(self, kinds: Sequence[Kind[Any]]) -> None:
        entries = [_entry(kind) for kind in kinds]
        entries += [
            Entry(r.group, r.version, r.kind, r.plural, r.kind.lower(), False, ("create",)) for r in REVIEWS
        ]  # fmt: skip
        self._groups: dict[str, dict[str, list[Entry]]] = {}
        for entry in entries:
            self._groups.setdefault(entry.group, {}).setdefault(entry.version, []).append(entry)

    def core_versions(self, address: str) -> Json:
        """`/api`. `address`: where the client reached this server."""
        servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
        return {
            "kind": "APIVersions",
            "versions": list(self._groups.get("", {})),
            "serverAddressByClientCIDRs": servers,
        }

    def groups(self) -> Json:
        """`/apis`."""
        found = [_group(name, list(versions)) for name, versions in self._groups.items() if name]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}

    def group(self, name: str) -> Json | None:
        """`/apis/G`."""
        versions = self._groups.get(name) if name else None
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, list(versions))} if versions else None

    def resources(self, group: str, version: str) -> Json | None:
        """`/api/V` and `/apis/G/V`."""
        entries = self._groups.get(group, {}).get(version)
        if entries is None:
            return None
        name = f"{group}/{version}" if group else version
        found = [resource for entry in entries for resource in _plain(entry)]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": found}

    def aggregated(self, *, core: bool, version: str) -> Json:
        """`/api` (core) or `/apis` in one document; `version` is `v2` or `v2beta1`."""
        items = []
        for group, versions in self._groups.items():
            if core != (not group):
                continue
            found = [
                {"version": name, "resources": [_aggregated(entry) for entry in entries], "freshness": "Current"}
                for name, entries in versions.items()
            ]
            items.append({"metadata": {"name": group, "creationTimestamp": None}, "versions": found})
        api_version = f"apidiscovery.k8s.io/{version}"
        return {"kind": "APIGroupDiscoveryList", "apiVersion": api_version, "metadata": {}, "items": items}


def _entry(kind: Kind[Any]) -> Entry:
    return Entry(
        group=kind.group,
        version=kind.version,
        kind=kind.kind,
        plural=kind.plural,
        singular=kind.singular,
        namespaced=kind.namespaced,
        verbs=VERBS,
        short_names=kind.short_names,
        categories=kind.categories,
        subresources=subresources_of(kind),
    )


def _group(name: str, versions: Sequence[str]) -> Json:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _plain(entry: Entry) -> Iterable[Json]:
    own: Json = {
        "name": entry.plural,
        "singularName": entry.singular,
        "namespaced": entry.namespaced,
        "kind": entry.kind,
        "verbs": list(entry.verbs),
    }
    if entry.short_names:
        own["shortNames"] = list(entry.short_names)
    if entry.categories:
        own["categories"] = list(entry.categories)
    yield own
    for sub in entry.subresources:
        below: Json = {"name": f"{entry.plural}/{sub.name}", "singularName": "", "namespaced": entry.namespaced}
        if (sub.group, sub.version) != (entry.group, entry.version):
            below |= {"group": sub.group, "version": sub.version}
        yield {**below, "kind": sub.kind, "verbs": list(sub.verbs)}


def _aggregated(entry: Entry) -> Json:
    resource: Json = {
        "resource": entry.plural,
        "responseKind": {"group": entry.group, "version": entry.version, "kind": entry.kind},
        "scope": "Namespaced" if entry.namespaced else "Cluster",
        "singularResource": entry.singular,
        "verbs": list(entry.verbs),
    }
    if entry.short_names:
        resource["shortNames"] = list(entry.short_names)
    if entry.categories:
        resource["categories"] = list(entry.categories)
    if entry.subresources:
        resource["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind},
                "verbs": list(sub.verbs),
            }
            for sub in entry.subresources
        ]
    return resource
