"""Error classes carry what a Status needs."""

from __future__ import annotations

import pytest

from core import errors


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.BadRequest, 400, "BadRequest"),
        (errors.NotFound, 404, "NotFound"),
        (errors.AlreadyExists, 409, "AlreadyExists"),
        (errors.Conflict, 409, "Conflict"),
        (errors.Expired, 410, "Expired"),
        (errors.TooLarge, 413, "RequestEntityTooLarge"),
        (errors.Invalid, 422, "Invalid"),
        (errors.StoreFull, 507, "InsufficientStorage"),
    ],
)
def test_codes_and_reasons_are_kubernetes_own(error: type[errors.ApiError], code: int, reason: str) -> None:
    raised = error("message", causes=[errors.FieldError("spec.x", "is wrong")], retry_after_s=3)
    assert (raised.code, raised.reason, raised.retry_after_s) == (code, reason, 3)
    assert [str(cause) for cause in raised.causes] == ["spec.x: is wrong"]


def test_temporary_and_permanent_errors_carry_what_the_reconciler_needs() -> None:
    assert errors.TemporaryError("later", retry_after_s=2.5).retry_after_s == 2.5
    assert errors.PermanentError("never", reason="RevisionNameTaken").reason == "RevisionNameTaken"
