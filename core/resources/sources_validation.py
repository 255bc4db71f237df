"""Rules and defaults of `sources.knative.dev` (knative.dev/eventing/pkg/apis/sources/v1).

The hooks of the kinds in `sources`; the sources of Kafka and RabbitMQ share what all have alike. Pure.
"""

from __future__ import annotations

import base64
import binascii
import copy
from collections.abc import Sequence
from typing import Final

import orjson

from core.errors import FieldError
from core.resources import eventing_labels as labels
from core.resources.eventing_destinations import default_destination, validate_destination
from core.resources.eventing_filters import ATTRIBUTE_NAME, validate_filters
from core.resources.eventing_options import PingOptions, check_options
from core.resources.eventing_rules import stamp_user
from core.resources.knative_errors import Errors, both_of, generic, invalid, missing, neither_of, via, via_index
from core.resources.meta import AdmissionContext, Json
from core.resources.pod_rules import default_pod_spec, warn_pod_spec
from core.resources.pod_validation import validate_pod_spec
from core.resources.schedules import parse_schedule, parse_timezone

EVENT_MODES: Final = ("Reference", "Resource")
EVERY_MINUTE: Final = "* * * * *"


def default_source(obj: Json, context: AdmissionContext) -> None:
    """What all sources have alike."""
    default_destination(obj.setdefault("spec", {}).get("sink"), obj["metadata"].get("namespace", ""))
    stamp_user(obj, context, labels.SOURCES_GROUP)


def validate_source(spec: Json) -> Errors:
    """A source's sink and overrides, by path from the spec (duck/v1.SourceSpec)."""
    errors = via("sink", validate_destination(spec.get("sink") or {}))
    for name in (spec.get("ceOverrides") or {}).get("extensions") or {}:
        if not ATTRIBUTE_NAME.fullmatch(name):
            why = f"CloudEvents attribute names are lower-case letters and digits, found {name!r}"
            errors += generic(why, "ceOverrides.extensions")
    return errors


def default_ping_source(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    spec["schedule"] = spec.get("schedule") or EVERY_MINUTE
    default_source(obj, context)


def validate_ping_source(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = _validate_schedule(spec) + validate_source(spec)
    if spec.get("data") and spec.get("dataBase64"):
        errors += both_of("data", "dataBase64")
    elif spec.get("dataBase64"):
        try:
            data = base64.b64decode(spec["dataBase64"], validate=True)
        except binascii.Error as error:
            errors += invalid(error, "dataBase64")
        else:
            errors += _check_json(spec, data, "dataBase64")
    elif spec.get("data"):
        errors += _check_json(spec, spec["data"].encode(), "data")
    return via("spec", errors) + check_options(PingOptions, obj)


def _validate_schedule(spec: Json) -> Errors:
    errors: Errors = []
    if spec.get("timezone"):
        try:
            parse_timezone(spec["timezone"])
        except ValueError as error:
            errors += invalid(error, "timezone")
    if "@every" in spec["schedule"]:
        return errors + invalid("unsupported descriptor @every", "schedule")
    try:
        parse_schedule(spec["schedule"])
    except ValueError as error:
        errors += invalid(error, "schedule")
    return errors


def _check_json(spec: Json, data: bytes, field: str) -> Errors:
    if spec.get("contentType") != "application/json":
        return []
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return invalid(error, field)
    return []


def default_container_source(obj: Json, context: AdmissionContext) -> None:
    """Containers without a name are numbered, as `kn source container create` leaves it to the server."""
    pod = (obj.setdefault("spec", {}).get("template") or {}).get("spec") or {}
    for index, container in enumerate(pod.get("containers") or ()):
        container["name"] = container.get("name") or f"{obj['metadata'].get('name', '')}-{index}"
    default_source(obj, context)


def validate_container_source(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    pod = (spec.get("template") or {}).get("spec") or {}
    errors = [] if pod.get("containers") else missing("containers")
    for index, container in enumerate(pod.get("containers") or ()):
        wanted = (field for field in ("name", "image") if not container.get(field))
        errors += via_index("containers", index, missing(*wanted))
    errors = via("spec", via("template.spec", errors) + validate_source(spec))
    return errors or _try_pod(pod)


def _try_pod(pod: Json) -> Sequence[FieldError]:
    """A Pod that could not be made is refused with its source, not when it is to be made."""
    tried = copy.deepcopy(pod)
    default_pod_spec(tried)
    return validate_pod_spec(tried, "spec.template.spec")


def warn_container_source(obj: Json, context: AdmissionContext) -> Sequence[str]:
    pod = (obj["spec"].get("template") or {}).get("spec") or {}
    return warn_pod_spec(pod, "spec.template.spec")


def default_sink_binding(obj: Json, context: AdmissionContext) -> None:
    subject = obj.setdefault("spec", {}).get("subject")
    if subject and not subject.get("namespace"):
        subject["namespace"] = obj["metadata"].get("namespace", "")
    default_source(obj, context)


def validate_sink_binding(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    subject, own = spec.get("subject") or {}, obj["metadata"].get("namespace", "")
    errors = missing(*(field for field in ("apiVersion", "kind") if not subject.get(field)))
    named, selected = bool(subject.get("name")), subject.get("selector") is not None
    if named and selected:
        errors += both_of("selector", "name")
    elif not named and not selected:
        errors += neither_of("selector", "name")
    if subject.get("namespace") and subject["namespace"] != own:
        errors += invalid(subject["namespace"], "namespace")
    return via("spec", via("subject", errors) + validate_source(spec))


def default_api_server_source(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    spec["mode"] = spec.get("mode") or EVENT_MODES[0]
    spec["serviceAccountName"] = spec.get("serviceAccountName") or "default"
    default_source(obj, context)


def validate_api_server_source(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = [] if spec.get("mode") in EVENT_MODES else invalid(spec.get("mode"), "mode")
    if not spec.get("resources"):
        errors += missing("resources")
    for index, resource in enumerate(spec.get("resources") or ()):
        errors += via_index("resources", index, _validate_type(resource))
    if spec.get("owner") is not None:
        errors += via("owner", _validate_type(spec["owner"]))
    errors += validate_filters("filters", spec.get("filters") or ())
    return via("spec", errors + validate_source(spec))


def _validate_type(resource: Json) -> Errors:
    version = resource.get("apiVersion") or ""
    errors = invalid(version, "apiVersion") if version.count("/") > 1 else []
    return errors if (resource.get("kind") or "").strip() else errors + missing("kind")
