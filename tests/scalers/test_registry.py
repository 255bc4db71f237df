from __future__ import annotations

import ast
from pathlib import Path

import pytest

import scalers
from core.errors import PermanentError
from scalers.params import Parameters, declared_parameters
from scalers.registry import SCALERS, definition_of

FOLDER = Path(scalers.__file__).parent


def test_the_table_names_every_scaler_of_the_folder() -> None:
    offering = {path.stem for path in FOLDER.glob("*.py") if _offers(path)}
    assert offering == {module.removeprefix("scalers.") for module in SCALERS.values()}


def _offers(path: Path) -> bool:
    names = {
        target.id
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    return bool({"DEFINITION", "DEFINITIONS"} & names)


@pytest.mark.parametrize("name", SCALERS)
def test_every_scaler_says_what_it_takes(name: str) -> None:
    definition = definition_of(name)
    assert issubclass(definition.parameters, Parameters)
    assert definition.summary.endswith(".")
    for each in declared_parameters(definition.parameters).values():
        assert each.help.endswith("."), each.name


def test_an_unknown_type_is_told_which_there_are() -> None:
    with pytest.raises(PermanentError, match=r"'kafkaa' is not known; known are .*cron"):
        definition_of("kafkaa")
