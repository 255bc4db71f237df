"""The table of kinds, and that no field which Kubernetes itself knows is unknown here."""

from __future__ import annotations

from typing import Any, get_args

import kubernetes
import pytest
from kubernetes import client
from pydantic import BaseModel

from core.resources.containers import Container, Quantity
from core.resources.kinds import KINDS
from core.resources.meta import Kind, Resource

NEWEST_COMPARED = 37
"""The client release that the models were last compared with; a newer one may know fields that no document uses yet."""

COMPARED = {
    "pods": "V1Pod",
    "deployments": "V1Deployment",
    "jobs": "V1Job",
    "secrets": "V1Secret",
    "configmaps": "V1ConfigMap",
    "namespaces": "V1Namespace",
    "serviceaccounts": "V1ServiceAccount",
    "events": "CoreV1Event",
    "endpoints": "V1Endpoints",
    "endpointslices": "V1EndpointSlice",
    "horizontalpodautoscalers": "V2HorizontalPodAutoscaler",
    "roles": "V1Role",
    "clusterroles": "V1ClusterRole",
    "rolebindings": "V1RoleBinding",
    "clusterrolebindings": "V1ClusterRoleBinding",
}


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def unknown_fields(ours: type[BaseModel], theirs: str, path: str, seen: set[str]) -> list[str]:
    """Fields of the Kubernetes model, at any depth, that our model would refuse."""
    if theirs in seen:
        return []
    reference = getattr(client, theirs)
    fields = {field.alias or name: field for name, field in ours.model_fields.items()}
    missing = []
    for attribute, name in reference.attribute_map.items():
        name = {"_exec": "exec", "_from": "from"}.get(name, name)
        if name not in fields:
            missing.append(f"{path}.{name}")
            continue
        inner = models_in(fields[name].annotation)
        type_name = reference.openapi_types[attribute].replace("List[", "").rstrip("]")
        if inner and hasattr(client, type_name):
            missing += unknown_fields(inner[0], type_name, f"{path}.{name}", seen | {theirs})
    return missing


@pytest.mark.skipif(int(kubernetes.__version__.split(".")[0]) > NEWEST_COMPARED, reason="newer than what was compared")
@pytest.mark.parametrize("kind", [k for k in KINDS if k.plural in COMPARED or k.resource == "services"], ids=str)
def test_every_field_of_kubernetes_is_known(kind: Kind[Any]) -> None:
    theirs = COMPARED.get(kind.plural, "V1Service")
    assert unknown_fields(kind.model, theirs, kind.kind, set()) == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_field_is_of_our_own_invention(kind: Kind[Any]) -> None:
    if kind.plural not in COMPARED:
        return
    known = set(getattr(client, COMPARED[kind.plural]).attribute_map.values())
    assert {field.alias for field in kind.model.model_fields.values()} <= known


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_parses_its_least_object(kind: Kind[Resource]) -> None:
    least: dict[str, Any] = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "a"}}
    parsed = kind.parse(least)
    assert parsed.name == "a"
    assert kind.to_json(parsed) == least


def test_no_two_kinds_share_a_resource_or_a_short_name_within_a_group() -> None:
    assert len({(k.group, k.version, k.plural) for k in KINDS}) == len(KINDS)
    short = [name for kind in KINDS for name in kind.short_names]
    assert len(short) == len(set(short))


def test_every_field_explains_itself() -> None:
    silent = [name for name, field in Container.model_fields.items() if not field.description]
    assert silent == []
    assert str in get_args(Quantity)
