"""Kinds for tests of what is the same for every kind: one per lifetime, and one that has no namespace."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from core.resources.meta import Json, Kind, Lifetime, Resource


class Anything(Resource):
    spec: dict[str, Any] = Field(default_factory=dict)
    status: dict[str, Any] | None = None


def make_kind(name: str, lifetime: Lifetime, **fields: Any) -> Kind[Anything]:
    return Kind(
        group="test.dev",
        version="v1",
        kind=name,
        plural=name.lower() + "s",
        model=Anything,
        lifetime=lifetime,
        **fields,
    )


def _grace_s(obj: Json, asked_s: int | None) -> int:
    return obj["spec"].get("grace", 0) if asked_s is None else asked_s


BOOK = make_kind("Book", Lifetime.DURABLE)
LOAN = make_kind("Loan", Lifetime.OWNED)
GLANCE = make_kind("Glance", Lifetime.EPHEMERAL)
READER = make_kind("Reader", Lifetime.EPHEMERAL, grace=_grace_s)
TOWN = make_kind("Town", Lifetime.DURABLE, namespaced=False)
PLAIN = make_kind("Plain", Lifetime.DURABLE, status=False, generation=False)
TEST_KINDS = (BOOK, LOAN, GLANCE, READER, TOWN, PLAIN)


def make(name: str, namespace: str = "default", spec: Json | None = None, **metadata: Any) -> Json:
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec or {}}


def owned_by(kind: Kind[Any], owner: Json, *, controller: bool = True, blocks: bool = True) -> Json:
    """An owner reference to a stored object."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": controller,
        "blockOwnerDeletion": blocks,
    }
