"""The shape of kinds, as patches and apply see it."""

from __future__ import annotations

from core.resources.core_services import CORE_SERVICE
from core.resources.core_v1 import EVENT
from core.resources.networking import INGRESS
from core.resources.pods import POD
from core.resources.schema import ANY, ListKind, Shape, schema_of, seen_as
from core.resources.workloads import DEPLOYMENT


def test_the_lists_of_a_deployment() -> None:
    pod = schema_of(DEPLOYMENT).child("spec").child("template").child("spec")
    containers = pod.child("containers")
    assert (containers.shape, containers.list_kind, containers.keys) == (Shape.LIST, ListKind.KEYED, ("name",))
    ports = containers.child("").child("ports")
    assert (ports.keys, ports.key_defaults) == (("containerPort", "protocol"), {"protocol": "TCP"})
    assert (ports.merges, ports.merge_key) == (True, "containerPort")
    assert containers.child("").child("command").list_kind is ListKind.ATOMIC
    assert schema_of(POD).child("spec").fields == pod.fields


def test_what_is_owned_as_a_whole() -> None:
    assert schema_of(DEPLOYMENT).child("spec").child("selector").atomic
    assert schema_of(CORE_SERVICE).child("spec").child("selector").atomic
    assert schema_of(EVENT).child("involvedObject").atomic
    assert not schema_of(DEPLOYMENT).child("metadata").child("labels").atomic


def test_lists_of_custom_kinds_are_atomic_but_for_their_metadata() -> None:
    root = schema_of(INGRESS)
    assert root.child("spec").child("rules").list_kind is ListKind.ATOMIC
    assert root.child("metadata").child("finalizers").list_kind is ListKind.SET
    assert root.child("metadata").child("ownerReferences").keys == ("uid",)


def test_what_is_not_declared_may_be_anything() -> None:
    affinity = schema_of(POD).child("spec").child("affinity")
    assert affinity.shape is Shape.MAP
    assert affinity.child("nodeAffinity") is ANY
    assert schema_of(POD).child("nonsense") is ANY
    assert [seen_as(ANY, value).shape for value in ({}, [], 1)] == [Shape.MAP, Shape.LIST, Shape.LEAF]
