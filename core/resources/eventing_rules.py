"""What the rules of several eventing kinds share: immutable fields, who did it, hints at annotations. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.resources.eventing_options import DeliveryOptions, warn_options
from core.resources.knative_errors import Errors, generic, quoted
from core.resources.meta import AdmissionContext, Json, Warn

IMMUTABLE: Final = "Immutable fields changed (-old +new)"


def check_unchanged(old: Json, new: Json, field: str) -> Errors:
    """That an update of a spec leaves one of its fields as it was."""
    if old.get(field) == new.get(field):
        return []
    changed = f"-: {quoted(old.get(field))}\n+: {quoted(new.get(field))}"
    return generic(IMMUTABLE, f"spec.{field}", detail=changed)


def warn_of(options: type[DeliveryOptions]) -> Warn:
    """The `warn` hook of a kind that takes these options."""

    def warn(obj: Json, context: AdmissionContext) -> Sequence[str]:
        return warn_options(options, obj)

    return warn


def stamp_user(obj: Json, context: AdmissionContext, group: str) -> None:
    """Who made it, and who changed its spec last, under the kind's own group."""
    if not context.user:
        return
    annotations = obj["metadata"].get("annotations") or {}
    if context.old is None:
        annotations = {**annotations, f"{group}/creator": context.user}
    elif context.old.get("spec") == obj.get("spec"):
        return
    obj["metadata"]["annotations"] = {**annotations, f"{group}/lastModifier": context.user}
