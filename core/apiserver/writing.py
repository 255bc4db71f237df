"""The writing verbs: create, replace, patch, and the same of `status`.

Each is a line of steps: read the body, see that it is meant for this path, make the new object, admit it, have it
judged by whoever knows what it has to do with other objects, note who owns which field, store. The store decides
everything about versions, uids and timestamps; admission everything about the content. A dry run does all but the last
step.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeAlias

import orjson

from core.apiserver.admission import admit_create, admit_update, invalid, same_to_the_rules
from core.apiserver.backend import Answer, Backend, Call
from core.apiserver.bodies import as_object, media_type, read_json, read_object, read_yaml
from core.apiserver.duplicates import duplicate_fields
from core.apiserver.identity import address
from core.apiserver.namespaces import require_namespace
from core.apiserver.patch import json_patch, merge_patch
from core.apiserver.reading import invalid_options, show
from core.apiserver.serverside import apply, apply_status, track_update
from core.apiserver.strategic import strategic_merge
from core.errors import AlreadyExists, BadRequest, FieldError, NotFound, UnsupportedMediaType
from core.resources.meta import Json, Kind
from core.store.writes import Birth, already_exists, named, plan_create, plan_update

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
FIELD_VALIDATIONS = ("Ignore", "Warn", "Strict")

Make: TypeAlias = Callable[[Json], Json]
"""Makes the wanted object of the current one, which it leaves as it is."""


async def create(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    obj, repeated = _read(call)
    address(kind, call.target, obj)
    obj["metadata"].pop("managedFields", None)
    return await _create(backend, call, kind, obj, repeated=repeated)


async def replace(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    body, repeated = _read(call)
    address(kind, call.target, body)
    if kind.merge_patch_only and not body["metadata"].get("resourceVersion"):
        cause = FieldError("metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update")
        raise invalid(kind, call.target.name, [cause])
    return await _change(backend, call, kind, lambda current: body, repeated=repeated)


async def patch(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    content_type = media_type(call.headers.get("content-type", ""))
    if content_type == APPLY_PATCH:
        return await _apply(backend, call, kind)
    if call.query.get("force"):
        raise invalid_options("Forbidden: may not be specified for non-apply patch", "force", "PatchOptions")
    return await _change(backend, call, kind, read_patch(kind, content_type, call.body))


def read_patch(kind: Kind[Any], content_type: str, body: bytes) -> Make:
    """The change that a patch document stands for. BadRequest, UnsupportedMediaType."""
    if content_type == JSON_PATCH:
        operations = read_json(body)
        return lambda current: as_object(json_patch(current, operations))
    if content_type == MERGE_PATCH:
        document = as_object(read_json(body))
        return lambda current: as_object(merge_patch(current, document))
    if content_type == STRATEGIC_MERGE_PATCH and not kind.merge_patch_only:
        changes = as_object(read_json(body))
        return lambda current: strategic_merge(kind, current, changes)
    accepted = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH, *([] if kind.merge_patch_only else [STRATEGIC_MERGE_PATCH])]
    raise UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    )


async def _apply(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    """Server-side apply: makes the object where there is none."""
    manager = call.query.get("fieldManager", "")
    if not manager:
        raise invalid_options("Required value: is required for apply patch", "fieldManager", "PatchOptions")
    applied = as_object(read_yaml(call.body))
    address(kind, call.target, applied)
    if applied["metadata"].get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")

    force, now = call.flag("force"), backend.timestamp()

    def merge(current: Json) -> Json:
        if call.target.subresource == "status":
            return apply_status(kind, current, applied, manager, force, now)
        return apply(kind, current, applied, manager, force, now)

    try:
        return await _change(backend, call, kind, merge, managed=True)
    except NotFound:
        if call.target.subresource or applied["metadata"].get("uid") or applied["metadata"].get("resourceVersion"):
            raise
    try:
        return await _create(backend, call, kind, apply(kind, None, applied, manager, force, now), managed=True)
    except AlreadyExists:  # somebody was faster
        return await _change(backend, call, kind, merge, managed=True)


def _read(call: Call) -> tuple[Json, Sequence[str]]:
    """The object in the body, and the warnings for fields that stand in it twice. BadRequest."""
    obj = read_object(call.headers.get("content-type", ""), call.body)
    # A document that comes out as long as it went in repeats nothing: true for all that programs send.
    if field_validation(call) == "Ignore" or len(call.body) == len(orjson.dumps(obj)):
        return obj, ()
    repeated = [f'duplicate field "{path}"' for path in duplicate_fields(call.body)]
    if repeated and field_validation(call) == "Strict":
        raise BadRequest(f"strict decoding error: {', '.join(repeated)}")
    return obj, repeated


async def _create(
    backend: Backend, call: Call, kind: Kind[Any], obj: Json, managed: bool = False, repeated: Sequence[str] = ()
) -> Answer:
    """`managed`: the object says already who owns its fields."""
    await require_namespace(backend, kind, call.target.namespace)
    if not kind.webhook:
        # As in Kubernetes: what it fills in itself may use a made-up name, what webhooks fill in comes before it.
        obj = {**obj, "metadata": named(obj["metadata"], uuid.uuid4().hex[:5])}
    admitted = admit_create(kind, obj, call.context(backend), field_validation(call))
    new = admitted.obj
    if not managed:
        new = track_update(kind, None, new, call.manager, backend.timestamp(), "")
    async with _undisturbed(backend, kind):
        judged = await _judge(backend, call, kind, new)
        stored = await _rehearse(backend, kind, new) if call.dry_run else await backend.store.create(kind, new)
    return show(backend, call, kind, stored, 201, (*repeated, *admitted.warnings, *judged))


def _undisturbed(backend: Backend, kind: Kind[Any]) -> AbstractAsyncContextManager[None]:
    """Of two objects that exclude each other, one is stored before the other is judged."""
    return backend.judging if kind in backend.judges else nullcontext()


async def _judge(backend: Backend, call: Call, kind: Kind[Any], new: Json, old: Json | None = None) -> Sequence[str]:
    """The warnings of whoever judges objects of this kind. Invalid."""
    judge = backend.judges.get(kind)
    if judge is None or (old is not None and same_to_the_rules(kind, old, new)):
        return ()
    verdict = await judge(new, call.dry_run)
    if verdict.errors:
        raise invalid(kind, new["metadata"].get("name", ""), verdict.errors)
    return verdict.warnings


async def _rehearse(backend: Backend, kind: Kind[Any], obj: Json) -> Json:
    """What a create would answer."""
    identity = uuid.uuid4()
    new = plan_create(kind, obj, Birth(str(identity), identity.hex[:5], backend.clock.wall())).obj
    metadata = new["metadata"]
    try:
        await backend.store.get(kind, metadata["name"], metadata.get("namespace", ""))
    except NotFound:
        return new
    raise already_exists(kind, metadata["name"])


async def _change(
    backend: Backend, call: Call, kind: Kind[Any], make: Make, managed: bool = False, repeated: Sequence[str] = ()
) -> Answer:
    """Reads, changes, admits, stores; again where another writer came between."""
    target, validation = call.target, field_validation(call)
    warnings: list[str] = []

    def change(current: Json) -> Json:
        wanted = make(current)
        address(kind, target, wanted)
        if target.subresource == "status":
            wanted = with_status(current, wanted)
        admitted = admit_update(kind, current, wanted, call.context(backend, current), validation)
        warnings[:] = (*repeated, *admitted.warnings)
        if managed:
            return admitted.obj
        return track_update(kind, current, admitted.obj, call.manager, backend.timestamp(), target.subresource)

    judged: Sequence[str] = ()
    async with _undisturbed(backend, kind):
        if kind in backend.judges and not target.subresource:  # they may read other objects, which a change may not
            current = await backend.store.get(kind, target.name, target.namespace)
            judged = await _judge(backend, call, kind, change(current), current)
        if call.dry_run:
            current = await backend.store.get(kind, target.name, target.namespace)
            stored = plan_update(kind, current, change(current), target.subresource).obj
        else:
            stored = await backend.store.modify(kind, target.name, target.namespace, change, target.subresource)
    return show(backend, call, kind, stored, 200, (*warnings, *judged))


def with_status(current: Json, wanted: Json) -> Json:
    """The current object with the status of another, and the preconditions and managers that came with it."""
    given = wanted["metadata"]
    kept = {name: given[name] for name in ("resourceVersion", "uid", "managedFields") if name in given}
    new = {**current, "metadata": {**current["metadata"], **kept}}
    new.pop("status", None)
    return {**new, "status": wanted["status"]} if wanted.get("status") is not None else new


def field_validation(call: Call) -> str:
    """Ignore, Warn (as kube-apiserver when nothing is said) or Strict. Invalid."""
    given = call.query.get("fieldValidation", "") or "Warn"
    if given not in FIELD_VALIDATIONS:
        allowed = ", ".join(f'"{each}"' for each in FIELD_VALIDATIONS)
        raise invalid_options(
            f'Unsupported value: "{given}": supported values: {allowed}', "fieldValidation", "WriteOptions"
        )
    return given
