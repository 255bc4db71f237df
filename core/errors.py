"""What can go wrong, as a caller sees it.

The `ApiError` family mirrors `k8s.io/apimachinery/pkg/api/errors`: the API server renders each as a `Status`, the
Kubernetes store raises the same ones, so a controller cannot tell the two worlds apart. A class exists only where some
caller acts differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FieldProblem(StrEnum):
    """The `reason` of one cause in a Status (metav1.CauseType)."""

    REQUIRED = "FieldValueRequired"
    INVALID = "FieldValueInvalid"
    NOT_SUPPORTED = "FieldValueNotSupported"
    FORBIDDEN = "FieldValueForbidden"
    DUPLICATE = "FieldValueDuplicate"
    NOT_FOUND = "FieldValueNotFound"
    TOO_LONG = "FieldValueTooLong"
    MANAGER_CONFLICT = "FieldManagerConflict"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field: `path` as `spec.traffic[0].percent`, `message` for the person who wrote it.

    `detail` is what goes on a line of its own below the message.
    """

    path: str
    message: str
    problem: FieldProblem = FieldProblem.INVALID
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ApiError(Exception):
    """An answer of the API other than success; `code` is the HTTP status, `reason` the machine-readable word."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, *, causes: Sequence[FieldError] = (), retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.causes = tuple(causes)
        self.retry_after_s = retry_after_s
        # What the error is about; the API server fills `Status.details` from it.
        self.about: tuple[str, str, str] = ("", "", "")  # group, kind, name
        # Where an expired paged list may go on, if the caller can live with an inconsistent one.
        self.continuation = ""


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """The object changed since it was read (or a field is owned by another manager): read again and retry."""

    code, reason = 409, "Conflict"


class Expired(ApiError):
    """The resource version asked for is older than what is kept: list again, then watch from there."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object was understood and refused; `causes` names every field at fault."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class ResourceVersionTooLarge(ApiError):
    """A read "not older than" a version that was not given out yet: the caller waits, or lists anew."""

    code, reason = 504, "Timeout"


class StoreFull(ApiError):
    """The disk refused a durable write; nothing was acknowledged."""

    code, reason = 507, "InsufficientStorage"


class TemporaryError(Exception):
    """Worth another try: a reconciler is called again after `retry_after_s`, or its back-off where that is None."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PermanentError(Exception):
    """No retry will help until the object changes; `reason` is a CamelCase word for a condition."""

    def __init__(self, message: str, reason: str = "Failed") -> None:
        super().__init__(message)
        self.reason = reason
