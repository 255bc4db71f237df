"""One parameter of a command function as several options of its command line.

Typer reads a function's signature. Options that several commands share are declared once, and a function that wants
them names one parameter, which gets all that was typed as one value.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Command = Callable[..., None]


def expand(
    command: Command, name: str, options: Sequence[inspect.Parameter], gather: Callable[[Mapping[str, Any]], Any]
) -> Command:
    """The command with `options` in place of its parameter `name`, which is given what `gather` makes of them."""
    declared = inspect.signature(command, eval_str=True).parameters.values()
    own = [parameter for parameter in declared if parameter.name != name]
    names = {option.name for option in options}

    @functools.wraps(command)
    def expanded(*args: Any, **given: Any) -> None:
        typed = {option: given.pop(option) for option in names & given.keys()}
        command(*args, **given, **{name: gather(typed)})

    parameters = [*own, *(option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options)]
    parameters.sort(key=lambda parameter: parameter.kind)
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded


def option(name: str, type: Any, default: Any) -> inspect.Parameter:
    """One of them; `type` is annotated with its `typer.Option`."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=type)
