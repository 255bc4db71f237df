"""The rules of `metadata` that hold for every kind (apimachinery/pkg/api/validation/objectmeta.go)."""

from __future__ import annotations

from typing import Any

from core.errors import Conflict, FieldError, FieldProblem
from core.resources.meta import Json, Kind
from core.resources.names import ANNOTATIONS_BYTES_MAX, check_dns1123_subdomain, check_qualified_name
from core.resources.problems import forbidden, invalid, required
from core.resources.selectors import check_labels

SYSTEM_FIELDS = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "generateName",
    "selfLink",
)
"""What no update changes."""


def carry_over(old: Json, obj: Json) -> None:
    """Gives `obj` the metadata that the system keeps. Conflict, where it names another object of the same name."""
    metadata, kept = obj["metadata"], old["metadata"]
    uid = metadata.get("uid")
    if uid and uid != kept.get("uid"):
        raise Conflict(f"Precondition failed: UID in precondition: {uid}, UID in object meta: {kept.get('uid')}")
    for field in SYSTEM_FIELDS:
        if field in kept:
            metadata[field] = kept[field]
        else:
            metadata.pop(field, None)
    metadata.setdefault("name", kept["name"])
    if "namespace" in kept:
        metadata.setdefault("namespace", kept["namespace"])


def validate_metadata(kind: Kind[Any], obj: Json, old: Json | None) -> list[FieldError]:
    metadata = obj["metadata"]
    errors = _check_name(metadata)
    if labels := metadata.get("labels"):
        errors += check_labels(labels, "metadata.labels")
    if annotations := metadata.get("annotations"):
        errors += _check_annotations(annotations)
    if references := metadata.get("ownerReferences"):
        errors += _check_owners(references)
    for finalizer in metadata.get("finalizers") or ():
        if problem := check_qualified_name(finalizer):
            errors.append(invalid("metadata.finalizers", finalizer, problem))
    if old is not None:
        errors += _check_update(metadata, old["metadata"])
    return errors


def _check_name(metadata: Json) -> list[FieldError]:
    name, prefix = metadata.get("name", ""), metadata.get("generateName", "")
    if prefix and (problem := check_dns1123_subdomain(prefix.rstrip("-."))):
        return [invalid("metadata.generateName", prefix, problem)]
    if not name:
        return [] if prefix else [required("metadata.name", "name or generateName is required")]
    problem = check_dns1123_subdomain(name)
    return [invalid("metadata.name", name, problem)] if problem else []


def _check_annotations(annotations: dict[str, str]) -> list[FieldError]:
    errors, size = [], 0
    for key, value in annotations.items():
        size += len(key.encode()) + len(value.encode())
        if problem := check_qualified_name(key.lower()):
            errors.append(invalid("metadata.annotations", key, problem))
    if size > ANNOTATIONS_BYTES_MAX:
        message = f"Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes"
        errors.append(FieldError("metadata.annotations", message, FieldProblem.TOO_LONG))
    return errors


def _check_owners(references: list[Json]) -> list[FieldError]:
    errors = []
    controllers = []
    for index, reference in enumerate(references):
        path = f"metadata.ownerReferences[{index}]"
        errors += [
            invalid(f"{path}.{field}", "", "must not be empty")
            for field in ("apiVersion", "kind", "name", "uid")
            if not reference.get(field)
        ]
        if reference.get("controller"):
            controllers.append(reference)
    if len(controllers) > 1:
        found = " and ".join(f"{c['kind']}/{c['name']}" for c in controllers[:2])
        message = f"Only one reference can have Controller set to true. Found {found}"
        errors.append(invalid("metadata.ownerReferences", found, message))
    return errors


def _check_update(metadata: Json, old: Json) -> list[FieldError]:
    errors = [
        invalid(f"metadata.{field}", metadata[field], "field is immutable")
        for field in ("name", "namespace")
        if metadata.get(field, "") != old.get(field, "")
    ]
    if old.get("deletionTimestamp"):
        added = sorted(set(metadata.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if added:
            detail = f"no new finalizers can be added if the object is being deleted, found new finalizers {added}"
            errors.append(forbidden("metadata.finalizers", detail))
    return errors
