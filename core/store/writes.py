"""What a write makes of an object: everything a Kubernetes API server decides between a request and its storage.

The stores of this machine ask here before they keep anything: names, uid, generation, timestamps, conflicts, which half
of the object a subresource may touch, and what becomes of an object that is to be deleted (finalizers, grace,
propagation). The rules are those of `k8s.io/apiserver/pkg/registry/{rest,generic/registry}`. Nothing handed in is
changed; the resource version is the store's to give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from sys import intern
from typing import Any

from core.errors import AlreadyExists, ApiError, BadRequest, Conflict, FieldError, FieldProblem, Invalid, NotFound
from core.resources.meta import Json, Kind, Lifetime, ObjectKey, controller_of
from core.resources.timestamps import epoch_of, rfc3339
from core.store.base import DeleteOptions, Propagation

FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"
# metav1's name generator: 5 letters and digits without vowels, after a base that leaves room for them.
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_BASE_MAX = 63 - 5
# What only the store writes: a user's update keeps the current ones.
_STORE_FIELDS = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_NOT_COUNTED = frozenset({"apiVersion", "kind", "metadata", "status"})


class Action(Enum):
    KEEP = "keep"  # nothing changes, nothing is written
    PUT = "put"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, and the object as it will be (PUT), as it last was (REMOVE) or as it is (KEEP).

    `obj` and its metadata are the plan's own, so that the store can write the resource version into them.
    """

    action: Action
    obj: Json


@dataclass(frozen=True, slots=True)
class Birth:
    """What a new object gets from outside: all randomness and time that planning it takes."""

    uid: str
    name_suffix: str
    now: float  # seconds since the epoch


def named(metadata: Json, suffix: str) -> Json:
    """With a name made of `generateName`, where there is that and no name."""
    base = metadata.get("generateName")
    if metadata.get("name") or not base:
        return metadata
    return {**metadata, "name": base[:_GENERATED_BASE_MAX] + suffix}


def plan_create(kind: Kind[Any], obj: Json, birth: Birth) -> Plan:
    """A new object. `status` is kept as handed in. BadRequest, Invalid."""
    metadata = dict(obj.get("metadata") or {})
    if metadata.pop("resourceVersion", ""):
        raise _about(kind, "", BadRequest("resourceVersion should not be set on objects to be created"))
    for field in ("selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
        metadata.pop(field, None)
    metadata = named(metadata, birth.name_suffix)
    if not metadata.get("name"):
        raise _invalid(kind, "", "metadata.name", "name or generateName is required", FieldProblem.REQUIRED)
    if kind.namespaced:
        if not metadata.get("namespace"):
            name = metadata["name"]
            raise _invalid(kind, name, "metadata.namespace", "a namespace is required", FieldProblem.REQUIRED)
    else:
        metadata.pop("namespace", None)
    metadata["uid"] = birth.uid
    metadata["creationTimestamp"] = rfc3339(birth.now)
    if kind.generation:
        metadata["generation"] = 1
    return Plan(Action.PUT, _whole(kind, obj, metadata))


def plan_update(kind: Kind[Any], current: Json, obj: Json, subresource: str) -> Plan:
    """The object replaced by `obj`, in the half that the subresource may touch. Conflict, Invalid."""
    _check_preconditions(kind, current, obj.get("metadata") or {})
    if subresource == "status":
        new = _with_status(current, obj)
    elif subresource == "":
        new = _with_all_but_status(kind, current, obj)
    else:
        raise _about(kind, current["metadata"]["name"], BadRequest(f"no subresource {subresource!r} is kept here"))
    if new == current:
        return Plan(Action.KEEP, current)
    return Plan(Action.REMOVE if _ready_to_go(new) else Action.PUT, new)


def plan_delete(kind: Kind[Any], current: Json, options: DeleteOptions, now: float) -> Plan:
    """The object removed, or marked while a finalizer or its grace period holds it. Conflict."""
    asked = {"uid": options.uid, "resourceVersion": options.resource_version}
    _check_preconditions(kind, current, asked)
    metadata = dict(current["metadata"])
    _set_finalizers(metadata, _deletion_finalizers(metadata.get("finalizers", ()), options.propagation))
    grace_s = kind.grace(current, options.grace_period_s)
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = rfc3339(now + grace_s)
        metadata["deletionGracePeriodSeconds"] = grace_s
        if "generation" in metadata:
            metadata["generation"] += 1
    elif options.grace_period_s is not None:
        # A grace period that runs can be cut short, never made longer.
        left_s = metadata.get("deletionGracePeriodSeconds", 0)
        if grace_s < left_s:
            asked_at = (epoch_of(metadata["deletionTimestamp"]) or now) - left_s
            metadata["deletionTimestamp"] = rfc3339(asked_at + grace_s)
            metadata["deletionGracePeriodSeconds"] = grace_s
    new = {**current, "metadata": metadata}
    if _ready_to_go(new):
        return Plan(Action.REMOVE, new)
    return Plan(Action.KEEP, current) if new == current else Plan(Action.PUT, new)


def is_ephemeral(kind: Kind[Any], obj: Json) -> bool:
    """Whether the object lives in memory only."""
    if kind.lifetime is Lifetime.OWNED:
        return controller_of(obj) is not None
    return kind.lifetime is Lifetime.EPHEMERAL


def not_found(kind: Kind[Any], name: str) -> ApiError:
    return _about(kind, name, NotFound(f'{kind.resource} "{name}" not found'))


def already_exists(kind: Kind[Any], name: str) -> ApiError:
    return _about(kind, name, AlreadyExists(f'{kind.resource} "{name}" already exists'))


def key_in(kind: Kind[Any], obj: Json) -> ObjectKey:
    """The key that an object claims; what is missing is empty."""
    metadata = obj.get("metadata") or {}
    namespace = (metadata.get("namespace") or "") if kind.namespaced else ""
    return ObjectKey(intern(namespace), intern(metadata.get("name") or ""))


def _with_status(current: Json, obj: Json) -> Json:
    """The current object with the status of `obj`, and with its field managers (a server-side apply of status)."""
    metadata = dict(current["metadata"])
    if managers := (obj.get("metadata") or {}).get("managedFields"):
        metadata["managedFields"] = managers
    new = {**current, "metadata": metadata}
    if obj.get("status") is None:
        new.pop("status", None)
    else:
        new["status"] = obj["status"]
    return new


def _with_all_but_status(kind: Kind[Any], current: Json, obj: Json) -> Json:
    old = current["metadata"]
    metadata = {**(obj.get("metadata") or {})}
    metadata.pop("selfLink", None)
    for field in _STORE_FIELDS:
        if field in old:
            metadata[field] = old[field]
        else:
            metadata.pop(field, None)
    _check_finalizers(kind, old, metadata)
    new = _whole(kind, obj, metadata)
    if kind.status:
        if "status" in current:
            new["status"] = current["status"]
        else:
            new.pop("status", None)
    if kind.generation and _spec(new) != _spec(current):
        metadata["generation"] = old.get("generation", 0) + 1
    return new


def _whole(kind: Kind[Any], obj: Json, metadata: Json) -> Json:
    """The object under its kind's names, these two first: what people and `kubectl` expect to read."""
    rest = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **rest}


def _spec(obj: Json) -> Json:
    return {name: value for name, value in obj.items() if name not in _NOT_COUNTED}


def _ready_to_go(obj: Json) -> bool:
    """Whether its deletion was asked for and nothing holds it any longer.

    A Namespace is held by `spec.finalizers`, the one kind that has such a field.
    """
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("deletionGracePeriodSeconds", 0) > 0:
        return False
    spec = obj.get("spec")
    return not metadata.get("finalizers") and not (isinstance(spec, dict) and spec.get("finalizers"))


def _deletion_finalizers(finalizers: Sequence[str], propagation: Propagation | None) -> list[str]:
    """The finalizers as the manner of deletion asks for; None leaves them as they are."""
    if propagation is None:
        return list(finalizers)
    kept = [name for name in finalizers if name not in (FOREGROUND_FINALIZER, ORPHAN_FINALIZER)]
    if propagation is Propagation.FOREGROUND:
        return [*kept, FOREGROUND_FINALIZER]
    if propagation is Propagation.ORPHAN:
        return [*kept, ORPHAN_FINALIZER]
    return kept


def _set_finalizers(metadata: Json, finalizers: list[str]) -> None:
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _check_finalizers(kind: Kind[Any], old: Json, new: Json) -> None:
    if "deletionTimestamp" not in old:
        return
    added = [name for name in new.get("finalizers") or () if name not in (old.get("finalizers") or ())]
    if added:
        message = f"no new finalizers can be added if the object is being deleted, found new finalizers {added}"
        raise _invalid(kind, old["name"], "metadata.finalizers", message, FieldProblem.FORBIDDEN)


def _check_preconditions(kind: Kind[Any], current: Json, asked: Json) -> None:
    metadata = current["metadata"]
    name = metadata["name"]
    start = f'Operation cannot be fulfilled on {kind.resource} "{name}": '
    uid, version = asked.get("uid"), asked.get("resourceVersion")
    if uid and uid != metadata["uid"]:
        message = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        raise _about(kind, name, Conflict(start + message))
    if version and version != metadata["resourceVersion"]:
        message = "the object has been modified; please apply your changes to the latest version and try again"
        raise _about(kind, name, Conflict(start + message))


def _invalid(kind: Kind[Any], name: str, path: str, message: str, problem: FieldProblem) -> ApiError:
    title = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    cause = FieldError(path, message, problem)
    error = Invalid(f'{title} "{name}" is invalid: {cause}', causes=(cause,))
    error.about = (kind.group, kind.kind, name)
    return error


def _about(kind: Kind[Any], name: str, error: ApiError) -> ApiError:
    error.about = (kind.group, kind.plural, name)
    return error
