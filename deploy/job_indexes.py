"""Numbers of an Indexed Job as its status writes them: `1,3-5,7`. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def read_indexes(text: str) -> set[int]:
    """What the platform wrote itself."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def write_indexes(indexes: Iterable[int]) -> str:
    """Two in a row are told one by one, as upstream does."""
    parts: list[str] = []
    ordered = sorted(indexes)
    at = 0
    while at < len(ordered):
        end = at
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        first, last = ordered[at], ordered[end]
        parts.append(str(first) if end == at else f"{first},{last}" if end == at + 1 else f"{first}-{last}")
        at = end + 1
    return ",".join(parts)
