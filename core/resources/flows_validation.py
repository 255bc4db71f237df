"""Rules and defaults of `flows.knative.dev` (knative.dev/eventing/pkg/apis/flows/v1). The hooks of `flows`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import FieldError
from core.resources import eventing_labels as labels
from core.resources.eventing_delivery import default_delivery, validate_delivery
from core.resources.eventing_destinations import default_destination, validate_destination
from core.resources.eventing_options import DeliveryOptions, check_options
from core.resources.eventing_rules import stamp_user
from core.resources.knative_errors import Errors, missing, via, via_index
from core.resources.messaging_validation import default_template, validate_template
from core.resources.meta import AdmissionContext, Json


def default_sequence(obj: Json, context: AdmissionContext) -> None:
    spec, namespace = obj.setdefault("spec", {}), obj["metadata"].get("namespace", "")
    default_template(spec, namespace, context)
    for step in spec.get("steps") or ():
        default_destination(step, namespace)
        default_delivery(step.get("delivery"), namespace)
    default_destination(spec.get("reply"), namespace)
    stamp_user(obj, context, labels.FLOWS_GROUP)


def validate_sequence(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = [] if spec.get("steps") else missing("steps")
    for index, step in enumerate(spec.get("steps") or ()):
        errors += via_index("steps", index, validate_destination(step))
        errors += via_index("steps", index, via("delivery", validate_delivery(step.get("delivery"))))
    return _validate_ends(obj, errors, context)


def default_parallel(obj: Json, context: AdmissionContext) -> None:
    spec, namespace = obj.setdefault("spec", {}), obj["metadata"].get("namespace", "")
    default_template(spec, namespace, context)
    for branch in spec.get("branches") or ():
        for field in ("filter", "subscriber", "reply"):
            default_destination(branch.get(field), namespace)
        default_delivery(branch.get("delivery"), namespace)
    default_destination(spec.get("reply"), namespace)
    stamp_user(obj, context, labels.FLOWS_GROUP)


def validate_parallel(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = [] if spec.get("branches") else missing("branches")
    for index, branch in enumerate(spec.get("branches") or ()):
        found = via("subscriber", validate_destination(branch.get("subscriber") or {}))
        for field in ("filter", "reply"):
            if branch.get(field) is not None:
                found += via(field, validate_destination(branch[field]))
        found += via("delivery", validate_delivery(branch.get("delivery")))
        errors += via_index("branches", index, found)
    return _validate_ends(obj, errors, context)


def _validate_ends(obj: Json, errors: Errors, context: AdmissionContext) -> Errors:
    """What Sequence and Parallel have alike: reply, template, annotations. `errors` are those of the spec so far."""
    spec = obj["spec"]
    if spec.get("reply") is not None:
        errors += via("reply", validate_destination(spec["reply"]))
    return via("spec", errors) + validate_template(spec, context.old) + check_options(DeliveryOptions, obj)
