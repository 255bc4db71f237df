"""Questions that a client asks: may I, may another, what may I, who am I. There is one user, and it may do everything.

`kubectl auth can-i`, `kn` and Helm ask before they act. Nothing here is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.apiserver.auth import GROUPS
from core.resources.meta import Json


@dataclass(frozen=True, slots=True)
class Review:
    """A kind that can only be created, and whose answer is its status."""

    group: str
    version: str
    kind: str
    plural: str
    status: Callable[[str], Json]


def _allowed(user: str) -> Json:
    return {"allowed": True, "reason": "the bearer of this platform's token may do everything"}


def _rules(user: str) -> Json:
    return {
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": False,
    }


def _self(user: str) -> Json:
    return {"userInfo": {"username": user, "groups": list(GROUPS)}}


REVIEWS = (
    Review("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", _allowed),
    Review("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", _allowed),
    Review("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", _rules),
    Review("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", _self),
)

BY_RESOURCE: Mapping[tuple[str, str, str], Review] = {(r.group, r.version, r.plural): r for r in REVIEWS}


def answer_review(review: Review, question: Json, user: str) -> Json:
    """The question with its answer."""
    return {
        "kind": review.kind,
        "apiVersion": f"{review.group}/{review.version}",
        "metadata": {"creationTimestamp": None},
        "spec": question.get("spec") or {},
        "status": review.status(user),
    }
