"""What every controller here is given."""

from __future__ import annotations

from dataclasses import dataclass

from core.reconcile.events import Recorder
from core.reconcile.objects import Objects
from core.resources.hosts import Hosts
from core.stats import StatisticBus
from deploy.controllers.config import LiveSettings
from deploy.images import Images


@dataclass(frozen=True, slots=True)
class World(Objects):
    """Made once by the roof."""

    recorder: Recorder
    settings: LiveSettings
    hosts: Hosts
    images: Images
    statistics: StatisticBus
