"""The part of Go's text/template that name templates use: `{{.Name}}`, `{{.Labels.x}}`, `{{index .Labels "x"}}`.

`domain-template`, `tag-template` and the container name templates are written in it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_ACTION: Final = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_FIELD: Final = re.compile(r"\.([A-Za-z]\w*)(?:\.([A-Za-z_]\w*))?")
_INDEX: Final = re.compile(r'index\s+\.([A-Za-z]\w*)\s+"([^"]*)"')

Values = Mapping[str, str | Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    key: str | None


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """A parsed template. `text` is what the user wrote."""

    text: str
    parts: tuple[str | _Field, ...]

    def render(self, values: Values) -> str:
        """The text with every field filled in; a missing map key is empty, as in Go."""
        return "".join(part if isinstance(part, str) else _value(part, values) for part in self.parts)


def parse_template(text: str, fields: Mapping[str, bool]) -> NameTemplate:
    """`fields` says which names exist and which of them are maps. ValueError for anything outside the subset."""
    parts: list[str | _Field] = []
    position = 0
    trim_next = False
    for action in _ACTION.finditer(text):
        literal = text[position : action.start()]
        literal = literal.lstrip() if trim_next else literal
        parts.append(literal.rstrip() if action.group(1) else literal)
        parts.append(_parse_action(action.group(2).strip(), fields))
        trim_next = bool(action.group(3))
        position = action.end()
    tail = text[position:]
    if "{{" in tail:
        raise ValueError("has an unclosed action: '{{' without '}}'")
    parts.append(tail.lstrip() if trim_next else tail)
    return NameTemplate(text, tuple(part for part in parts if part != ""))


def _parse_action(action: str, fields: Mapping[str, bool]) -> _Field:
    match = _FIELD.fullmatch(action) or _INDEX.fullmatch(action)
    if match is None:
        raise ValueError(f"has {{{{{action}}}}}, but only fields and index are understood here, such as {{{{.Name}}}}")
    name, key = match.group(1), match.group(2)
    if name not in fields:
        raise ValueError(f"has {{{{{action}}}}}, but the fields are {', '.join(fields)}")
    if fields[name] != (key is not None):
        raise ValueError(f"has {{{{{action}}}}}, but {name} is {'a map' if fields[name] else 'not a map'}")
    return _Field(name, key)


def _value(part: _Field, values: Values) -> str:
    value = values.get(part.name, "")
    if isinstance(value, str):
        return value
    return value.get(part.key or "", "")
