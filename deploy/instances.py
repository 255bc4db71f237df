"""A Deployment's replicas against the Pods there are: which to start, stop, freeze and thaw. Pure.

`deploy/controllers/deployment` carries the plan out. The bounds are those of Kubernetes' Deployment controller, whose
ReplicaSets are template hashes here (pkg/controller/deployment/rolling.go); the order of scale-in is ours, because
here it is known exactly how busy each instance is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instance:
    """One Pod of the Deployment. One that is on its way out, or has ended, is not in the list but in `leaving`."""

    name: str
    template: str
    created: float  # epoch seconds; ties are broken by name
    ready: bool = False
    paused: bool = False
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the Deployment asks for. `max_surge` and `max_unavailable` are counts, already rounded."""

    replicas: int
    template: str
    max_surge: int = 1
    max_unavailable: int = 0
    recreate: bool = False
    keep_paused: bool = False  # at zero, one instance is frozen and kept


@dataclass(frozen=True, slots=True)
class InstancePlan:
    """Names, but for `start`: so many new ones of the wanted template."""

    start: int = 0
    stop: tuple[str, ...] = ()
    pause: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()


def plan_instances(wanted: Wanted, instances: Sequence[Instance], leaving: int = 0) -> InstancePlan:
    """`leaving`: how many have been told to go and are not gone; only a Recreate waits for them."""
    awake = [each for each in instances if not each.paused]
    current = [each for each in awake if each.template == wanted.template]
    old = [each for each in awake if each.template != wanted.template]
    stale = [each for each in instances if each.paused and each.template != wanted.template]
    frozen = _newest_first(each for each in instances if each.paused and each.template == wanted.template)

    missing = max(0, wanted.replicas - len(current))
    resumed, frozen = frozen[:missing], frozen[missing:]
    victims = choose_victims(current, max(0, len(current) - wanted.replicas))
    paused: list[Instance] = []
    if wanted.keep_paused and wanted.replicas == 0:
        if frozen:
            frozen = frozen[1:]
        else:
            paused = _newest_first(each for each in victims if each.ready)[:1]
    stopped = [each for each in (*victims, *frozen, *stale, *_retired(wanted, current, old)) if each not in paused]
    return InstancePlan(
        start=max(0, min(missing - len(resumed), _room(wanted, len(current) + len(resumed), len(old), leaving))),
        stop=_names(stopped),
        pause=_names(paused),
        resume=_names(resumed),
    )


def choose_victims(instances: Sequence[Instance], count: int) -> list[Instance]:
    """Whom to stop: who is not ready, then who is idle, then who is least busy; of equals the newest."""
    return sorted(_newest_first(instances), key=lambda each: (each.ready, each.in_flight))[:count]


def _room(wanted: Wanted, current: int, old: int, leaving: int) -> int:
    """How many may be started beside those of earlier templates."""
    if wanted.recreate:
        return 0 if old or leaving else wanted.replicas
    return wanted.replicas + wanted.max_surge - current - old if old else wanted.replicas


def _retired(wanted: Wanted, current: Sequence[Instance], old: Sequence[Instance]) -> list[Instance]:
    """The instances of earlier templates that may go now: `replicas` less `max_unavailable` stay ready."""
    if wanted.recreate or wanted.replicas == 0:
        return list(old)
    least = wanted.replicas - wanted.max_unavailable
    not_yet = sum(not each.ready for each in current)
    most = max(0, len(current) + len(old) - least - not_yet)  # an outage of the old ones must not end all of them
    ready = [each for each in old if each.ready]
    spare = max(0, sum(each.ready for each in current) + len(ready) - least)
    return [*(each for each in old if not each.ready), *choose_victims(ready, spare)][:most]


def _newest_first(instances: Iterable[Instance]) -> list[Instance]:
    return sorted(instances, key=lambda each: (each.created, each.name), reverse=True)


def _names(instances: Iterable[Instance]) -> tuple[str, ...]:
    return tuple(each.name for each in instances)
