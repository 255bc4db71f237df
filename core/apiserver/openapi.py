"""OpenAPI v3 from the models: one document for each group and version, as kube-apiserver publishes them.

`kubectl explain` reads the schemas; `kubectl apply` looks whether PATCH knows `fieldValidation`. Texts come from the
models' docstrings and field descriptions, the `x-kubernetes-*` marks from their fields. Generating takes a tenth of a
second for the largest group, so it is done when first asked for (`schemas`), never at the start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson
from pydantic.json_schema import models_json_schema

from core.resources.meta import Json, Kind

REF = "#/components/schemas/"
META_GROUP = "io.k8s.apimachinery.pkg.apis.meta.v1"
STANDARD_TEXTS = {
    "apiVersion": "Group and version of the schema that this object is written in.",
    "kind": "The resource type that this object is.",
    "metadata": "Name, labels, annotations and what the system keeps about the object.",
    "spec": "What is wanted.",
    "status": "What was found; written by the system.",
}
# Not offered: strategic merge patch. kubectl then takes the merge keys of built-in kinds from its own Go types.
PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")


def document_path(group: str, version: str) -> str:
    """`apis/apps/v1`, `api/v1`: how the index names a document."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def make_index(documents: dict[str, bytes]) -> Json:
    """`/openapi/v3`: each document with an address that changes when its content does."""
    return {
        "paths": {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={content_hash(text)}"}
            for name, text in documents.items()
        }
    }


def content_hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32].upper()


def make_documents(kinds: Sequence[Kind[Any]], version: str) -> dict[str, bytes]:
    """Every document by its name in the index. `version`: the platform's own."""
    groups: dict[tuple[str, str], list[Kind[Any]]] = {}
    for kind in kinds:
        groups.setdefault((kind.group, kind.version), []).append(kind)
    return {document_path(*key): orjson.dumps(make_document(found, version)) for key, found in groups.items()}


def make_document(kinds: Sequence[Kind[Any]], version: str) -> Json:
    """The document of one group and version."""
    schemas = make_schemas(kinds)
    paths: Json = {}
    for kind in kinds:
        paths |= _paths(kind, REF + schema_name(kind))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Pilotlight", "version": version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def schema_name(kind: Kind[Any]) -> str:
    """`dev.knative.serving.v1.Service`; kubectl shows what stands after the last dot."""
    group = ".".join(reversed(kind.group.split("."))) if "." in kind.group else f"io.k8s.api.{kind.group or 'core'}"
    return f"{group}.{kind.version}.{kind.kind}"


def make_schemas(kinds: Sequence[Kind[Any]]) -> Json:
    """The schemas of some kinds of one group and version, and of all that they refer to."""
    _, generated = models_json_schema(
        [(kind.model, "validation") for kind in kinds], by_alias=True, ref_template="{model}"
    )
    definitions: Json = generated.get("$defs", {})
    prefix = schema_name(kinds[0]).rpartition(".")[0]
    names = {name: _full_name(name, prefix) for name in definitions}
    names |= {kind.model.__name__: schema_name(kind) for kind in kinds}
    renamer = _Renamer(definitions, names)
    schemas = {
        names[name]: renamer.plain(definition) for name, definition in definitions.items() if "enum" not in definition
    }
    for kind in kinds:
        schema = schemas[schema_name(kind)]
        for name, text in STANDARD_TEXTS.items():
            if name in schema["properties"]:
                schema["properties"][name].setdefault("description", text)
        group_version_kind = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        schema["x-kubernetes-group-version-kind"] = [group_version_kind]
    return schemas


def _full_name(name: str, prefix: str) -> str:
    short = name.rpartition("__")[2]  # pydantic puts the module before a name that is used twice
    return f"{META_GROUP if short in ('ObjectMeta', 'OwnerReference') else prefix}.{short}"


class _Renamer:
    """JSON Schema as pydantic writes it, in the smaller language of Kubernetes' documents."""

    def __init__(self, definitions: Json, names: dict[str, str]) -> None:
        self._definitions = definitions
        self._names = names

    def plain(self, schema: Json) -> Json:
        """No `null` branches, titles or inlined defaults of absence; references under their full names."""
        branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
        kept = {name: value for name, value in schema.items() if name in _KEPT or name.startswith("x-kubernetes-")}
        if schema.get("default") is not None:
            kept["default"] = schema["default"]
        if len(branches) == 1:
            return {**self.plain(branches[0]), **kept}
        if branches:
            return {**kept, **_mixed(branches)}
        if "$ref" in schema:
            return {**self._reference(schema["$ref"]), **kept}
        if "const" in schema:
            kept |= {"type": "string", "enum": [schema["const"]]}
        if "items" in schema:
            kept["items"] = self.plain(schema["items"])
        if "properties" in schema:
            kept["properties"] = {name: self.plain(each) for name, each in schema["properties"].items()}
        if isinstance(schema.get("additionalProperties"), dict):
            kept["additionalProperties"] = self.plain(schema["additionalProperties"])
        return kept

    def _reference(self, name: str) -> Json:
        target = self._definitions[name]
        if "enum" in target:
            return {"type": target.get("type", "string"), "enum": target["enum"]}
        return {"allOf": [{"$ref": REF + self._names[name]}]}


_KEPT = ("type", "description", "format", "enum", "required", "minimum", "maximum", "pattern")


def _mixed(branches: Sequence[Json]) -> Json:
    """A number or a text (intstr.IntOrString, resource.Quantity), or anything."""
    types = {branch.get("type") for branch in branches}
    if types <= {"integer", "number", "string"}:
        return {"type": "string", "format": "int-or-string", "x-kubernetes-int-or-string": True}
    return {"x-kubernetes-preserve-unknown-fields": True}


def _paths(kind: Kind[Any], ref: str) -> Json:
    """The operations on a kind, as far as clients look at them."""
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    collection = f"/{document_path(kind.group, kind.version)}{scope}/{kind.plural}"
    own = {"x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind}}
    body = {"required": True, "content": {"*/*": {"schema": {"$ref": ref}}}}
    answer = {"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": ref}}}}}
    write = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in WRITE_PARAMETERS]
    force = {"name": "force", "in": "query", "schema": {"type": "boolean"}}
    patch = {"required": True, "content": {name: {"schema": {"type": "object"}} for name in PATCH_TYPES}}

    def operation(action: str, **more: Any) -> Json:
        return {
            "operationId": f"{action}{kind.kind}",
            "x-kubernetes-action": action,
            "responses": answer,
            **own,
            **more,
        }

    return {
        collection: {
            "get": operation("list"),
            "post": operation("post", parameters=write, requestBody=body),
            "delete": operation("deletecollection"),
        },
        collection + "/{name}": {
            "get": operation("get"),
            "put": operation("put", parameters=write, requestBody=body),
            "patch": operation("patch", parameters=[*write, force], requestBody=patch),
            "delete": operation("delete", parameters=write[:1]),
        },
    }
