"""Rules of `spec.traffic` (knative.dev/serving/pkg/apis/serving/v1/route_validation.go).

Called by `serving_validation` for Services and Routes; the messages are Knative's. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.resources.knative_errors import (
    Errors,
    both_of,
    disallowed,
    generic,
    go,
    invalid,
    invalid_key,
    neither_of,
    out_of_bounds,
    via,
)
from core.resources.meta import Json
from core.resources.names import check_dns1035_label, check_qualified_name


def validate_traffic(traffic: Sequence[Json], in_service: bool) -> Errors:
    """Percents sum to 100; `in_service` where the configuration is understood and may not be named."""
    errors: Errors = []
    tags: dict[str, int] = {}
    total = 0
    for index, target in enumerate(traffic):
        errors += via(f"[{index}]", _validate_target(target, in_service))
        total += target.get("percent") or 0
        tag = target.get("tag") or ""
        if not tag:
            continue
        if problem := check_dns1035_label(tag):
            errors += invalid(f"not a DNS 1035 label: [{problem}]", f"tag[{index}]")
        if tag in tags:
            errors += generic(f'Multiple definitions for "{tag}"', f"[{index}].tag", f"[{tags[tag]}].tag")
        else:
            tags[tag] = index
    if total != 100:
        errors += generic(f"Traffic targets sum to {total}, want 100", "")
    return errors


def _validate_target(target: Json, in_service: bool) -> Errors:
    revision, configuration = target.get("revisionName") or "", target.get("configurationName") or ""
    errors = _validate_latest(target, revision)
    if in_service and configuration:
        errors += disallowed("configurationName")
    elif revision and configuration:
        errors += both_of("revisionName", "configurationName")
    elif revision:
        if problem := check_qualified_name(revision):
            errors += invalid_key(revision, "revisionName", problem)
    elif configuration:
        if problem := check_qualified_name(configuration):
            errors += invalid_key(configuration, "configurationName", problem)
    elif not in_service:
        errors += neither_of("revisionName", "configurationName")
    percent = target.get("percent")
    if percent is not None and not 0 <= percent <= 100:
        errors += out_of_bounds(percent, 0, 100, "percent")
    if target.get("url"):
        errors += disallowed("url")
    return errors


def _validate_latest(target: Json, revision: str) -> Errors:
    latest = target.get("latestRevision")
    if latest is None or latest != bool(revision):
        return []
    return generic(f'may not set revisionName "{revision}" when latestRevision is {go(latest)}', "latestRevision")
