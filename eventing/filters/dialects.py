"""A Trigger's `filter` and `filters` into one compiled filter, or all that is wrong with them. Pure.

`filters` counts if it is not empty, else `filter.attributes`; without either every event passes. A filter that does not
compile is never half a filter: whoever asked gets errors and delivers nothing. That holds as well for CESQL that can be
seen never to pass, because it calls a function that there is not or can give no Boolean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.errors import FieldError
from core.resources.problems import invalid, required
from eventing.filters import clauses
from eventing.filters.cesql.casts import Type
from eventing.filters.cesql.errors import ParseError
from eventing.filters.cesql.expression import Expression, parse
from eventing.filters.clauses import Filter

DIALECTS: Final = ("exact", "prefix", "suffix", "all", "any", "not", "cesql")
NESTING_MAX: Final = 32

_NAME: Final = re.compile(r"[a-z0-9]+")
_OF_TEXTS: Final = {"exact": clauses.exact, "prefix": clauses.prefix, "suffix": clauses.suffix}

Compiled = Filter | list[FieldError]


def compile_filters(spec: Mapping[str, Any], path: str = "spec") -> Compiled:
    """What `filters` and `filter` of a Trigger's spec (or of anything shaped so) mean; errors, with paths, if nothing.

    The errors of CESQL carry in `detail` the expression's line and a caret below the place.
    """
    filters = spec.get("filters")
    if filters:
        return _gathered(filters, f"{path}.filters", clauses.every, 0)
    attributes = (spec.get("filter") or {}).get("attributes")
    if not attributes:
        return clauses.everything()
    where = f"{path}.filter.attributes"
    return _check_texts(attributes, where, empty_allowed=True) or clauses.legacy(where, attributes)


def cesql_filter(text: str, path: str) -> Compiled:
    """One CESQL expression as a filter, as `filters[].cesql` has it; also what a command's `--filter` is."""
    parsed = parse(text)
    if isinstance(parsed, ParseError):
        where = f"line {parsed.line}, column {parsed.column}" if "\n" in text else f"column {parsed.column}"
        return [FieldError(path, f"Invalid value: {parsed.message} ({where})", detail=parsed.mark)]
    return _never_passing(parsed, path) or clauses.cesql(path, parsed)


def cesql_hints(spec: Mapping[str, Any], path: str = "spec") -> list[str]:
    """What is well-formed but likely meant otherwise: chains of AND and OR without parentheses."""
    return list(_hints(spec.get("filters") or [], f"{path}.filters"))


def _filter(entry: Any, path: str, depth: int) -> Compiled:
    """One entry of a list of filters: a map with one dialect."""
    if depth > NESTING_MAX:
        return [invalid(path, "", f"filters are nested more than {NESTING_MAX} levels deep")]
    if not isinstance(entry, Mapping):
        return [invalid(path, entry, f"must be a map with one of {', '.join(DIALECTS)}")]
    names = [name for name, value in entry.items() if value not in (None, {}, [], "")]
    if unknown := [name for name in entry if name not in DIALECTS]:
        return [invalid(f"{path}.{unknown[0]}", unknown[0], f"no such dialect; there are {', '.join(DIALECTS)}")]
    if not names:
        return [required(path, f"one of {', '.join(DIALECTS)}, and not empty")]
    if len(names) > 1:
        return [invalid(path, sorted(names), "one dialect per entry; combine with all or any")]
    name = names[0]
    return _dialect(name, entry[name], f"{path}.{name}", depth)


def _dialect(name: str, value: Any, path: str, depth: int) -> Compiled:
    if name == "all":
        return _gathered(value, path, clauses.every, depth + 1)
    if name == "any":
        return _gathered(value, path, lambda filters: clauses.some(path, filters), depth + 1)
    if name == "not":
        inner = _filter(value, path, depth + 1)
        return clauses.negated(path, inner) if isinstance(inner, Filter) else inner
    if name == "cesql":
        if not isinstance(value, str):
            return [invalid(path, value, "must be a string")]
        return cesql_filter(value, path)
    return _check_texts(value, path, empty_allowed=False) or _OF_TEXTS[name](path, value)


def _gathered(entries: Any, path: str, combine: Callable[[list[Filter]], Filter], depth: int) -> Compiled:
    if not isinstance(entries, list):
        return [invalid(path, entries, "must be a list of filters")]
    filters: list[Filter] = []
    errors: list[FieldError] = []
    for index, entry in enumerate(entries):
        compiled = _filter(entry, f"{path}[{index}]", depth)
        if isinstance(compiled, Filter):
            filters.append(compiled)
        else:
            errors += compiled
    return errors or combine(filters)


def _check_texts(texts: Any, path: str, empty_allowed: bool) -> list[FieldError]:
    if not isinstance(texts, Mapping):
        return [invalid(path, texts, "must be a map of attribute names to text")]
    errors: list[FieldError] = []
    for name, text in texts.items():
        where = f"{path}[{name}]"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            errors.append(invalid(where, name, "attribute names consist of lower-case letters and digits"))
        elif not isinstance(text, str):
            errors.append(invalid(where, text, "must be a string: quote it"))
        elif not text and not empty_allowed:
            errors.append(required(where, "text to compare with (CESQL has EXISTS for any value)"))
    return errors


def _never_passing(expression: Expression, path: str) -> list[FieldError]:
    for call in expression.unknown_calls():
        count = len(call.arguments)
        message = f"there is no function {call.function} of {count} argument{'' if count == 1 else 's'}"
        marked = ParseError(message, expression.text, call.span[0])
        return [FieldError(path, f"Invalid value: {message} (column {marked.column})", detail=marked.mark)]
    if expression.type not in (Type.BOOLEAN, Type.ANY):
        return [
            invalid(path, expression.text, f"gives a value of type {expression.type}: a filter must give a Boolean")
        ]
    return []


def _hints(entry: Any, path: str) -> list[str]:
    if isinstance(entry, list):
        return [hint for index, each in enumerate(entry) for hint in _hints(each, f"{path}[{index}]")]
    if not isinstance(entry, Mapping):
        return []
    hints = [hint for name in ("all", "any", "not") for hint in _hints(entry.get(name), f"{path}.{name}")]
    parsed = parse(entry["cesql"]) if isinstance(entry.get("cesql"), str) else None
    if isinstance(parsed, Expression) and (reading := parsed.mixed_logic()):
        hints.append(
            f"{path}.cesql: AND, OR and XOR have one precedence and group to the right: this is read as {reading}"
        )
    return hints
