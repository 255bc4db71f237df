"""Destinations to URLs: the address of the object that a `ref` names, or a `uri`, or the second below the first.

(knative.dev/pkg/resolver/addressable_resolver.go.) Every controller that sends events somewhere asks here; the objects
that it named are told of by the watches of `followed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin

from core.reconcile.controller import Watched
from core.reconcile.objects import Objects
from core.reconcile.references import References, Referent
from core.resources.core_services import CORE_SERVICE
from core.resources.hosts import Hosts
from core.resources.kinds import KINDS
from core.resources.meta import Json, Kind, ObjectKey


class Unresolved(Exception):
    """There is no URL (yet). Says of what, and why."""


def kind_of(reference: Json) -> Kind[Any] | None:
    """By apiVersion and kind, or by group and kind."""
    version, group, name = reference.get("apiVersion") or "", reference.get("group"), reference.get("kind")
    for kind in KINDS:
        if kind.kind == name and (kind.api_version == version if version else kind.group == group):
            return kind
    same = [kind for kind in KINDS if kind.kind == name and kind.group == version.rpartition("/")[0]]
    return same[0] if same else None  # another version of a kind that is served in one


async def resolve(objects: Objects, hosts: Hosts, destination: Json, namespace: str) -> str:
    """Its URL. Unresolved."""
    reference, uri = destination.get("ref"), destination.get("uri")
    if reference is None:
        return str(uri)
    base = await _address(objects, hosts, reference, namespace)
    return urljoin(base if base.endswith("/") or not uri else f"{base}/", uri) if uri else base


def referents(destinations: Sequence[Json | None], namespace: str) -> list[Referent]:
    """The objects that these name."""
    found: list[Referent] = []
    for destination in destinations:
        reference = (destination or {}).get("ref")
        if reference and (kind := kind_of(reference)) is not None:
            found.append((kind, ObjectKey(reference.get("namespace") or namespace, reference.get("name") or "")))
    return found


def followed(references: References) -> list[Watched]:
    """Watches of everything that has an address; who refers to what is there is listed anyway."""
    return [Watched(kind, references.of(kind), changes_only=True) for kind in KINDS if _has_address(kind)]


def followed_sources(references: References) -> list[Watched]:
    """… of every source, for Triggers that depend on one."""
    return [Watched(kind, references.of(kind)) for kind in KINDS if "sink_uri" in _fields_of_status(kind)]


def _has_address(kind: Kind[Any]) -> bool:
    return kind is CORE_SERVICE or "address" in _fields_of_status(kind)


def _fields_of_status(kind: Kind[Any]) -> set[str]:
    status = kind.model.model_fields.get("status")
    for part in getattr(status.annotation, "__args__", ()) if status is not None else ():
        if hasattr(part, "model_fields"):
            return set(part.model_fields)
    return set()


async def _address(objects: Objects, hosts: Hosts, reference: Json, namespace: str) -> str:
    where = reference.get("namespace") or namespace
    name = reference.get("name") or ""
    said = f"{reference.get('kind')} {where}/{name}"
    kind = kind_of(reference)
    if kind is None:
        group = reference.get("apiVersion") or reference.get("group")
        raise Unresolved(f"{said}: no kind {reference.get('kind')} of {group} is served here")
    obj = await objects.find(kind, ObjectKey(where, name))
    if obj is None:
        raise Unresolved(f"{said} does not exist: `kubectl get {kind.plural} -n {where}` lists those that do")
    if kind is CORE_SERVICE:
        return hosts.local_url(f"{name}.{where}.svc.cluster.local")
    if not _has_address(kind):
        raise Unresolved(f"{said} has no address: a {kind.kind} cannot receive events")
    status = obj.get("status") or {}
    wanted = reference.get("address")
    candidates = [each for each in status.get("addresses") or () if each.get("name") == wanted] if wanted else []
    address = candidates[0] if candidates else None if wanted else status.get("address")
    if not address or not address.get("url"):
        raise Unresolved(f"{said} has no address yet: it is not ready")
    return str(address["url"])
