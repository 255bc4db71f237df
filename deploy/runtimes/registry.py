"""All runtimes by the name that `runtimeClassName` gives them: a literal table, loaded on use. The roof reads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.clock import Clock
from deploy.runtimes.base import Runtime
from deploy.runtimes.ports import Ports
from deploy.runtimes.spawning import SpawnerLink


@dataclass(frozen=True, slots=True)
class Machine:
    """What runtimes share on one machine."""

    platform: str  # unique per data folder: leftovers are known by it
    data_dir: Path
    link: SpawnerLink
    ports: Ports
    clock: Clock


def _process(machine: Machine) -> Runtime:
    from deploy.runtimes.process import ProcessRuntime

    return ProcessRuntime(machine.link, machine.ports)


def _python(machine: Machine) -> Runtime:
    from deploy.runtimes.python import PythonRuntime, PythonSettings

    return PythonRuntime(machine.link, machine.ports, PythonSettings(machine.data_dir), machine.clock)


def _container(machine: Machine) -> Runtime:
    from core.clients.engine import Engine
    from deploy.runtimes.container import ContainerRuntime

    folder = machine.data_dir / "containers"
    return ContainerRuntime(machine.platform, Engine(os.environ), folder, machine.ports, machine.clock)


RUNTIMES: Final[Mapping[str, Callable[[Machine], Runtime]]] = {
    "process": _process,  # first: it runs the spawner that `python` uses as well
    "python": _python,
    "container": _container,
}
