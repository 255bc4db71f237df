"""`Status` objects: how every outcome that is not an object is written (k8s.io/apimachinery metav1.Status)."""

from __future__ import annotations

from core.errors import ApiError, ResourceVersionTooLarge
from core.resources.meta import Json


def failure(error: ApiError) -> Json:
    """The Status of an error; its details name what the error is about and each field at fault."""
    group, kind, name = error.about
    details: Json = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    causes = [
        {"reason": str(cause.problem), "message": cause.message, "field": cause.path}
        for cause in error.causes
    ]  # fmt: skip
    if isinstance(error, ResourceVersionTooLarge):
        causes.append({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"})
    if causes:
        details["causes"] = causes
    if error.retry_after_s is not None:
        details["retryAfterSeconds"] = error.retry_after_s
    metadata = {"continue": error.continuation} if error.continuation else {}
    status: Json = {
        "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
        "message": error.message, "reason": error.reason,
    }  # fmt: skip
    if details:
        status["details"] = details
    status["code"] = error.code
    return status


def success(group: str, plural: str, name: str, uid: str) -> Json:
    """The Status of a deletion that is over."""
    details = {"name": name, "kind": plural, "uid": uid}
    if group:
        details["group"] = group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
