"""Whether an object in a request body is the one that the path names; what the body left out is filled in.

The writing verbs call it on every object before admission, and on what a patch made of one.
"""

from __future__ import annotations

from typing import Any

from core.apiserver.paths import Target
from core.errors import BadRequest
from core.resources.meta import Json, Kind


def address(kind: Kind[Any], target: Target, obj: Json) -> None:
    """Completes apiVersion, kind, name and namespace in place. BadRequest where the body contradicts the path."""
    _check_type(kind, obj)
    metadata = obj.get("metadata")
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        raise BadRequest("metadata is not an object")
    name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
    if not (isinstance(name, str) and isinstance(namespace, str)):
        raise BadRequest("metadata.name and metadata.namespace are texts")
    if target.name:
        if name and name != target.name:
            raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
        metadata["name"] = target.name
    if not kind.namespaced:
        metadata.pop("namespace", None)
        return
    if not target.namespace:
        raise BadRequest("an empty namespace may not be set during creation")
    if namespace and namespace != target.namespace:
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request "
            f"({namespace} and {target.namespace})"
        )
    metadata["namespace"] = target.namespace


def _check_type(kind: Kind[Any], obj: Json) -> None:
    api_version = obj.setdefault("apiVersion", kind.api_version)
    name = obj.setdefault("kind", kind.kind)
    if api_version != kind.api_version:
        raise BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version ({kind.api_version})"
        )
    if name != kind.kind:
        raise BadRequest(f"the kind in the data ({name}) does not match the expected kind ({kind.kind})")
