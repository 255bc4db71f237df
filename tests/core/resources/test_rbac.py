"""Roles and bindings: kept as they are, said to be without effect."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.resources.meta import AdmissionContext, Json, Kind
from core.resources.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING, RoleBinding, default_binding

BINDING: Json = {
    "metadata": {"name": "b"},
    "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "default"}, {"kind": "User", "name": "u"}],
    "roleRef": {"kind": "Role", "name": "r"},
}


@pytest.mark.parametrize("kind", [ROLE, CLUSTER_ROLE, ROLE_BINDING, CLUSTER_ROLE_BINDING], ids=str)
def test_whoever_makes_one_is_told_once(kind: Kind[Any]) -> None:
    obj: Json = {"metadata": {"name": "x"}}
    assert "no effect" in kind.warn(obj, AdmissionContext())[0]
    assert not kind.warn(obj, AdmissionContext(old=obj))


def test_groups_are_filled_in() -> None:
    obj = copy.deepcopy(BINDING)
    default_binding(obj, AdmissionContext())
    assert obj["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert ["apiGroup" in each for each in obj["subjects"]] == [False, True]
    assert isinstance(ROLE_BINDING.parse(obj), RoleBinding)


@pytest.mark.parametrize(
    ("change", "old", "path"),
    [
        ({}, None, []),
        ({}, BINDING, []),
        ({"roleRef": None}, None, ["roleRef.name"]),
        ({"roleRef": {"kind": "Role", "name": "other"}}, BINDING, ["roleRef"]),
    ],
)
def test_a_binding_has_one_role_for_ever(change: Json, old: Json | None, path: list[str]) -> None:
    errors = ROLE_BINDING.validate({**BINDING, **change}, AdmissionContext(old=old))
    assert [error.path for error in errors] == path
