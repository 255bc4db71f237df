"""What is special about namespaces: objects need theirs to exist, one is only gone when its finalizers are, some stay.

The writing verbs call it. Who empties a namespace on its way out is a controller's affair.
"""

from __future__ import annotations

from typing import Any

from core.apiserver.backend import Answer, Backend, Call
from core.apiserver.bodies import read_object
from core.apiserver.identity import address
from core.apiserver.reading import show
from core.errors import BadRequest, Forbidden, NotFound
from core.resources.core_v1 import NAMESPACE
from core.resources.meta import Json, Kind


def make_namespace(name: str) -> Json:
    """A new namespace as admission would make it: for those that are always there, which the roof stores itself."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


async def require_namespace(backend: Backend, kind: Kind[Any], namespace: str) -> None:
    """NotFound where the namespace is not there, Forbidden where it is on its way out."""
    if not kind.namespaced or NAMESPACE not in backend.kinds:
        return
    try:
        found = await backend.store.get(NAMESPACE, namespace)
    except NotFound as error:
        error.about = ("", "namespaces", namespace)
        raise
    if "deletionTimestamp" in found["metadata"]:
        raise Forbidden(
            f"{kind.plural} is forbidden: unable to create new content in namespace {namespace} "
            "because it is being terminated"
        )


def require_mortal(backend: Backend, kind: Kind[Any], name: str) -> None:
    """Forbidden for what is always there: nobody would make it again."""
    if kind is NAMESPACE and name in backend.kept_namespaces:
        raise Forbidden(f'namespaces "{name}" is forbidden: this namespace may not be deleted')
    if kind.built_in:
        raise Forbidden(f'{kind.resource} "{name}" is forbidden: it is built in and may not be deleted')


async def finalize(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    """`PUT /api/v1/namespaces/X/finalize`: replaces `spec.finalizers`, the last of which lets the namespace go."""
    body = read_object(call.headers.get("content-type", ""), call.body)
    address(kind, call.target, body)
    spec = body.get("spec") or {}
    finalizers = (spec.get("finalizers") or []) if isinstance(spec, dict) else None
    if not isinstance(finalizers, list) or not all(isinstance(name, str) for name in finalizers):
        raise BadRequest("spec.finalizers is not a list of names")

    def change(current: Json) -> Json:
        return {**current, "spec": {**(current.get("spec") or {}), "finalizers": finalizers}}

    return show(backend, call, kind, await backend.store.modify(kind, call.target.name, "", change))
