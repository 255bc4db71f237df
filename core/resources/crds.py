"""CustomResourceDefinition (apiextensions.k8s.io/v1): a view of the kinds of Knative and KEDA.

`kubectl get crd`, `kn source list-types` and installers look here; discovery and `kubectl explain` do not need it.
Kinds are built in: none can be added, and what a user writes into these changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from core.errors import FieldError
from core.resources.fields import doc, unhonored
from core.resources.meta import AdmissionContext, Column, Json, Kind, Lifetime, Model, Resource
from core.resources.problems import forbidden

FAMILIES: Final = ("knative.dev", "keda.sh")
"""Groups of these domains come with CustomResourceDefinitions on a cluster."""
DUCK: Final = "duck.knative.dev"
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "sources": (f"{DUCK}/source", "eventing.knative.dev/source"),
    "sinks": (f"{DUCK}/addressable", "eventing.knative.dev/sink"),
    "brokers": (f"{DUCK}/addressable",),
    "channels": (f"{DUCK}/addressable", "messaging.knative.dev/subscribable"),
    "inmemorychannels": (f"{DUCK}/addressable", "messaging.knative.dev/subscribable"),
    "sequences": (f"{DUCK}/addressable",),
    "parallels": (f"{DUCK}/addressable",),
    "routes": (f"{DUCK}/addressable",),
    "services": (f"{DUCK}/addressable", f"{DUCK}/podspecable"),
    "configurations": (f"{DUCK}/podspecable",),
}
"""Labels by plural, or by the first part of the group, as upstream's documents have them: `kn` selects by them."""
BUILT_IN: Final = "CustomResourceDefinition: this kind is built in; what is written here changes nothing"


class Names(Model):
    plural: str = Field(default="", description="As in paths.")
    singular: str | None = doc("As kubectl takes it, too.")
    kind: str = Field(default="", description="As in documents.")
    list_kind: str | None = doc("Of a list of them.")
    short_names: list[str] | None = doc("Abbreviations.")
    categories: list[str] | None = doc("Groups of kinds that kubectl knows, such as `all`.")


class Version(Model):
    name: str = Field(default="", description="Of the version.")
    served: bool = Field(default=False, description="Whether the API has it.")
    storage: bool = Field(default=False, description="Whether objects are kept in it.")
    deprecated: bool | None = unhonored("Whether it is out of date.")
    deprecation_warning: str | None = unhonored("What is said of it.")
    schema_: Json | None = unhonored("Its fields.", alias="schema")
    subresources: Json | None = unhonored("Status and scale.")
    additional_printer_columns: list[Json] | None = unhonored("Columns.")
    selectable_fields: list[Json] | None = unhonored("Fields that lists can be narrowed by.")


class Spec(Model):
    group: str = Field(default="", description="Of the kind.")
    names: Names = Field(default_factory=Names, description="What it is called.")
    scope: str = Field(default="", description="Namespaced or Cluster.")
    versions: list[Version] | None = doc("Versions that are served.")
    conversion: Json | None = unhonored("Between versions.")
    preserve_unknown_fields: bool | None = unhonored("Unknown fields are refused.")


class Condition(Model):
    type: str = Field(description="NamesAccepted or Established.")
    status: str = Field(description="True.")
    last_transition_time: str | None = doc("Since when.")
    reason: str | None = doc("Why, in one word.")
    message: str | None = doc("Why, in a sentence.")
    observed_generation: int | None = doc("Generation that it is about.")


class Status(Model):
    conditions: list[Condition] | None = doc("NamesAccepted, Established.")
    accepted_names: Names | None = doc("What it is called.")
    stored_versions: list[str] | None = doc("Versions that objects are kept in.")


class CustomResourceDefinition(Resource):
    spec: Spec = Field(default_factory=Spec, description="The kind.")
    status: Status | None = doc("That it is there.")


def definitions(served: Iterable[Kind[Any]]) -> Iterator[Json]:
    """One for each kind of Knative's and KEDA's groups; of several versions the first is the one that is stored."""
    versions: dict[tuple[str, str], list[Kind[Any]]] = {}
    for kind in served:
        if kind.group.endswith(FAMILIES):
            versions.setdefault((kind.group, kind.plural), []).append(kind)
    for (group, plural), kinds in versions.items():
        stored = next(kind for kind in kinds if kind.conversion is None)
        names = {
            "plural": plural,
            "singular": stored.singular,
            "kind": stored.kind,
            "listKind": f"{stored.kind}List",
            **({"shortNames": list(stored.short_names)} if stored.short_names else {}),
            **({"categories": list(stored.categories)} if stored.categories else {}),
        }
        yield {
            "metadata": {"name": f"{plural}.{group}", "labels": _labels(group, plural)},
            "spec": {
                "group": group,
                "names": names,
                "scope": "Namespaced" if stored.namespaced else "Cluster",
                "versions": [{"name": each.version, "served": True, "storage": each is stored} for each in kinds],
            },
            "status": {
                "acceptedNames": names,
                "conditions": [
                    {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts"},
                    {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"},
                ],
                "storedVersions": [stored.version],
            },
        }


def _labels(group: str, plural: str) -> dict[str, str]:
    part = {"serving": "knative-serving", "eventing": "knative-eventing", "keda": "keda-operator"}
    of = next((name for family, name in part.items() if family in group), "knative-eventing")
    kind = "sources" if plural.endswith("sources") or plural == "sinkbindings" else group.partition(".")[0]
    roles = ROLES.get(plural) or ROLES.get(kind, ())
    return {"app.kubernetes.io/name": of, **dict.fromkeys(roles, "true")}


def default_definition(obj: Json, context: AdmissionContext) -> None:
    """What it says of the kind stays as it is."""
    if context.old is not None:
        obj["spec"] = context.old["spec"]


def validate_definition(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    if context.old is not None:
        return ()
    return [forbidden("spec", "kinds are built in, those of Knative and KEDA among them; none can be added")]


def warn_definition(obj: Json, context: AdmissionContext) -> Sequence[str]:
    return (BUILT_IN,)


CUSTOM_RESOURCE_DEFINITION: Final[Kind[CustomResourceDefinition]] = Kind(
    group="apiextensions.k8s.io",
    version="v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    model=CustomResourceDefinition,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    namespaced=False,
    lifetime=Lifetime.EPHEMERAL,
    built_in=True,
    columns=(Column("Created At", ".metadata.creationTimestamp"),),
    default=default_definition,
    validate=validate_definition,
    warn=warn_definition,
)
