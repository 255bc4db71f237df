"""What every object has: metadata, references, conditions; and `Kind`, the one declaration of a resource type.

Objects travel as plain JSON (`Json`); a `Resource` is the typed view of one. `Kind` ties the two together and is where
the API server, the CLI and the documentation learn names, defaults, validation, schema and printer columns. A change to
a kind is a change to its declaration and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from sys import intern
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from core.errors import FieldError
from core.resources.fields import keyed, unique

Json: TypeAlias = dict[str, Any]
"""A JSON object as `orjson.loads` gives it. Objects read from a store are shared: copy before changing."""


class Model(BaseModel):
    """A part of a document: camelCase on the wire, snake_case here, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", defer_build=True)

    def to_json(self) -> Json:
        """The fields that were set, as they stand on the wire."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


class OwnerReference(Model):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Model):
    name: str = ""
    generate_name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = keyed("Objects that this one goes with.", "uid")
    finalizers: list[str] | None = unique("Who must agree before it is removed.")
    managed_fields: list[dict[str, Any]] | None = None
    self_link: str | None = None


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One line of `status.conditions` (knative.dev/pkg/apis.Condition). `severity` empty means an error-level one."""

    type: str
    status: ConditionStatus
    severity: str | None = None
    last_transition_time: str | None = None
    reason: str | None = None
    message: str | None = None
    observed_generation: int | None = None


class Resource(Model):
    """The typed view of a whole object. Subclasses add `spec` and `status` (or `data`, for Secrets and ConfigMaps)."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace or ""

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.labels or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.metadata.annotations or {}


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Which object of a kind. `namespace` is empty for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Lifetime(Enum):
    """Where an object is kept (see docs/ARCHITECTURE.md, "two sorts of writes")."""

    DURABLE = "durable"  # SQLite, fsync before the answer
    OWNED = "owned"  # durable when a user made it; ephemeral when a controller owns it and would make it again
    EPHEMERAL = "ephemeral"  # memory only: observed anew after a restart


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column: `path` is a dotted JSON path, with `[type=Ready]` to pick an element of a list."""

    name: str
    path: str
    type: str = "string"  # string | integer | date | boolean
    priority: int = 0  # 1: only with -o wide
    description: str = ""
    value: Callable[[Json], Any] | None = None  # where a path cannot say it; a timestamp where `type` is date
    told: Callable[[Json, float], str] | None = None  # where the cell tells an age: also given now, in epoch seconds


@dataclass(frozen=True, slots=True)
class Scale:
    """Where `/scale` finds its numbers in the object (as in a CRD's scale subresource)."""

    spec_replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "spec.selector"  # a metav1.LabelSelector


Mutate: TypeAlias = "Callable[[Kind[Any], Json], None]"
"""What another part of the platform puts into an object between defaults and rules, in place: a mutating webhook."""


def no_mutation(kind: Kind[Any], obj: Json) -> None:
    """Where nobody has anything to put in."""


@dataclass(frozen=True, slots=True)
class AdmissionContext:
    """What a kind's rules may know besides the object: settings in force, who asks, and the old object on update."""

    settings: Mapping[str, Any] = field(default_factory=dict)  # name of a config-* ConfigMap → its parsed settings
    user: str = ""
    old: Json | None = None
    mutate: Mutate = no_mutation


Default: TypeAlias = Callable[[Json, AdmissionContext], None]
"""Fills in what the user left out, in place, in the copy that admission owns. Idempotent."""
Spell: TypeAlias = Callable[[Json], Sequence[str]]
"""Rewrites, in place and before types are looked at, what is taken though the schema has it otherwise; a sentence for
each. Copes with any shape."""
Validate: TypeAlias = Callable[[Json, AdmissionContext], Sequence[FieldError]]
"""Every rule that the schema alone cannot say. Never changes the object."""
Warn: TypeAlias = Callable[[Json, AdmissionContext], Sequence[str]]
"""What is accepted but not honored here: one sentence each, for the `Warning` header."""


def no_default(obj: Json, context: AdmissionContext) -> None:
    """For kinds without defaults."""


def no_spelling(obj: Json) -> Sequence[str]:
    """For kinds that are taken as their schema has them."""
    return ()


def no_rules(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    """For kinds whose schema says it all."""
    return ()


def no_warnings(obj: Json, context: AdmissionContext) -> Sequence[str]:
    """For kinds that are honored in full."""
    return ()


Grace: TypeAlias = Callable[[Json, int | None], int]
"""Seconds between a deletion's being asked for, with so many or none named, and its being carried out."""


def no_grace(obj: Json, asked_s: int | None) -> int:
    """For kinds that are removed at once."""
    return 0


R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True, eq=False)
class Conversion:
    """How a version that is served, and not stored, is made of the one that is, and back. apiVersion is seen to."""

    stored: Kind[Any]
    to_stored: Callable[[Json], Json] = dict  # changes neither: a shallow copy at least
    from_stored: Callable[[Json], Json] = dict


@dataclass(frozen=True, slots=True, eq=False)
class Kind(Generic[R]):
    """One resource type, declared once. Compared by identity: there is one `Kind` object per type."""

    group: str
    version: str
    kind: str
    plural: str
    model: type[R]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    lifetime: Lifetime = Lifetime.DURABLE
    columns: tuple[Column, ...] = ()
    status: bool = True
    scale: Scale | None = None
    spell: Spell = no_spelling
    default: Default = no_default
    validate: Validate = no_rules
    warn: Warn = no_warnings
    grace: Grace = no_grace
    generation: bool = True  # metadata.generation counts spec changes
    confidential: bool = False  # it may hold secrets: refusals do not repeat what stands in it
    built_in: bool = False  # the platform has all objects of it from its start: none is added or deleted
    merge_patch_only: bool = False  # a CRD upstream: strategic merge patch is refused with 415
    conversion: Conversion | None = None  # of another version of a kind that is stored; see core.apiserver.versions
    webhook: str = ""  # upstream, an admission webhook of this name holds the rules: refusals are 400, in its words

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """The name as in messages and RBAC: `services.serving.knative.dev`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def parse(self, obj: Json) -> R:
        """The typed view. Raises pydantic.ValidationError on an object that admission would have refused."""
        return self.model.model_validate(obj)

    def to_json(self, resource: R) -> Json:
        """The object as it is stored: what was set, with apiVersion and kind."""
        return {**resource.to_json(), "apiVersion": self.api_version, "kind": self.kind}

    def __str__(self) -> str:
        return self.resource

    def __repr__(self) -> str:
        return f"<Kind {self.resource}/{self.version}>"


def key_of(obj: Json) -> ObjectKey:
    """Interned: a dozen indices hold the names of one Service and of what is made for it."""
    metadata = obj["metadata"]
    return ObjectKey(intern(metadata.get("namespace", "")), intern(metadata["name"]))


def controller_of(obj: Json) -> Json | None:
    """The owner reference with `controller: true`, if there is one."""
    for reference in obj["metadata"].get("ownerReferences", ()):
        if reference.get("controller"):
            return dict(reference)
    return None


def owner_reference(kind: Kind[Any], owner: Resource | Json) -> OwnerReference:
    """A controller reference to an object that has been stored (it needs a uid)."""
    metadata = owner["metadata"] if isinstance(owner, dict) else owner.metadata.to_json()
    return OwnerReference(
        api_version=kind.api_version,
        kind=kind.kind,
        name=metadata["name"],
        uid=metadata["uid"],
        controller=True,
        block_owner_deletion=True,
    )
