"""EventType in versions v1beta2 and v1beta1, as `kn` and Knative's pages still write it.

What stands in fields of its own there is an attribute in the version that is stored: `type`, `source`, and `schemadata`
for a schema, be it written out or a URI (with both, the URI is `dataschema`). Other attributes are not seen, and lost
by a write.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from pydantic import Field

from core.errors import FieldError
from core.resources.duck_v1 import Reference, Status
from core.resources.eventing import (
    DATA_SCHEMA,
    EVENT_TYPE,
    READY,
    SCHEMA_DATA,
    attribute_values,
    is_uri,
    schema_uri,
)
from core.resources.eventing_validation import default_event_type
from core.resources.fields import doc
from core.resources.knative_errors import missing
from core.resources.meta import AdmissionContext, Column, Conversion, Json, Kind, Model, Resource

_REQUIRED: Final = ("type", "source")
_ALWAYS: Final = ("specversion", "id")


class EventTypeSpecV1beta2(Model):
    type: str | None = doc("Type of the event.")
    source: str | None = doc("Source of the event.")
    schema_uri: str | None = doc("Where its schema is.", alias="schema")
    schema_data: str | None = doc("Its schema, written out.")
    broker: str | None = doc("The Broker that it can be had from; reference says the same.")
    reference: Reference | None = doc("Where such events can be had: a Broker, channel or source.")
    description: str | None = doc("What such an event means.")


class EventTypeV1beta2(Resource):
    """A type of event that can be had from a Broker, a channel or a source."""

    spec: EventTypeSpecV1beta2 = Field(default_factory=EventTypeSpecV1beta2, description="What such events look like.")
    status: Status | None = doc("Whether they can be had.")


def to_stored(obj: Json) -> Json:
    old = obj.get("spec") or {}
    spec = {field: old[field] for field in ("reference", "description") if field in old}
    if "reference" not in spec and old.get("broker"):
        broker = {"apiVersion": EVENT_TYPE.group + "/v1", "kind": "Broker", "name": old["broker"]}
        spec["reference"] = {**broker, "namespace": obj["metadata"].get("namespace", "")}
    said = {name: old[name] for name in _REQUIRED if name in old}
    schemas = [old[field] for field in ("schemaData", "schema") if field in old]
    said |= dict(zip((SCHEMA_DATA, DATA_SCHEMA), schemas, strict=False))
    attributes: list[Json] = [{"name": name, "required": name in _REQUIRED, "value": said[name]} for name in said]
    attributes += [{"name": name, "required": True} for name in (*_REQUIRED, *_ALWAYS) if name not in said]
    return {**obj, "spec": {**spec, "attributes": attributes}}


def from_stored(obj: Json) -> Json:
    new = obj.get("spec") or {}
    values = attribute_values(obj)
    spec: Json = {name: values[name] for name in _REQUIRED if name in values}
    if (uri := schema_uri(values)) is not None:
        spec["schema"] = uri
    if SCHEMA_DATA in values and not is_uri(values[SCHEMA_DATA]):
        spec["schemaData"] = values[SCHEMA_DATA]
    spec |= {field: new[field] for field in ("reference", "description") if field in new}
    reference = new.get("reference") or {}
    if reference.get("kind") == "Broker" and reference.get("name"):
        spec["broker"] = reference["name"]
    return {**obj, "spec": spec}


def validate_event_type(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    return [] if obj["spec"].get("type") else missing("spec.type")


EVENT_TYPE_V1BETA2: Kind[EventTypeV1beta2] = Kind(
    group=EVENT_TYPE.group,
    version="v1beta2",
    kind=EVENT_TYPE.kind,
    plural=EVENT_TYPE.plural,
    model=EventTypeV1beta2,
    categories=EVENT_TYPE.categories,
    columns=(
        Column("Type", "spec.type"),
        Column("Source", "spec.source"),
        Column("Schema", "spec.schema"),
        Column("Reference Name", "spec.reference.name"),
        Column("Reference Kind", "spec.reference.kind"),
        Column("Description", "spec.description"),
        *READY,
    ),
    default=default_event_type,
    validate=validate_event_type,
    merge_patch_only=True,
    webhook=EVENT_TYPE.webhook,
    conversion=Conversion(EVENT_TYPE, to_stored, from_stored),
)
EVENT_TYPE_V1BETA1: Kind[EventTypeV1beta2] = dataclasses.replace(EVENT_TYPE_V1BETA2, version="v1beta1")
