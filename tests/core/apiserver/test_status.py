from core.apiserver.status import failure, success
from core.errors import Expired, FieldError, FieldProblem, Invalid, NotFound, ResourceVersionTooLarge


def test_a_refusal_names_each_field() -> None:
    error = Invalid("no", causes=[FieldError("spec.a", "must be set", FieldProblem.REQUIRED)])
    error.about = ("apps", "Deployment", "d")
    assert failure(error) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "no",
        "reason": "Invalid",
        "details": {
            "name": "d",
            "group": "apps",
            "kind": "Deployment",
            "causes": [{"reason": "FieldValueRequired", "message": "must be set", "field": "spec.a"}],
        },
        "code": 422,
    }


def test_an_error_about_nothing_has_no_details() -> None:
    assert "details" not in failure(NotFound("no such path"))


def test_what_a_client_needs_to_go_on_is_in_the_status() -> None:
    expired = Expired("old")
    expired.continuation = "abc"
    assert failure(expired)["metadata"] == {"continue": "abc"}
    early = failure(ResourceVersionTooLarge("Too large resource version: 9, current: 1", retry_after_s=1))
    assert early["details"]["retryAfterSeconds"] == 1
    assert early["details"]["causes"] == [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]


def test_success_says_what_is_gone() -> None:
    assert success("", "pods", "a", "uid-1")["details"] == {"name": "a", "kind": "pods", "uid": "uid-1"}
    assert success("apps", "deployments", "a", "uid-1")["details"]["group"] == "apps"
