"""Rules and defaults of `messaging.knative.dev` (knative.dev/eventing/pkg/apis/messaging/v1).

The hooks of the kinds in `messaging`; `flows_validation` shares the template of channels. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from core.errors import FieldError
from core.resources import eventing_labels as labels
from core.resources.eventing_delivery import default_delivery, validate_delivery
from core.resources.eventing_destinations import default_destination, validate_destination, validate_reference
from core.resources.eventing_options import BrokerOptions, SubscriptionOptions, check_options
from core.resources.eventing_rules import check_unchanged, stamp_user
from core.resources.knative_errors import Errors, disallowed, invalid, missing, via, via_index
from core.resources.meta import AdmissionContext, Json
from core.settings import config_maps
from core.settings.eventing import ChannelDefaults


def default_template(spec: Json, namespace: str, context: AdmissionContext) -> None:
    """`channelTemplate` as `default-ch-webhook` has it for the namespace."""
    if spec.get("channelTemplate") is None:
        settings: ChannelDefaults = context.settings.get(config_maps.CHANNEL_DEFAULTS) or ChannelDefaults()
        spec["channelTemplate"] = copy.deepcopy(dict(settings.of(namespace)))


def validate_template(spec: Json, old: Json | None) -> Errors:
    """By path from the object; `old` is the stored object of an update."""
    template = spec.get("channelTemplate")
    if template is None:
        return missing("spec.channelTemplate")
    errors = missing(*(f"spec.channelTemplate.{field}" for field in ("kind", "apiVersion") if not template.get(field)))
    return errors if old is None else errors + check_unchanged(old.get("spec") or {}, spec, "channelTemplate")


def default_channel(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    namespace = obj["metadata"].get("namespace", "")
    default_template(spec, namespace, context)
    default_delivery(spec.get("delivery"), namespace)
    _mark_subscribable(obj)
    stamp_user(obj, context, labels.MESSAGING_GROUP)


def validate_channel(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = validate_template(spec, context.old) + via("spec.delivery", validate_delivery(spec.get("delivery")))
    if spec.get("subscribers"):
        errors += disallowed("spec.subscribable.subscribers")
    return errors + check_options(BrokerOptions, obj)


def default_in_memory_channel(obj: Json, context: AdmissionContext) -> None:
    default_delivery(obj.setdefault("spec", {}).get("delivery"), obj["metadata"].get("namespace", ""))
    _mark_subscribable(obj)
    stamp_user(obj, context, labels.MESSAGING_GROUP)


def validate_in_memory_channel(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = via("delivery", validate_delivery(spec.get("delivery")))
    for index, subscriber in enumerate(spec.get("subscribers") or ()):
        if not subscriber.get("replyUri") and not subscriber.get("subscriberUri"):
            found = _explained(missing("replyURI", "subscriberURI"), "expected at least one of, got none")
            errors += via("subscribable", via_index("subscriber", index, found))
    errors = via("spec", errors)
    scope = (obj["metadata"].get("annotations") or {}).get(labels.SCOPE_ANNOTATION)
    if scope is not None and scope not in ("namespace", "cluster"):
        path = f"metadata.annotations[{labels.SCOPE_ANNOTATION}]"
        errors += invalid(scope, path, "expected either 'cluster' or 'namespace'")
    return errors + check_options(BrokerOptions, obj)


def default_subscription(obj: Json, context: AdmissionContext) -> None:
    spec, namespace = obj.setdefault("spec", {}), obj["metadata"].get("namespace", "")
    for field in ("subscriber", "reply"):
        default_destination(spec.get(field), namespace)
    default_delivery(spec.get("delivery"), namespace)
    stamp_user(obj, context, labels.MESSAGING_GROUP)


def validate_subscription(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors: Errors = []
    if not spec.get("channel"):
        errors += _explained(missing("channel"), "the Subscription must reference a channel")
    else:
        errors += via("channel", validate_reference(spec["channel"]))
    if not spec.get("subscriber") and not spec.get("reply"):
        why = "the Subscription must reference at least one of (reply channel or a subscriber)"
        errors += _explained(missing("reply", "subscriber"), why)
    for field in ("subscriber", "reply"):
        if spec.get(field):
            errors += via(field, validate_destination(spec[field]))
    errors = via("spec", errors + via("delivery", validate_delivery(spec.get("delivery"))))
    if context.old is not None:
        errors += check_unchanged(context.old.get("spec") or {}, spec, "channel")
    return errors + check_options(SubscriptionOptions, obj)


def _explained(errors: Errors, detail: str) -> Errors:
    return [FieldError(each.path, each.message, each.problem, detail) for each in errors]


def _mark_subscribable(obj: Json) -> None:
    """The version of the duck type that its subscribers are in."""
    annotations = obj["metadata"].get("annotations") or {}
    obj["metadata"]["annotations"] = {**annotations, labels.SUBSCRIBABLE_ANNOTATION: "v1"}
