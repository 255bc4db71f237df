"""The half of the house that scales by triggers: what scalers share, and the loops that ask them. Nothing runs yet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autoscaler.jobs.controller import ScaledJobs
from autoscaler.triggers.authentication_events import AuthenticationEvents
from autoscaler.triggers.authentication_users import AuthenticationUsers
from autoscaler.triggers.controller import ScaledObjects
from autoscaler.triggers.loop import Floor
from core.clock import Clock
from core.stats import Backlogs, StatisticBus, Usage
from core.store.base import Store
from core.tasks import Service
from scalers.auth.files import ROOT_VARIABLE
from scalers.base import KEDA_NAMESPACE, World
from scalers.pools import Pools

AUTH_NAMESPACE: Final = "KEDA_CLUSTER_OBJECT_NAMESPACE"
"""The variable that names the namespace of a ClusterTriggerAuthentication's Secrets, as KEDA's operator has it."""


@dataclass(frozen=True, slots=True)
class ScalingWing:
    """`controllers` run beside those of the house."""

    world: World
    objects: ScaledObjects
    jobs: ScaledJobs
    users: AuthenticationUsers
    authentications: AuthenticationEvents

    @property
    def controllers(self) -> Sequence[tuple[str, Service]]:
        return (
            ("scaledobjects", self.objects.run),
            ("scaledjobs", self.jobs.run),
            ("authentication-users", self.users.run),
            ("authentication-events", self.authentications.run),
        )


def auth_places() -> dict[str, Any]:
    """Where authentications of the cluster have their Secrets and files, as the environment says: fields of a World."""
    files = os.environ.get(ROOT_VARIABLE)
    return {
        "auth_namespace": os.environ.get(AUTH_NAMESPACE) or KEDA_NAMESPACE,
        "auth_files": Path(files) if files else None,
    }


def make_scaling(
    store: Store, clock: Clock, statistics: StatisticBus, usage: Usage, backlogs: Backlogs, floor: Floor
) -> ScalingWing:
    """`floor` is where the loop of requests hears how many a revision has at least."""
    world = World(clock, store, statistics, Pools(), usage, backlogs, **auth_places())
    users, events = AuthenticationUsers(store, clock), AuthenticationEvents(store, clock)
    return ScalingWing(world, ScaledObjects(world, floor), ScaledJobs(world), users, events)
