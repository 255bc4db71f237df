"""The shape of a kind as patches and apply see it: structs, maps, lists and leaves, with the marks of each list.

Read once from the models (see `core.resources.fields`), in place of the OpenAPI document that Kubernetes reads. Used by
`core.apiserver.strategic` and, for server-side apply, `core.apiserver.structured`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.resources.meta import Kind, ObjectMeta


class Shape(Enum):
    LEAF = "leaf"
    STRUCT = "struct"  # an object with declared fields
    MAP = "map"  # an object with any keys
    LIST = "list"
    ANY = "any"  # whatever the document holds: see `seen_as`


class ListKind(Enum):
    ATOMIC = "atomic"  # owned and replaced as a whole
    SET = "set"  # of scalars, each owned on its own
    KEYED = "map"  # of objects told apart by `Node.keys`


@dataclass(eq=False, slots=True)
class Node:
    """One place in a document. Built once for each model, so a model that contains itself is a cycle of nodes."""

    shape: Shape
    fields: Mapping[str, Node] = field(default_factory=dict)  # of a struct
    item: Node | None = None  # of a map or a list
    list_kind: ListKind = ListKind.ATOMIC
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    atomic: bool = False  # an object that is owned as a whole
    merges: bool = False  # strategic merge patch merges this list
    merge_key: str = ""

    def child(self, name: str) -> Node:
        """The node of a field or key; what is not declared may be anything."""
        return self.fields.get(name) or self.item or ANY


LEAF = Node(Shape.LEAF)
ANY = Node(Shape.ANY)
ANY_MAP = Node(Shape.MAP, item=ANY)
ANY_LIST = Node(Shape.LIST, item=ANY)


def seen_as(node: Node, value: Any) -> Node:
    """What an undeclared value is taken for: maps field by field, lists as a whole (structured-merge-diff, deduced)."""
    if node.shape is not Shape.ANY:
        return node
    if isinstance(value, dict):
        return ANY_MAP
    return ANY_LIST if isinstance(value, list) else LEAF


@cache
def schema_of(kind: Kind[Any]) -> Node:
    """The root of a kind. Lists of kinds that are CRDs upstream are atomic, but for those in metadata, as there."""
    model: type[BaseModel] = kind.model
    root = struct_of(model, plain=kind.merge_patch_only)
    metadata = struct_of(ObjectMeta, plain=False)
    return Node(Shape.STRUCT, fields={**root.fields, "metadata": metadata})


@cache
def struct_of(model: type[BaseModel], *, plain: bool) -> Node:
    fields: dict[str, Node] = {}
    node = Node(Shape.STRUCT, fields=fields)
    _BUILDING[model, plain] = node
    for name, info in model.model_fields.items():
        fields[info.alias or name] = _marked(_node_of(info.annotation, plain), info, plain)
    del _BUILDING[model, plain]
    return node


_BUILDING: dict[tuple[type[BaseModel], bool], Node] = {}


def _node_of(annotation: Any, plain: bool) -> Node:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _BUILDING.get((annotation, plain)) or struct_of(annotation, plain=plain)
    if annotation is Any:
        return ANY
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        choices = [_node_of(argument, plain) for argument in arguments if argument is not type(None)]
        return choices[0] if len(choices) == 1 else LEAF  # IntOrString and the like
    if origin is dict:
        return Node(Shape.MAP, item=_node_of(arguments[1], plain))
    if origin is list:
        return Node(Shape.LIST, item=_node_of(arguments[0], plain))
    return LEAF


def _marked(node: Node, info: FieldInfo, plain: bool) -> Node:
    """The node with the marks of its field. `Node`s of structs are shared, hence the copies."""
    marks = info.json_schema_extra
    if not isinstance(marks, dict):
        return node
    if marks.get("x-kubernetes-map-type") == "atomic":
        return Node(node.shape, fields=node.fields, item=node.item, atomic=True)
    if node.shape is not Shape.LIST or plain:
        return node
    strategies = str(marks.get("x-kubernetes-patch-strategy", "")).split(",")
    keys = marks.get("x-kubernetes-list-map-keys")
    return Node(
        Shape.LIST,
        item=node.item,
        list_kind=ListKind(marks.get("x-kubernetes-list-type", "atomic")),
        keys=tuple(sorted(str(key) for key in keys)) if isinstance(keys, list) else (),
        key_defaults=_key_defaults(info),
        merges="merge" in strategies,
        merge_key=str(marks.get("x-kubernetes-patch-merge-key", "")),
    )


def _key_defaults(info: FieldInfo) -> Mapping[str, Any]:
    """What stands for a key that an item leaves out, such as TCP for a port's protocol."""
    for model in _models_in(info.annotation):
        return {
            item.alias or name: item.json_schema_extra["default"]
            for name, item in model.model_fields.items()
            if isinstance(item.json_schema_extra, dict) and "default" in item.json_schema_extra
        }
    return {}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
