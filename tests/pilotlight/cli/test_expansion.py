"""Options that several commands share reach the one parameter that asked for them."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import typer

from pilotlight.cli.expansion import expand, option
from pilotlight.cli.waiting import Waiting, with_waiting


def run(command: Any, *arguments: str) -> None:
    app = typer.Typer()
    app.command("do")(command)
    app.command("other")(lambda: None)
    app(["do", *arguments], standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "waiting"),
    [
        ((), Waiting(True, 600.0, 2.0)),
        (("--no-wait",), Waiting(False, 600.0, 2.0)),
        (("--async",), Waiting(False, 600.0, 2.0)),
        (("--wait-timeout", "5", "--wait-window", "0.5"), Waiting(True, 5.0, 0.5)),
    ],
)
def test_how_a_command_waits(arguments: tuple[str, ...], waiting: Waiting) -> None:
    got: list[object] = []

    @with_waiting
    def command(name: str, *, waiting: Waiting) -> None:
        got.extend((name, waiting))

    run(command, "hello", *arguments)
    assert got == ["hello", waiting]


def test_two_expansions_of_one_command() -> None:
    got: dict[str, Any] = {}

    def command(*, first: int, second: list[str]) -> None:
        got.update(first=first, second=second)

    one = option("number", Annotated[int, typer.Option("--number")], 1)
    other = option("word", Annotated[str, typer.Option("--word")], "x")
    both = expand(command, "first", [one], lambda given: given["number"] * 2)
    both = expand(both, "second", [other], lambda given: list(given["word"]))
    run(both, "--number", "4", "--word", "ab")
    assert got == {"first": 8, "second": ["a", "b"]}
