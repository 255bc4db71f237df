"""The `/scale` subresource: an `autoscaling/v1` Scale as a window on a few fields of an object.

`kubectl scale`, autoscalers and KEDA write it without knowing the kind behind it.
"""

from __future__ import annotations

from typing import Any

from core.apiserver.admission import admit_update, invalid
from core.apiserver.backend import Answer, Backend, Call, write_json
from core.apiserver.bodies import as_object, media_type, read_json, read_object
from core.apiserver.patch import json_patch, merge_patch
from core.apiserver.serverside import track_update
from core.apiserver.table import find
from core.apiserver.writing import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, field_validation
from core.errors import BadRequest, FieldError, UnsupportedMediaType
from core.resources.meta import Json, Kind, Scale
from core.resources.selectors import selector_of

REPLICAS_MAX = 2**31 - 1
API_VERSION, KIND = "autoscaling/v1", "Scale"


async def get_scale(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    obj = await backend.store.get(kind, call.target.name, call.target.namespace)
    return write_json(scale_of(obj, _declared(kind)), call.form)


async def replace_scale(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    body = read_object(call.headers.get("content-type", ""), call.body)
    return await _change(backend, call, kind, lambda current: body)


async def patch_scale(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    content_type, document = media_type(call.headers.get("content-type", "")), read_json(call.body)
    if content_type == JSON_PATCH:
        return await _change(backend, call, kind, lambda current: as_object(json_patch(current, document)))
    if content_type in (MERGE_PATCH, STRATEGIC_MERGE_PATCH):
        # A Scale has no lists, so the two are the same.
        return await _change(backend, call, kind, lambda current: as_object(merge_patch(current, as_object(document))))
    raise UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {JSON_PATCH}, {MERGE_PATCH}"
    )


def scale_of(obj: Json, declared: Scale) -> Json:
    """The Scale of an object."""
    metadata = obj["metadata"]
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Json = {"replicas": find(declared.status_replicas, obj) or 0}
    selector = find(declared.selector, obj)
    if selector is not None:
        status["selector"] = selector if isinstance(selector, str) else str(selector_of(selector))
    return {
        "kind": KIND,
        "apiVersion": API_VERSION,
        "metadata": {name: metadata[name] for name in shown if name in metadata},
        "spec": {"replicas": find(declared.spec_replicas, obj) or 0},
        "status": status,
    }


def with_replicas(obj: Json, declared: Scale, replicas: int) -> Json:
    """A copy of the object, down to the field, with another number in it."""
    *parents, last = declared.spec_replicas.split(".")
    new = dict(obj)
    inner = new
    for name in parents:
        inner[name] = dict(inner.get(name) or {})
        inner = inner[name]
    inner[last] = replicas
    return new


async def _change(backend: Backend, call: Call, kind: Kind[Any], make: Any) -> Answer:
    target, declared, validation = call.target, _declared(kind), field_validation(call)

    def change(current: Json) -> Json:
        wanted = make(scale_of(current, declared))
        if (wanted.get("kind", KIND), wanted.get("apiVersion", API_VERSION)) != (KIND, API_VERSION):
            raise BadRequest(f"the body is not a {KIND} of {API_VERSION}")
        new = with_replicas(current, declared, _replicas(kind, target.name, wanted))
        given = _part(wanted, "metadata")
        asked = {name: given[name] for name in ("resourceVersion", "uid") if given.get(name)}
        new["metadata"] = {**current["metadata"], **asked}
        admitted = admit_update(kind, current, new, call.context(backend, current), validation)
        return track_update(kind, current, admitted.obj, call.manager, backend.timestamp(), "scale")

    if call.dry_run:
        stored = change(await backend.store.get(kind, target.name, target.namespace))
    else:
        stored = await backend.store.modify(kind, target.name, target.namespace, change)
    return write_json(scale_of(stored, declared), call.form)


def _replicas(kind: Kind[Any], name: str, scale: Json) -> int:
    replicas = _part(scale, "spec").get("replicas", 0)
    if type(replicas) is not int or not 0 <= replicas <= REPLICAS_MAX:
        raise invalid(kind, name, [FieldError("spec.replicas", f"Invalid value: {replicas}: must be 0 or more")])
    return replicas


def _part(scale: Json, name: str) -> Json:
    found = scale.get(name) or {}
    if not isinstance(found, dict):
        raise BadRequest(f"{name} of the {KIND} is not an object")
    return found


def _declared(kind: Kind[Any]) -> Scale:
    if kind.scale is None:
        raise LookupError(f"{kind} has no scale")  # the edge sends no such call here
    return kind.scale
