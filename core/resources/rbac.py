"""rbac.authorization.k8s.io: Role, ClusterRole and their bindings, kept so that documents apply as they are.

They have no effect, and a warning says so: whoever has the token of the platform may do everything, and nobody else
anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import Field

from core.errors import FieldError
from core.resources.core_v1 import AGE
from core.resources.fields import doc
from core.resources.meta import AdmissionContext, Column, Json, Kind, Model, Resource
from core.resources.problems import invalid, required
from core.resources.selectors import LabelSelectorModel

GROUP: Final = "rbac.authorization.k8s.io"
WITHOUT_EFFECT: Final = "roles have no effect here: the bearer of this platform's token may do everything"


class PolicyRule(Model):
    api_groups: list[str] | None = doc("Groups of the resources.")
    resources: list[str] | None = doc("Their plural names.")
    resource_names: list[str] | None = doc("Only objects of these names.")
    non_resource_urls: list[str] | None = doc("Paths that are no resources.", alias="nonResourceURLs")
    verbs: list[str] | None = doc("What is allowed.")


class AggregationRule(Model):
    cluster_role_selectors: list[LabelSelectorModel] | None = doc("ClusterRoles whose rules become its own.")


class Role(Resource):
    """What may be done in a namespace; without effect here."""

    rules: list[PolicyRule] | None = doc("What is allowed.")


class ClusterRole(Role):
    """What may be done everywhere; without effect here."""

    aggregation_rule: AggregationRule | None = doc("Where its rules come from.")


class Subject(Model):
    kind: str = Field(default="", description="User, Group or ServiceAccount.")
    api_group: str | None = doc("Its group.")
    name: str = Field(default="", description="Its name.")
    namespace: str | None = doc("Its namespace.")


class RoleRef(Model):
    api_group: str | None = doc("rbac.authorization.k8s.io.")
    kind: str = Field(default="", description="Role or ClusterRole.")
    name: str = Field(default="", description="Its name.")


class RoleBinding(Resource):
    """Who has a role in a namespace; without effect here."""

    subjects: list[Subject] | None = doc("Who has it.")
    role_ref: RoleRef | None = doc("The role; never changes.")


class ClusterRoleBinding(RoleBinding):
    """Who has a role everywhere; without effect here."""


def warn_of_roles(obj: Json, context: AdmissionContext) -> Sequence[str]:
    """Where it is new: not at every apply."""
    return () if context.old is not None else (WITHOUT_EFFECT,)


def default_binding(obj: Json, context: AdmissionContext) -> None:
    """The groups that Kubernetes fills in."""
    if obj.get("roleRef"):
        obj["roleRef"].setdefault("apiGroup", GROUP)
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", GROUP)


def validate_binding(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    reference = obj.get("roleRef") or {}
    if not reference.get("name"):
        return (required("roleRef.name"),)
    if context.old is not None and context.old.get("roleRef") != obj.get("roleRef"):
        return (invalid("roleRef", reference, "cannot change roleRef"),)
    return ()


def _role_of(obj: Json) -> str:
    reference = obj.get("roleRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


_OF_BINDING: Final = Column("Role", "", value=_role_of)
_COMMON: Final[dict[str, Any]] = {
    "group": GROUP,
    "version": "v1",
    "status": False,
    "generation": False,
    "warn": warn_of_roles,
}

ROLE: Kind[Role] = Kind(kind="Role", plural="roles", model=Role, columns=(AGE,), **_COMMON)
CLUSTER_ROLE: Kind[ClusterRole] = Kind(
    kind="ClusterRole", plural="clusterroles", model=ClusterRole, namespaced=False, columns=(AGE,), **_COMMON
)
ROLE_BINDING: Kind[RoleBinding] = Kind(
    kind="RoleBinding",
    plural="rolebindings",
    model=RoleBinding,
    default=default_binding,
    validate=validate_binding,
    columns=(_OF_BINDING, AGE),
    **_COMMON,
)
CLUSTER_ROLE_BINDING: Kind[ClusterRoleBinding] = Kind(
    kind="ClusterRoleBinding",
    plural="clusterrolebindings",
    model=ClusterRoleBinding,
    namespaced=False,
    default=default_binding,
    validate=validate_binding,
    columns=(_OF_BINDING, AGE),
    **_COMMON,
)
