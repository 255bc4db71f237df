"""Fields that a JSON document gives twice. The parser that the verbs use keeps the last one and says nothing.

The verbs ask only where the client wants strict or warning field validation; the answer joins what admission finds.
"""

from __future__ import annotations

import json
from typing import Any


def duplicate_fields(body: bytes) -> list[str]:
    """The paths of all repeated fields, as `spec.template.metadata`; none where the body is no JSON."""
    repeated: dict[int, list[str]] = {}
    kept: list[Any] = []  # keeps every object of `repeated` alive, so that its id stays its own

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            repeated[id(found)] = sorted({name for name in names if names.count(name) > 1})
            kept.append(found)
        return found

    try:
        document = json.loads(body, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return []
    return _paths(document, "", repeated) if repeated else []


def _paths(value: Any, path: str, repeated: dict[int, list[str]]) -> list[str]:
    if isinstance(value, list):
        return [found for i, item in enumerate(value) for found in _paths(item, f"{path}[{i}]", repeated)]
    if not isinstance(value, dict):
        return []
    prefix = f"{path}." if path else ""
    found = [f"{prefix}{name}" for name in repeated.get(id(value), ())]
    for name, item in value.items():
        found += _paths(item, f"{prefix}{name}", repeated)
    return found
