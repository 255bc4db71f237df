"""Parts that Knative's kinds share (knative.dev/pkg/apis/duck/v1): addresses, references, destinations, statuses.

Types alone; `eventing_destinations` has the rules of those that a user writes.
"""

from __future__ import annotations

from core.resources.fields import doc
from core.resources.meta import Condition, Model


class Addressable(Model):
    url: str | None = doc("Where events and requests can be sent.")
    name: str | None = doc("Name of the address.")
    ca_certs: str | None = doc("Certification authority certificates in PEM.", alias="CACerts")
    audience: str | None = doc("OIDC audience.")


class Status(Model):
    """What every Knative status has (duck/v1.Status)."""

    observed_generation: int | None = doc("The generation that this status speaks of.")
    conditions: list[Condition] | None = doc("What is true of the object, Ready above all.")
    annotations: dict[str, str] | None = doc("Notes of the platform.")


class AddressStatus(Status):
    """The status of what events can be sent to (duck/v1.AddressStatus)."""

    address: Addressable | None = doc("Where events can be sent.")
    addresses: list[Addressable] | None = doc("Every place where events can be sent.")


class CloudEventAttributes(Model):
    type: str | None = doc("Type of the events.")
    source: str | None = doc("Source of the events.")


class AuthStatus(Model):
    service_account_name: str | None = doc("The service account.")
    service_account_names: list[str] | None = doc("The service accounts.")


class SourceStatus(Status):
    """The status of what sends events (duck/v1.SourceStatus)."""

    sink_uri: str | None = doc("Where events are sent.")
    sink_ca_certs: str | None = doc("Certificates of the sink.", alias="sinkCACerts")
    sink_audience: str | None = doc("OIDC audience of the sink.")
    ce_attributes: list[CloudEventAttributes] | None = doc("Types and sources of the events that are sent.")
    auth: AuthStatus | None = doc("Identity that events are sent under.")


class Reference(Model):
    """An object, by kind and name (duck/v1.KReference)."""

    kind: str | None = doc("Kind of the object.")
    name: str | None = doc("Its name.")
    namespace: str | None = doc("Its namespace; that of the object it stands in.")
    api_version: str | None = doc("Its API version.")
    group: str | None = doc("Its API group, in place of apiVersion.")
    address: str | None = doc("Name of one of its addresses.")


class Destination(Model):
    """Where events go: an object that has an address, a URL, or a path below the former (duck/v1.Destination)."""

    ref: Reference | None = doc("The object that receives them.")
    uri: str | None = doc("An absolute URL; with ref, one relative to its address.")
    ca_certs: str | None = doc("Certification authority certificates in PEM.", alias="CACerts")
    audience: str | None = doc("OIDC audience.")


class CloudEventOverrides(Model):
    extensions: dict[str, str] | None = doc("Attributes that are added to each event, or replace its own.")
