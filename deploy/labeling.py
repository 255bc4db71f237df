"""Which Revisions and Configurations a Route sends to, as labels on them (knative.dev/serving/pkg/reconciler/labeler).

A Revision that some Route names is `active`, one that none does any more is `reserve`; garbage collection and
reachability go by that. Called by the labeler. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.resources import serving_labels as labels
from core.resources.conditions import FALSE, TRUE, is_current_and
from core.resources.meta import Json
from deploy.revisions import ACTIVE, RESERVE
from deploy.services import split_names


def listed_targets(route: Json) -> list[Json]:
    """What the Route sends to now, and what it asks to send to."""
    return [*((route.get("status") or {}).get("traffic") or ()), *((route.get("spec") or {}).get("traffic") or ())]


def may_clear(route: Json) -> bool:
    """Old labels go only once the Route has come to a decision."""
    return is_current_and(route, TRUE) or is_current_and(route, FALSE)


def with_route(obj: Json, route_name: str, now: str, is_revision: bool) -> Json:
    """The object with the Route in its list; the same one where it is there."""
    return _relabel(obj, {*routes_of(obj), route_name}, now, is_revision)


def without_route(obj: Json, route_name: str, now: str, is_revision: bool) -> Json:
    return _relabel(obj, set(routes_of(obj)) - {route_name}, now, is_revision)


def routes_of(obj: Json) -> list[str]:
    return split_names((obj["metadata"].get("annotations") or {}).get(labels.ROUTES_ANNOTATION))


def _relabel(obj: Json, routes: Iterable[str], now: str, is_revision: bool) -> Json:
    metadata = obj["metadata"]
    annotations, marks = dict(metadata.get("annotations") or {}), dict(metadata.get("labels") or {})
    text = ",".join(sorted(routes))
    if text:
        annotations[labels.ROUTES_ANNOTATION] = text
    else:
        annotations.pop(labels.ROUTES_ANNOTATION, None)
    state = ACTIVE if text else RESERVE
    if is_revision and marks.get(labels.ROUTING_STATE_LABEL) != state:
        marks[labels.ROUTING_STATE_LABEL] = state
        annotations[labels.ROUTING_STATE_MODIFIED_ANNOTATION] = now
    if annotations == (metadata.get("annotations") or {}) and marks == (metadata.get("labels") or {}):
        return obj
    return {**obj, "metadata": {**metadata, "annotations": annotations, "labels": marks}}
