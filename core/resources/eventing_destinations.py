"""Rules of destinations and references (knative.dev/pkg/apis/duck/v1: destination.go, knative_reference.go).

Called by the rules of every kind that sends events somewhere. Pure.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from core.resources.knative_errors import Errors, generic, invalid, missing, via
from core.resources.meta import Json

_NAMED = "[apiVersion, kind, name]"


def default_destination(destination: Json | None, namespace: str) -> None:
    """A reference without a namespace is to a neighbor."""
    if destination and destination.get("ref"):
        default_reference(destination["ref"], namespace)


def default_reference(reference: Json | None, namespace: str) -> None:
    if reference and not reference.get("namespace"):
        reference["namespace"] = namespace


def validate_destination(destination: Json) -> Errors:
    reference, uri = destination.get("ref"), destination.get("uri")
    if reference is None and not uri:
        return generic("expected at least one, got none", "ref", "uri")
    errors = via("ref", validate_reference(reference)) if reference is not None else []
    if uri:
        errors += _validate_uri(uri, relative=reference is not None)
    certificates = destination.get("CACerts")
    if certificates is not None and "-----BEGIN CERTIFICATE-----" not in certificates:
        errors += invalid("CA Cert provided is invalid", "caCert")
    return errors


def validate_reference(reference: Json) -> Errors:
    """What is named must be named in full; a group stands for whichever version of it there is."""
    errors = missing(*(field for field in ("name", "kind") if not reference.get(field)))
    if not reference.get("apiVersion") and not reference.get("group"):
        errors += missing("apiVersion")
    return errors


def _validate_uri(uri: str, *, relative: bool) -> Errors:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        return invalid(uri, "uri", str(error))
    if relative:
        message = f"Absolute URI is not allowed when Ref or {_NAMED} is present"
        return generic(message, _NAMED, "ref", "uri") if parts.scheme else []
    if not parts.scheme or not parts.hostname:
        return invalid(f"Relative URI is not allowed when Ref and {_NAMED} is absent", "uri")
    return []
