"""The plain kinds of core/v1 besides Pods and Services: Secret, ConfigMap, Namespace, ServiceAccount, Event."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from core.errors import FieldError, FieldProblem
from core.resources.containers import LocalObjectReference
from core.resources.event_columns import EVENT_COLUMNS
from core.resources.fields import doc, keyed
from core.resources.meta import AdmissionContext, Column, Json, Kind, Lifetime, Model, Resource
from core.resources.names import check_config_key, check_dns1123_label
from core.resources.problems import forbidden, invalid, required
from core.settings import config_maps

DATA_BYTES_MAX = 1024 * 1024
AGE = Column("Age", "metadata.creationTimestamp", "date")

SECRET_KEYS: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
"""What a Secret of a type must hold."""


class ObjectReference(Model):
    api_version: str | None = doc("Group and version of the object.")
    kind: str | None = doc("Its kind.")
    namespace: str | None = doc("Its namespace.")
    name: str | None = doc("Its name.")
    uid: str | None = doc("Its uid.")
    resource_version: str | None = doc("Its version.")
    field_path: str | None = doc("Part of the object, such as spec.containers{name}.")


class Secret(Resource):
    type: str | None = doc("What it is for; Opaque.")
    data: dict[str, str] | None = doc("Values by key, base64.")
    string_data: dict[str, str] | None = doc("Values by key in plain text; written into data.")
    immutable: bool | None = doc("Whether its data may never change again.")


class ConfigMap(Resource):
    data: dict[str, str] | None = doc("Text by key.")
    binary_data: dict[str, str] | None = doc("Bytes by key, base64.")
    immutable: bool | None = doc("Whether its data may never change again.")


class NamespaceCondition(Model):
    type: str = Field(description="Kind of condition.")
    status: str = Field(description="True, False or Unknown.")
    reason: str | None = doc("Why, in one word.")
    message: str | None = doc("Why, in a sentence.")
    last_transition_time: str | None = doc("When its status last changed.")


class NamespaceSpec(Model):
    finalizers: list[str] | None = doc("Who must agree before it is removed.")


class NamespaceStatus(Model):
    phase: str | None = doc("Active or Terminating.")
    conditions: list[NamespaceCondition] | None = keyed("Why it is not gone yet.", "type")


class Namespace(Resource):
    spec: NamespaceSpec | None = doc("Finalizers.")
    status: NamespaceStatus | None = doc("Whether it is in use or on its way out.")


class ServiceAccount(Resource):
    image_pull_secrets: list[LocalObjectReference] | None = doc("Secrets for the registry that its Pods use.")
    secrets: list[ObjectReference] | None = keyed("Secrets that its Pods may use.", "name")
    automount_service_account_token: bool | None = doc("Whether its Pods get a token.")


class EventSource(Model):
    component: str | None = doc("Who reported it.")
    host: str | None = doc("Machine it was reported from.")


class EventSeries(Model):
    count: int | None = doc("How often so far.")
    last_observed_time: str | None = doc("When last.")


class Event(Resource):
    involved_object: ObjectReference = Field(
        default_factory=ObjectReference,
        description="What it is about.",
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
    )
    reason: str | None = doc("Why, in one word.")
    message: str | None = doc("What happened, in a sentence.")
    type: str | None = doc("Normal or Warning.")
    source: EventSource | None = doc("Who reported it.")
    count: int | None = doc("How often it happened.")
    first_timestamp: str | None = doc("When first.")
    last_timestamp: str | None = doc("When last.")
    event_time: str | None = doc("When, for events in series.")
    series: EventSeries | None = doc("The series it is part of.")
    action: str | None = doc("What was done.")
    related: ObjectReference | None = doc("A second object.")
    reporting_component: str | None = doc("Controller that reported it.")
    reporting_instance: str | None = doc("Which copy of that controller.")


def default_secret(obj: Json, context: AdmissionContext) -> None:
    obj["type"] = obj.get("type") or "Opaque"
    plain = obj.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def validate_secret(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    data = obj.get("data") or {}
    errors = _check_data("data", data, binary=True) + _check_size(obj, ("data",))
    errors += [required(f"data[{key}]") for key in SECRET_KEYS.get(obj["type"], ()) if key not in data]
    if context.old is not None:
        if context.old.get("type") != obj["type"]:
            errors.append(invalid("type", obj["type"], "field is immutable"))
        errors += _check_immutable(obj, context.old, ("data",))
    return errors


def validate_config_map(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    errors = _check_data("data", data, binary=False) + _check_data("binaryData", binary, binary=True)
    errors += [invalid(f"data[{key}]", key, "duplicate of key present in binaryData") for key in data if key in binary]
    errors += _check_size(obj, ("data", "binaryData"))
    errors += config_maps.validate_config_map(obj)
    return errors + (_check_immutable(obj, context.old, ("data", "binaryData")) if context.old else [])


def warn_config_map(obj: Json, context: AdmissionContext) -> Sequence[str]:
    return config_maps.warn_config_map(obj)


def _check_data(field: str, data: Mapping[str, str], *, binary: bool) -> list[FieldError]:
    errors = []
    for key, value in data.items():
        if problem := check_config_key(key):
            errors.append(invalid(f"{field}[{key}]", key, problem))
        if binary:
            try:
                base64.b64decode("".join(value.split()), validate=True)
            except (binascii.Error, ValueError):
                errors.append(invalid(f"{field}[{key}]", "<value>", "must be base64; plain text goes into stringData"))
    return errors


def _check_size(obj: Json, fields: Sequence[str]) -> list[FieldError]:
    size = sum(len(value.encode()) for field in fields for value in (obj.get(field) or {}).values())
    if size <= DATA_BYTES_MAX:
        return []
    return [FieldError("", f"Too long: may not be more than {DATA_BYTES_MAX} bytes", FieldProblem.TOO_LONG)]


def _check_immutable(obj: Json, old: Json, fields: Sequence[str]) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    why = "field is immutable when `immutable` is set"
    errors = [] if obj.get("immutable") else [forbidden("immutable", why)]
    return errors + [forbidden(field, why) for field in fields if (obj.get(field) or {}) != (old.get(field) or {})]


def default_namespace(obj: Json, context: AdmissionContext) -> None:
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])  # held until it has been emptied
    obj.setdefault("status", {}).setdefault("phase", "Active")
    labels = obj["metadata"].get("labels") or {}
    if name := obj["metadata"].get("name"):
        obj["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": name}


def validate_namespace(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    name = obj["metadata"].get("name", "")
    problem = check_dns1123_label(name) if name else None
    return [invalid("metadata.name", name, problem)] if problem else []


def validate_event(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    """An event lives in the namespace of what it is about; cluster-scoped things have theirs in `default`."""
    found = (obj.get("involvedObject") or {}).get("namespace", "")
    namespace = obj["metadata"].get("namespace", "")
    if found == namespace or (not found and namespace in ("default", "kube-system")):
        return []
    return [invalid("involvedObject.namespace", found, "does not match event.namespace")]


def _entries(*fields: str) -> Any:
    return lambda obj: sum(len(obj.get(field) or ()) for field in fields)


SECRET: Kind[Secret] = Kind(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    model=Secret,
    confidential=True,
    status=False,
    generation=False,
    default=default_secret,
    validate=validate_secret,
    columns=(Column("Type", "type"), Column("Data", "", "integer", value=_entries("data")), AGE),
)

CONFIG_MAP: Kind[ConfigMap] = Kind(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    model=ConfigMap,
    short_names=("cm",),
    status=False,
    generation=False,
    validate=validate_config_map,
    warn=warn_config_map,
    columns=(Column("Data", "", "integer", value=_entries("data", "binaryData")), AGE),
)

NAMESPACE: Kind[Namespace] = Kind(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    model=Namespace,
    short_names=("ns",),
    namespaced=False,
    generation=False,
    default=default_namespace,
    validate=validate_namespace,
    columns=(Column("Status", "status.phase"), AGE),
)

SERVICE_ACCOUNT: Kind[ServiceAccount] = Kind(
    group="",
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    model=ServiceAccount,
    short_names=("sa",),
    status=False,
    generation=False,
    columns=(Column("Secrets", "", "integer", value=_entries("secrets")), AGE),
)

EVENT: Kind[Event] = Kind(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    model=Event,
    short_names=("ev",),
    lifetime=Lifetime.EPHEMERAL,
    status=False,
    generation=False,
    validate=validate_event,
    columns=EVENT_COLUMNS,
)
