"""The table and the folder name the same runtimes."""

from __future__ import annotations

import ast
from pathlib import Path

from core.clock import SystemClock
from deploy.runtimes.ports import Ports
from deploy.runtimes.registry import RUNTIMES, Machine
from deploy.runtimes.spawning import SpawnerLink

FOLDER = Path(__file__).parents[3] / "deploy/runtimes"


def test_every_runtime_of_the_folder_is_in_the_table(tmp_path: Path) -> None:
    """A runtime is a class that says `name = "…"`."""
    found = {
        node.value.value
        for path in FOLDER.glob("*.py")
        for each in ast.parse(path.read_text()).body
        if isinstance(each, ast.ClassDef) and each.name.endswith("Runtime")
        for node in each.body
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "name"
        and isinstance(node.value, ast.Constant)
    }
    assert found == set(RUNTIMES)
    machine = Machine("test", tmp_path, SpawnerLink("test", tmp_path / "hosts"), Ports(), SystemClock())
    assert {name: make(machine).name for name, make in RUNTIMES.items()} == {name: name for name in RUNTIMES}
    assert not list(tmp_path.iterdir()), "constructed without touching the machine"
