r"""Paths into JSON as GJSON writes them (github.com/tidwall/gjson, SYNTAX.md): `components.0.tasks`. Pure.

Taken are keys with `*` and `?`, escapes by `\`, indices, `#` (how many; or of each), `#(key op value)` (the first
that), `#(…)#` (all that), and `|`, which goes on with what was found as a whole. Modifiers and multipaths are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

# The longer of two that begin alike stands first.
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": eq, "=": eq, "!=": ne, "!%": ne, "<=": le, ">=": ge, "<": lt, ">": gt, "%": eq,
}  # fmt: skip
_ESCAPES: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Query:
    """`path op value` for elements; without an operator: that the path leads somewhere."""

    path: Path | None
    operator: str
    value: str
    all: bool

    def matches(self, element: Any) -> bool:
        if self.path is None:
            found = element
        elif not isinstance(element, dict | list):
            return False
        else:
            try:
                found = look(element, self.path)
            except LookupError:
                return False
        return not self.operator or _compare(found, self.operator, self.value)


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a path: a key or an index, `#`, or a query. `piped`: a `|` stands before it."""

    key: re.Pattern[str] | None = None
    index: int | None = None
    query: Query | None = None
    piped: bool = False


Path = Sequence[Step]


def parse_path(text: str) -> Path:
    """ValueError says what is wrong."""
    if not text or text[0] in "@{[!" or re.search(r"[.|][@{\[!]", text):
        raise ValueError("must be a path of GJSON; modifiers (@…) and multipaths are not taken")
    return [_step(part, piped) for part, piped in _split(text)]


def look(value: Any, path: Path) -> Any:
    """What a path leads to. LookupError: to nothing."""
    for position, step in enumerate(path):
        if step.key is not None:
            value = _at(value, step)
            continue
        if not isinstance(value, list):
            raise LookupError
        rest = _until_pipe(path[position + 1 :])
        if step.query is not None and not step.query.all:
            value = _first(each for each in value if step.query.matches(each))
            continue
        chosen = value if step.query is None else [each for each in value if step.query.matches(each)]
        counted = step.query is None and not rest
        found = len(chosen) if counted else list(_each(chosen, rest))
        return look(found, path[position + 1 + len(rest) :])
    return value


def _at(value: Any, step: Step) -> Any:
    if isinstance(value, dict) and step.key is not None:
        return _first(inner for name, inner in value.items() if step.key.fullmatch(name))
    if isinstance(value, list) and step.index is not None:
        return value[step.index]
    raise LookupError


def _first(values: Iterable[Any]) -> Any:
    for value in values:
        return value
    raise LookupError


def _each(values: Iterable[Any], path: Path) -> Iterable[Any]:
    for value in values:
        try:
            yield look(value, path)
        except LookupError:
            continue


def _until_pipe(path: Path) -> Path:
    return path[: next((index for index, step in enumerate(path) if step.piped), len(path))]


def _split(text: str) -> Iterable[tuple[str, bool]]:
    """Parts between dots and pipes that no escape, quote or parenthesis holds."""
    part, piped, depth, quoted, escaped = "", False, 0, False, False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"' and depth:
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(letter, 0) if part.startswith("#") else 0
            if letter in ".|" and not depth:
                yield part, piped
                part, piped = "", letter == "|"
                continue
        part += letter
    if depth or quoted or escaped:
        raise ValueError("ends before what it began with: ( or a quote or an escape is open")
    yield part, piped


def _step(part: str, piped: bool) -> Step:
    if part == "#":
        return Step(piped=piped)
    if part.startswith("#("):
        inner, closed, after = part[2:].rpartition(")")
        if not closed or after not in ("", "#"):
            raise ValueError(f"has {part!r}, must be #(…) or #(…)#")
        return Step(query=_query(inner.strip(), after == "#"), piped=piped)
    index = int(part) if part.isascii() and part.isdigit() else None
    return Step(key=_pattern(part), index=index, piped=piped)


def _query(text: str, all_: bool) -> Query:
    path, operator, value = _at_operator(text)
    if operator and value.startswith('"') and value.endswith('"') and len(value) > 1:
        value = _ESCAPES.sub(r"\1", value[1:-1])
    return Query(parse_path(path) if path else None, operator, value, all_)


def _at_operator(text: str) -> tuple[str, str, str]:
    """Parted at the first operator that no parenthesis holds; without one, all of it is a path."""
    depth = 0
    for position, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        operator = next((each for each in _OPERATORS if text.startswith(each, position)), "")
        if operator and not depth:
            return text[:position].strip(), operator, text[position + len(operator) :].strip()
    return text, "", ""


def _compare(found: Any, operator: str, value: str) -> bool:
    """By the sort of what was found, as GJSON does: texts as texts, numbers as numbers, false before true."""
    if operator in ("%", "!%"):
        return isinstance(found, str) and (_pattern(value).fullmatch(found) is not None) == (operator == "%")
    if isinstance(found, bool):
        known = {"true": True, "false": False}.get(value)
        return operator == "!=" if known is None else _OPERATORS[operator](found, known)
    if isinstance(found, str):
        return _OPERATORS[operator](found, value)
    return isinstance(found, int | float) and _OPERATORS[operator](found, _float(value))


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _pattern(text: str) -> re.Pattern[str]:
    pattern, escaped = "", False
    for letter in text:
        if not escaped and letter == "\\":
            escaped = True
            continue
        wild = {"*": ".*", "?": "."}.get(letter) if not escaped else None
        pattern += wild or re.escape(letter)
        escaped = False
    return re.compile(pattern, re.DOTALL)
