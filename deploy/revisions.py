"""Revisions of a Configuration: stamped, named, found again, and the newest ready one chosen.

knative.dev/serving/pkg/reconciler/configuration. Called by the Configuration and Service controllers. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from core.resources import serving_labels as labels
from core.resources.child_names import child_name
from core.resources.conditions import FALSE, TRUE, UNKNOWN, ConditionSet, find_condition, is_current_and
from core.resources.meta import Json, controller_of, owner_reference
from core.resources.serving import CONFIGURATION, REVISION

PENDING, ACTIVE, RESERVE = "pending", "active", "reserve"
"""Values of the routing state: not looked at yet, routed to, kept for later."""

CONDITIONS = ConditionSet()


class NameState(Enum):
    """Whether the name that a template brings can be used."""

    FREE = "free"  # no such Revision, or no name brought
    OURS = "ours"  # this Configuration's, of the same spec
    TAKEN = "taken"  # another's, or of another spec


def given_name(configuration: Json) -> str:
    """The name that the user gave the template, "" where none."""
    metadata = configuration["spec"].get("template", {}).get("metadata") or {}
    return str(metadata.get("name") or "")


def revision_name(configuration: Json) -> str:
    generation = configuration["metadata"]["generation"]
    return given_name(configuration) or child_name(configuration["metadata"]["name"], f"-{generation:05d}")


def make_revision(configuration: Json, now: str) -> Json:
    """The Revision of the present generation; `now` is RFC 3339."""
    metadata, template = configuration["metadata"], configuration["spec"].get("template") or {}
    stamped = template.get("metadata") or {}
    inherited = metadata.get("labels") or {}
    annotations = dict(stamped.get("annotations") or {})
    theirs = metadata.get("annotations") or {}
    state = PENDING
    if labels.LAST_MODIFIER_ANNOTATION in theirs:
        annotations[labels.CREATOR_ANNOTATION] = theirs[labels.LAST_MODIFIER_ANNOTATION]
    if labels.ROUTES_ANNOTATION in theirs:
        annotations[labels.ROUTES_ANNOTATION] = theirs[labels.ROUTES_ANNOTATION]
        state = ACTIVE
    annotations[labels.ROUTING_STATE_MODIFIED_ANNOTATION] = now
    own = {
        labels.ROUTING_STATE_LABEL: state,
        labels.CONFIGURATION_LABEL: metadata["name"],
        labels.CONFIGURATION_GENERATION_LABEL: str(metadata["generation"]),
        labels.CONFIGURATION_UID_LABEL: metadata["uid"],
        labels.SERVICE_LABEL: inherited.get(labels.SERVICE_LABEL, ""),
        labels.SERVICE_UID_LABEL: inherited.get(labels.SERVICE_UID_LABEL, ""),
    }
    return {
        "apiVersion": REVISION.api_version,
        "kind": REVISION.kind,
        "metadata": {
            "name": revision_name(configuration),
            "namespace": metadata["namespace"],
            "labels": {**(stamped.get("labels") or {}), **{key: value for key, value in own.items() if value}},
            "annotations": annotations,
            "ownerReferences": [owner_reference(CONFIGURATION, configuration).to_json()],
        },
        "spec": template.get("spec") or {},
    }


def check_name(configuration: Json, existing: Json | None) -> NameState:
    """`existing`: the Revision that has the given name now."""
    if existing is None or not given_name(configuration):
        return NameState.FREE
    owner = controller_of(existing)
    if owner is None or owner.get("uid") != configuration["metadata"]["uid"]:
        return NameState.TAKEN
    if _generation(existing) == configuration["metadata"]["generation"]:
        return NameState.OURS
    same = existing.get("spec") == (configuration["spec"].get("template", {}).get("spec") or {})
    return NameState.OURS if same else NameState.TAKEN


def is_of_generation(revision: Json, configuration: Json) -> bool:
    """Whether the Configuration stamped it for its present generation."""
    mine = revision["metadata"].get("labels", {}).get(labels.CONFIGURATION_LABEL) == configuration["metadata"]["name"]
    return bool(mine and _generation(revision) == configuration["metadata"]["generation"])


def choose_latest_ready(configuration: Json, created: Json, revisions: Sequence[Json]) -> str:
    """The name of the newest ready Revision; the present one where none is newer: it never moves backwards.

    `created` is the Revision of the present generation, `revisions` all of the Configuration.
    """
    present = (configuration.get("status") or {}).get("latestReadyRevisionName") or ""
    if is_current_and(created, TRUE):
        return str(created["metadata"]["name"])
    by_name = {revision["metadata"]["name"]: revision for revision in revisions}
    start = _generation(by_name[present]) if present in by_name else 0
    ready = [r for r in revisions if is_current_and(r, TRUE) and _generation(r) >= start]
    newest = max(ready, key=_generation, default=None)
    return str(newest["metadata"]["name"]) if newest is not None else present


def decide_status(configuration: Json, created: Json, latest_ready: str, now: str) -> Json:
    """Ready follows the Revision of the present generation and nothing else."""
    name = created["metadata"]["name"]
    conditions = CONDITIONS.manage(configuration.get("status"), now)
    ready = find_condition(created) or {"status": UNKNOWN}
    if latest_ready != name:
        conditions.mark_unknown("Ready", message=ready.get("message", ""))  # an installation, say; upstream is silent
    if ready["status"] == FALSE:
        message = f'Revision "{name}" failed with message: {ready.get("message", "")}.'
        conditions.mark_false("Ready", "RevisionFailed", message)
    elif latest_ready == name:
        conditions.mark_true("Ready")
    status: Json = {
        "conditions": conditions.to_json(),
        "observedGeneration": configuration["metadata"]["generation"],
        "latestCreatedRevisionName": name,
    }
    if latest_ready:
        status["latestReadyRevisionName"] = latest_ready
    return status


def decide_failed_creation(configuration: Json, message: str, now: str) -> Json:
    """The Revision could not be made: its name is taken, say."""
    before = configuration.get("status") or {}
    conditions = CONDITIONS.manage(before, now)
    conditions.mark_false("Ready", "RevisionFailed", f"Revision creation failed with message: {message}.")
    return {
        **before,
        "conditions": conditions.to_json(),
        "observedGeneration": configuration["metadata"]["generation"],
    }


def _generation(revision: Json) -> int:
    """Of the Configuration that it was stamped for; 0 where its label is gone."""
    text = (revision["metadata"].get("labels") or {}).get(labels.CONFIGURATION_GENERATION_LABEL, "")
    return int(text) if text.isdigit() else 0
