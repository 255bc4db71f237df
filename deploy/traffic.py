"""`spec.traffic` of a Route, resolved to revisions (knative.dev/serving/pkg/reconciler/route/traffic/traffic.go).

Called by the Route controller with the objects that the Route names. All targets must exist and be ready; else the
Route is not reprogrammed, and the problem says which one and why. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from core.resources import serving_labels as labels
from core.resources.conditions import FALSE, TRUE, UNKNOWN, find_condition, is_current_and
from core.resources.meta import Json
from deploy.rollout import Rollout, Share, TargetRollout, make_rollout

DEFAULT_TAG = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A share of a host's requests. `configuration` is "" where the revision has none."""

    tag: str
    revision: str
    configuration: str
    percent: int
    latest: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """`flat` is the status's list; `by_tag` what each host serves, the main one under `DEFAULT_TAG`."""

    flat: tuple[Target, ...]
    by_tag: Mapping[str, tuple[Target, ...]]

    def rollout(self) -> Rollout:
        """What the targets that follow a latest revision ask for, without any history."""
        return make_rollout(
            TargetRollout(target.configuration, tag, target.percent, (Share(target.revision, target.percent),))
            for tag, targets in self.by_tag.items()
            for target in targets
            if target.latest and target.percent
        )


@dataclass(frozen=True, slots=True)
class TrafficProblem:
    """Why the traffic cannot be assigned: the AllTrafficAssigned condition. `status` is False or Unknown."""

    status: str
    reason: str
    message: str


Objects: TypeAlias = Mapping[str, Json]


def referred_names(traffic: Iterable[Json]) -> tuple[set[str], set[str]]:
    """The configurations and the revisions that a traffic list names."""
    configurations = {target["configurationName"] for target in traffic if target.get("configurationName")}
    revisions = {target["revisionName"] for target in traffic if target.get("revisionName")}
    return configurations, revisions


def resolve_traffic(route: Json, configurations: Objects, revisions: Objects) -> Traffic | TrafficProblem:
    """`configurations` and `revisions`: those there are, by name, of all that the Route names, and the latest ready
    revisions of these configurations. A failure outweighs what is merely not ready yet."""
    problem: TrafficProblem | None = None
    resolved: list[Target] = []
    for target in (route.get("spec") or {}).get("traffic") or ():
        found = _resolve(route, target, configurations, revisions)
        if isinstance(found, Target):
            resolved.append(found)
        elif problem is None or found.status == FALSE:
            problem = found
    return problem or arrange(resolved)


def _resolve(route: Json, target: Json, configurations: Objects, revisions: Objects) -> Target | TrafficProblem:
    if target.get("revisionName"):
        revision = revisions.get(target["revisionName"])
        if revision is None:
            return _missing("Revision", target["revisionName"])
        problem = _check_owner(route, revision) or _check_ready(revision)
        configuration = revision["metadata"].get("labels", {}).get(labels.CONFIGURATION_LABEL, "")
    else:
        name = target.get("configurationName", "")
        parent = configurations.get(name)
        if parent is None:
            return _missing("Configuration", name)
        latest = (parent.get("status") or {}).get("latestReadyRevisionName")
        if not latest:
            return _no_ready_revision(parent)
        revision = revisions.get(latest)
        if revision is None:
            return _missing("Revision", latest)
        problem = _check_ready(revision)
        configuration = name
    if problem is not None:
        return problem
    return Target(
        tag=target.get("tag") or DEFAULT_TAG,
        revision=revision["metadata"]["name"],
        configuration=configuration,
        percent=target.get("percent") or 0,
        latest=bool(target.get("latestRevision", not target.get("revisionName"))),
    )


def arrange(targets: list[Target]) -> Traffic:
    """Grouped by host: every target serves the main one, a tagged one its own too."""
    flat: list[Target] = []
    by_tag: dict[str, list[Target]] = {}
    for target in targets:
        _merge(flat, target)
        by_tag.setdefault(DEFAULT_TAG, []).append(target)
        if target.tag:
            by_tag.setdefault(target.tag, []).append(target)
    return Traffic(tuple(flat), {tag: _consolidate(group) for tag, group in sorted(by_tag.items())})


def _merge(flat: list[Target], target: Target) -> None:
    """Entries that say the same are one, with the sum of their percents."""
    for index, other in enumerate(flat):
        if (other.tag, other.revision, other.latest) == (target.tag, target.revision, target.latest):
            flat[index] = replace(other, percent=other.percent + target.percent)
            return
    flat.append(target)


def _consolidate(targets: list[Target]) -> tuple[Target, ...]:
    """One entry per revision; a host with one revision sends everything there, whatever its percent."""
    by_revision: dict[str, Target] = {}
    for target in targets:
        before = by_revision.get(target.revision)
        merged = replace(before, percent=before.percent + target.percent) if before else target
        by_revision[target.revision] = merged
    if len(by_revision) == 1:
        return tuple(replace(target, percent=100) for target in by_revision.values())
    return tuple(by_revision.values())


def _missing(kind: str, name: str) -> TrafficProblem:
    return TrafficProblem(FALSE, f"{kind}Missing", f'{kind} "{name}" referenced in traffic not found.')


def _no_ready_revision(configuration: Json) -> TrafficProblem:
    name = configuration["metadata"]["name"]
    ready = find_condition(configuration)
    if ready is not None and ready["status"] == FALSE:
        return TrafficProblem(FALSE, "RevisionMissing", f'Configuration "{name}" does not have any ready Revision.')
    message = f'Configuration "{name}" is waiting for a Revision to become ready.'
    return TrafficProblem(UNKNOWN, "RevisionMissing", message)


def _check_ready(revision: Json) -> TrafficProblem | None:
    if is_current_and(revision, TRUE):
        return None
    name = revision["metadata"]["name"]
    ready = find_condition(revision)
    if ready is not None and ready["status"] == FALSE:
        return TrafficProblem(FALSE, "RevisionMissing", f'Revision "{name}" failed to become ready.')
    return TrafficProblem(UNKNOWN, "RevisionMissing", f'Revision "{name}" is not yet ready.')


def _check_owner(route: Json, revision: Json) -> TrafficProblem | None:
    """A Service's Route serves that Service's revisions only; a Route of its own serves any."""
    service = (route["metadata"].get("labels") or {}).get(labels.SERVICE_LABEL, "")
    name, owner = revision["metadata"]["name"], revision["metadata"].get("labels", {}).get(labels.SERVICE_LABEL, "")
    if not service or owner == service:
        return None
    if not owner:
        message = f'Revision "{name}" does not belong to Service "{service}".'
    else:
        message = f'Revision "{name}" belongs to Service "{owner}", not Service "{service}".'
    return TrafficProblem(FALSE, "RevisionNotOwned", message)
