"""A Service's Configuration and Route (knative.dev/serving/pkg/reconciler/service/resources), and its status.

Called by the Service controller. Pure.
"""

from __future__ import annotations

from typing import Any

from core.resources import serving_labels as labels
from core.resources.conditions import TRUE, ConditionSet, find_condition
from core.resources.meta import Json, owner_reference
from core.resources.serving import CONFIGURATION, ROUTE, SERVICE
from deploy.routes import LAST_APPLIED

CONDITIONS = ConditionSet(("ConfigurationsReady", "RoutesReady"))
CONFIGURATIONS_READY, ROUTES_READY = CONDITIONS.dependents


def make_configuration(service: Json, existing: Json | None = None) -> Json:
    """`existing`: whose list of routes is kept, with this Service's added."""
    metadata = service["metadata"]
    left_out = (LAST_APPLIED, *labels.ROLLOUT_DURATION_ANNOTATIONS)
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in left_out}
    before = ((existing or {}).get("metadata") or {}).get("annotations") or {}
    routes = {*split_names(before.get(labels.ROUTES_ANNOTATION)), metadata["name"]}
    own = {labels.SERVICE_LABEL: metadata["name"], labels.SERVICE_UID_LABEL: metadata["uid"]}
    return {
        "apiVersion": CONFIGURATION.api_version,
        "kind": CONFIGURATION.kind,
        "metadata": {
            **_child_metadata(service),
            "labels": {**(metadata.get("labels") or {}), **own},
            "annotations": {**annotations, labels.ROUTES_ANNOTATION: ",".join(sorted(routes))},
        },
        "spec": {"template": service["spec"].get("template") or {}},
    }


def make_route(service: Json) -> Json:
    metadata = service["metadata"]
    traffic = []
    for target in service["spec"].get("traffic") or ():
        follows = {} if target.get("revisionName") else {"configurationName": metadata["name"]}
        traffic.append({**target, **follows})
    return {
        "apiVersion": ROUTE.api_version,
        "kind": ROUTE.kind,
        "metadata": {
            **_child_metadata(service),
            "labels": {**(metadata.get("labels") or {}), labels.SERVICE_LABEL: metadata["name"]},
            "annotations": {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED},
        },
        "spec": {"traffic": traffic},
    }


def differs(desired: Json, stored: Json) -> bool:
    """Whether a stored Configuration or Route is not what the Service wants."""
    wanted, present = desired["metadata"], stored["metadata"]
    return bool(
        desired["spec"] != stored.get("spec")
        or wanted["labels"] != (present.get("labels") or {})
        or wanted["annotations"] != (present.get("annotations") or {})
    )


def with_desired(desired: Json, stored: Json) -> Json:
    """The stored object, made what the Service wants."""
    wanted = desired["metadata"]
    metadata = {**stored["metadata"], "labels": wanted["labels"], "annotations": wanted["annotations"]}
    return {**stored, "metadata": metadata, "spec": desired["spec"]}


def is_observed(obj: Json) -> bool:
    """Whether its controller has seen its present generation."""
    observed = (obj.get("status") or {}).get("observedGeneration")
    return bool(observed == obj["metadata"].get("generation"))


def not_owned_message(kind: str, name: str) -> str:
    return f'There is an existing {kind} "{name}" that we do not own.'


def decide_status(service: Json, configuration: Json, route: Json | None, name_taken: str, now: str) -> Json:
    """`name_taken`: the revision name that another Configuration or another spec has; `route` None: not made yet,
    because the named revision must exist first."""
    before = service.get("status") or {}
    conditions = CONDITIONS.manage(before, now)
    status: Json = {key: before[key] for key in ("url", "address", "traffic") if key in before}
    for key in ("latestCreatedRevisionName", "latestReadyRevisionName"):
        if key in before:
            status[key] = before[key]
    if is_observed(configuration):
        _take(status, configuration, ("latestCreatedRevisionName", "latestReadyRevisionName"))
        ready = find_condition(configuration)
        if ready is not None:
            conditions.copy_from(CONFIGURATIONS_READY, ready)
    else:
        message = "The Configuration is still working to reflect the latest desired specification."
        conditions.mark_unknown(CONFIGURATIONS_READY, "OutOfDate", message)
    if name_taken:
        taken = f'The revision name "{name_taken}" is taken by a conflicting Revision'
        message = f"{taken}, so traffic will not be migrated"
        conditions.mark_false(ROUTES_READY, "RevisionNameTaken", message)
    elif route is not None:
        _propagate_route(status, conditions, configuration, route)
    return {"conditions": conditions.to_json(), "observedGeneration": service["metadata"].get("generation"), **status}


def _propagate_route(status: Json, conditions: Any, configuration: Json, route: Json) -> None:
    if not is_observed(route):
        message = "The Route is still working to reflect the latest desired specification."
        conditions.mark_unknown(ROUTES_READY, "OutOfDate", message)
        return
    _take(status, route, ("url", "address", "traffic"))
    ready = find_condition(route)
    if ready is None:
        return
    if ready["status"] == TRUE and not _is_migrated(configuration, route):
        message = "Traffic is not yet migrated to the latest revision."
        conditions.mark_unknown(ROUTES_READY, "TrafficNotMigrated", message)
        return
    conditions.copy_from(ROUTES_READY, ready)


def _is_migrated(configuration: Json, route: Json) -> bool:
    """Whether the split in force is the one asked for, with the present latest ready revision."""
    latest = (configuration.get("status") or {}).get("latestReadyRevisionName")
    name = configuration["metadata"]["name"]
    wanted = [
        (t.get("tag"), latest if t.get("configurationName") == name else t.get("revisionName"), t.get("percent"))
        for t in route["spec"].get("traffic") or ()
    ]
    in_force = (route.get("status") or {}).get("traffic") or ()
    return wanted == [(t.get("tag"), t.get("revisionName"), t.get("percent")) for t in in_force]


def _take(status: Json, source: Json, keys: tuple[str, ...]) -> None:
    theirs = source.get("status") or {}
    for key in keys:
        status.pop(key, None)
        if key in theirs:
            status[key] = theirs[key]


def _child_metadata(service: Json) -> Json:
    metadata = service["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "ownerReferences": [owner_reference(SERVICE, service).to_json()],
    }


def split_names(text: str | None) -> list[str]:
    """A comma separated annotation as a list."""
    return [name for name in (text or "").split(",") if name]
