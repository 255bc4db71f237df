"""Rules and defaults of `eventing.knative.dev` (knative.dev/eventing/pkg/apis/eventing/v1: *_validation.go).

The hooks of the kinds in `eventing`. The messages are Knative's; a rule on an update sees the stored object as
`context.old`. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from core.errors import FieldError
from core.resources import eventing_labels as labels
from core.resources.eventing_delivery import default_delivery, validate_delivery
from core.resources.eventing_destinations import (
    default_destination,
    default_reference,
    validate_destination,
    validate_reference,
)
from core.resources.eventing_filters import validate_attributes, validate_filters
from core.resources.eventing_options import BrokerOptions, SubscriptionOptions, check_options
from core.resources.eventing_rules import check_unchanged, stamp_user
from core.resources.knative_errors import Errors, both_of, generic, missing, quoted, via
from core.resources.meta import AdmissionContext, Json
from core.settings import config_maps
from core.settings.eventing import BrokerDefaults

REQUIRED_ATTRIBUTES: Final = ("type", "source", "specversion", "id")


def default_broker(obj: Json, context: AdmissionContext) -> None:
    """Class, config and delivery of `config-br-defaults`, each only where the Broker says nothing of it."""
    metadata, spec = obj["metadata"], obj.setdefault("spec", {})
    namespace = metadata.get("namespace", "")
    settings: BrokerDefaults = context.settings.get(config_maps.BROKER_DEFAULTS) or BrokerDefaults()
    annotations = metadata.get("annotations") or {}
    chosen = annotations.get(labels.BROKER_CLASS_ANNOTATION) or settings.class_of(namespace)
    metadata["annotations"] = {**annotations, labels.BROKER_CLASS_ANNOTATION: chosen}
    defaults = settings.of(namespace, chosen)
    if spec.get("config") is None and defaults.config:
        spec["config"] = dict(defaults.config)
    if spec.get("delivery") is None and defaults.delivery:
        spec["delivery"] = copy.deepcopy(dict(defaults.delivery))
    default_reference(spec.get("config"), namespace)
    default_delivery(spec.get("delivery"), namespace)
    stamp_user(obj, context, labels.GROUP)


def validate_broker(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors: Errors = []
    if spec.get("config") is not None:
        errors += via("config", validate_reference(spec["config"]))
    errors = via("spec", errors + via("delivery", validate_delivery(spec.get("delivery"))))
    if context.old is not None:
        errors += check_unchanged(context.old.get("spec") or {}, spec, "config")
        before, after = (_class(each) for each in (context.old, obj))
        if before != after:
            changed = f"-: {quoted(before)}\n+: {quoted(after)}"
            errors += generic("Immutable annotations changed (-old +new)", "annotations", detail=changed)
    return errors + check_options(BrokerOptions, obj)


def default_trigger(obj: Json, context: AdmissionContext) -> None:
    metadata, spec = obj["metadata"], obj.setdefault("spec", {})
    namespace = metadata.get("namespace", "")
    spec.setdefault("filter", {})
    default_reference(spec.get("brokerRef"), namespace)
    default_destination(spec.get("subscriber"), namespace)
    default_delivery(spec.get("delivery"), namespace)
    if spec.get("broker"):
        metadata["labels"] = {**(metadata.get("labels") or {}), labels.BROKER_LABEL: spec["broker"]}
    stamp_user(obj, context, labels.GROUP)


def validate_trigger(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = _validate_broker_choice(spec)
    errors += via("filter.attributes", validate_attributes((spec.get("filter") or {}).get("attributes") or {}))
    errors += validate_filters("filters", spec.get("filters") or ())
    errors += via("subscriber", validate_destination(spec.get("subscriber") or {}))
    errors += via("delivery", validate_delivery(spec.get("delivery")))
    errors = via("spec", errors) + _validate_dependency(obj) + _validate_injection(obj)
    if context.old is not None:
        errors += check_unchanged(context.old.get("spec") or {}, spec, "broker")
        errors += check_unchanged(context.old.get("spec") or {}, spec, "brokerRef")
    return errors + check_options(SubscriptionOptions, obj)


def default_event_type(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    default_reference(spec.get("reference"), obj["metadata"].get("namespace", ""))
    stamp_user(obj, context, labels.GROUP)


def validate_event_type(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    named = {attribute.get("name") for attribute in spec.get("attributes") or ()}
    errors = via("attributes", missing(*(name for name in REQUIRED_ATTRIBUTES if name not in named)))
    return via("spec", errors)


def _class(obj: Json) -> str:
    annotations = obj["metadata"].get("annotations") or {}
    return str(annotations.get(labels.BROKER_CLASS_ANNOTATION, ""))


def _validate_broker_choice(spec: Json) -> Errors:
    if spec.get("brokerRef") is None:
        return [] if spec.get("broker") else missing("broker")
    if spec.get("broker"):
        return both_of("broker", "brokerRef")
    return via("brokerRef", validate_reference(spec["brokerRef"]))


def _on_annotation(name: str, check: Callable[[str], Errors], obj: Json) -> Errors:
    text = (obj["metadata"].get("annotations") or {}).get(name)
    return [] if text is None else via(f"metadata.annotations[{name}]", check(text))


def _validate_dependency(obj: Json) -> Errors:
    own = obj["metadata"].get("namespace", "")

    def check(text: str) -> Errors:
        try:
            reference = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            message = f"The provided annotation was not a corev1.ObjectReference: {quoted(text)}"
            return generic(message, detail=str(error))
        if not isinstance(reference, dict):
            return generic(f"The provided annotation was not a corev1.ObjectReference: {quoted(text)}")
        errors: Errors = []
        if reference.get("namespace") and reference["namespace"] != own:
            errors += generic(f'Namespace must be empty or equal to the trigger namespace "{own}"', "namespace")
        return errors + missing(*(field for field in ("kind", "name", "apiVersion") if not reference.get(field)))

    return _on_annotation(labels.DEPENDENCY_ANNOTATION, check, obj)


def _validate_injection(obj: Json) -> Errors:
    broker = obj["spec"].get("broker", "")

    def check(text: str) -> Errors:
        if text not in ("enabled", "disabled"):
            message = 'The provided injection annotation value can only be "enabled" or "disabled"'
            return generic(f"{message}, not {quoted(text)}")
        if broker != "default":
            message = "The provided injection annotation is only used for default broker"
            return generic(f"{message}, but non-default broker specified here: {quoted(broker)}")
        return []

    return _on_annotation(labels.INJECTION_ANNOTATION, check, obj)
