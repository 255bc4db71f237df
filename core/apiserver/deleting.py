"""The deleting verbs: one object, or all that a selector finds.

DeleteOptions come in the body or, for what fits there, in the query. The store marks or removes; what depends on the
object is the garbage collector's affair.
"""

from __future__ import annotations

from typing import Any

import orjson

from core.apiserver.backend import Answer, Backend, Call, write_json
from core.apiserver.bodies import read_object
from core.apiserver.namespaces import require_mortal
from core.apiserver.reading import invalid_options, parse_all, show, take_page
from core.apiserver.status import success
from core.errors import BadRequest, NotFound
from core.resources.meta import Json, Kind, key_of
from core.store.base import DeleteOptions, Propagation
from core.store.writes import Action, plan_delete

POLICIES = {each.value: each for each in Propagation}


async def delete(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    """The Status of a removal, or the object where something still holds it."""
    target, (options, dry_run) = call.target, delete_options(call)
    require_mortal(backend, kind, target.name)
    if dry_run:
        current = await backend.store.get(kind, target.name, target.namespace)
        plan = plan_delete(kind, current, options, backend.clock.wall())
        gone, obj = plan.action is Action.REMOVE, plan.obj
    else:
        obj = await backend.store.delete(kind, target.name, target.namespace, options)
        gone = is_gone(obj)
    if not gone:
        return show(backend, call, kind, obj)
    metadata = obj["metadata"]
    return write_json(success(kind.group, kind.plural, metadata["name"], metadata.get("uid", "")))


async def delete_collection(backend: Backend, call: Call, kind: Kind[Any]) -> Answer:
    """The list of what was deleted."""
    options, dry_run = delete_options(call)
    page = await take_page(backend, call, kind)
    objects = await parse_all(page.entries)
    for obj in objects:
        require_mortal(backend, kind, obj["metadata"]["name"])
    for obj in () if dry_run else objects:
        key = key_of(obj)
        try:
            await backend.store.delete(kind, key.name, key.namespace, options)
        except NotFound:
            continue  # went by itself
    metadata = {"resourceVersion": str(page.resource_version), **({"continue": page.token} if page.token else {})}
    return write_json(
        {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": objects}, call.form
    )


def is_gone(obj: Json) -> bool:
    """Whether a deletion removed the object, from what it answered: nothing holds it any longer."""
    metadata, spec = obj["metadata"], obj.get("spec")
    held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
    return not held and not (isinstance(spec, dict) and spec.get("finalizers") and metadata.get("deletionTimestamp"))


def delete_options(call: Call) -> tuple[DeleteOptions, bool]:
    """The options, and whether it is a dry run. BadRequest, Invalid."""
    body: Json = {}
    if call.body.strip():
        body = read_object(call.headers.get("content-type", ""), call.body)
    dry_run = call.dry_run or body.get("dryRun") == ["All"]
    if body.get("dryRun") not in (None, [], ["All"]):
        raise BadRequest('invalid dryRun: supported values: "All"')
    grace_s = body.get("gracePeriodSeconds", call.seconds("gracePeriodSeconds"))
    if grace_s is not None and (not isinstance(grace_s, int) or grace_s < 0):
        raise invalid_options("Invalid value: must be a whole number, 0 or more", "gracePeriodSeconds", "DeleteOptions")
    preconditions = body.get("preconditions") or {}
    if not isinstance(preconditions, dict):
        raise BadRequest("preconditions is not an object")
    options = DeleteOptions(
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        propagation=_propagation(call, body),
        grace_period_s=grace_s,
    )
    return options, dry_run


def _propagation(call: Call, body: Json) -> Propagation | None:
    policy = body.get("propagationPolicy") or call.query.get("propagationPolicy")
    orphan = body.get("orphanDependents")
    if orphan is None and "orphanDependents" in call.query:
        orphan = call.flag("orphanDependents")
    if policy is not None and orphan is not None:
        raise invalid_options(
            "Invalid value: orphanDependents and deletionPropagation cannot be both set",
            "propagationPolicy",
            "DeleteOptions",
        )
    if policy is None:
        return None if orphan is None else Propagation.ORPHAN if orphan else Propagation.BACKGROUND
    if not isinstance(policy, str) or policy not in POLICIES:
        allowed = ", ".join(f'"{name}"' for name in POLICIES)
        raise invalid_options(
            f"Unsupported value: {orjson.dumps(policy).decode()}: supported values: {allowed}",
            "propagationPolicy",
            "DeleteOptions",
        )
    return POLICIES[policy]
