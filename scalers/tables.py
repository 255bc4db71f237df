"""A scaler's parameters as rows for people: `scaler list` and docs/keda.md come from the declarations. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Any, Final

from core.settings.declaration import Choice
from scalers.base import AnyDefinition
from scalers.params import Parameter, Parameters, Source, declared_parameters

_PLACES: Final = {Source.METADATA: "metadata", Source.AUTH: "authentication", Source.ENV: "…FromEnv"}


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter. `default` is empty where it is required, or absent by default."""

    name: str
    places: tuple[str, ...]  # where it may come from, in the order in which they are looked at
    default: str
    required: bool
    help: str
    allowed: tuple[str, ...]  # the words of a closed set
    aliases: tuple[str, ...]
    secret: bool
    differs: str


def rows_of(parameters: type[Parameters]) -> list[Row]:
    """In the order of their declaration."""
    defaults = {each.name: each.default for each in fields(parameters)}
    return [_row(declared, defaults[name]) for name, declared in declared_parameters(parameters).items()]


def markdown(definitions: Mapping[str, AnyDefinition]) -> str:
    """All of them, a table for each set of parameters; types that share one stand together."""
    groups: dict[type[Parameters], list[str]] = {}
    for type_, definition in definitions.items():
        groups.setdefault(definition.parameters, []).append(type_)
    return "\n".join(_section(types, definitions[types[0]]) for types in groups.values())


def _section(types: Iterable[str], definition: AnyDefinition) -> str:
    rows = [
        f"#### {', '.join(types)}",
        "",
        "| parameter | from | default | what it says | |",
        "| --- | --- | --- | --- | --- |",
        *(_line(row) for row in rows_of(definition.parameters)),
    ]
    if definition.parameters.open:
        rows.append("| any other | metadata | | Handed on. | works |")
    return "\n".join([*rows, ""])


def _line(row: Row) -> str:
    older = f" (older: {', '.join(f'`{each}`' for each in row.aliases)})" if row.aliases else ""
    words = f" One of {', '.join(f'`{each}`' for each in row.allowed)}." if row.allowed else ""
    status = f"differs: {row.differs}" if row.differs else "works"
    default = "required" if row.required else f"`{row.default}`" if row.default else ""
    cells = (f"`{row.name}`{older}", ", ".join(row.places), default, f"{row.help}{words}", status)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _row(declared: Parameter, default: Any) -> Row:
    return Row(
        name=declared.name,
        places=tuple(_PLACES[source] for source in declared.sources),
        default="" if declared.required or default in (None, MISSING) else _text(default),
        required=declared.required,
        help=declared.help,
        allowed=declared.reader.words if isinstance(declared.reader, Choice) else (),
        aliases=declared.aliases,
        secret=declared.secret,
        differs=declared.differs,
    )


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Enum():
            return str(value.value)
        case float():
            return f"{value:g}"
        case tuple() | list() | frozenset():
            return ",".join(map(_text, value))
    return str(value)
