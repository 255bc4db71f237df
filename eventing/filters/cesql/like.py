r"""LIKE patterns (3.4.3) as tests of a text: `%` is any characters, `_` one, `\%` and `\_` themselves. Pure.

A pattern is cut at its `%` into segments. The first is tried at the start, the last at the end, and each between them
where it comes first; that is enough, so that no pattern of anybody's can make a test go back and forth for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

Segment: TypeAlias = tuple[str | None, ...]
"""Characters; None is any one."""

_PIECE: Final = re.compile(r"\\[%_]|.", re.DOTALL)


def segments_of(pattern: str) -> tuple[Segment, ...]:
    """What stands between the `%` of a pattern: one segment where there is none."""
    segments: list[list[str | None]] = [[]]
    for piece in _PIECE.findall(pattern):
        if piece == "%":
            segments.append([])
        else:
            segments[-1].append(None if piece == "_" else piece[-1])
    return tuple(tuple(segment) for segment in segments)


def compile_like(pattern: str) -> Callable[[str], bool]:
    """Whether a text matches the pattern, whole."""
    segments = segments_of(pattern)
    texts = [text_of_segment(segment) for segment in segments]
    if None in texts:
        return _general(segments)
    match [text or "" for text in texts]:
        case [whole]:
            return lambda value: value == whole
        case ["", ""]:
            return lambda value: True
        case [head, ""]:
            return lambda value: value.startswith(head)
        case ["", tail]:
            return lambda value: value.endswith(tail)
        case ["", middle, ""]:
            return lambda value: middle in value
        case [head, tail]:
            least = len(head) + len(tail)
            return lambda value: len(value) >= least and value.startswith(head) and value.endswith(tail)
    return _general(segments)


def text_of_segment(segment: Segment) -> str | None:
    """The only text that the segment matches; None where `_` allows many."""
    characters = [character for character in segment if character is not None]
    return "".join(characters) if len(characters) == len(segment) else None


def _general(segments: tuple[Segment, ...]) -> Callable[[str], bool]:
    expressions = [_expression(segment) for segment in segments]
    if len(segments) == 1:
        only = expressions[0]
        return lambda value: only.fullmatch(value) is not None
    head, *middle, tail = expressions
    length_of_head, length_of_tail = len(segments[0]), len(segments[-1])

    def matches(value: str) -> bool:
        at, end = length_of_head, len(value) - length_of_tail
        if end < at or not head.match(value) or not tail.match(value, end):
            return False
        for expression in middle:
            found = expression.search(value, at, end)
            if found is None:
                return False
            at = found.end()
        return True

    return matches


def _expression(segment: Segment) -> re.Pattern[str]:
    return re.compile("".join("." if char is None else re.escape(char) for char in segment), re.DOTALL)


def start_of(segment: Segment) -> str:
    """The characters that every match of the segment begins with: those before the first `_`."""
    known: list[str] = []
    for character in segment:
        if character is None:
            break
        known.append(character)
    return "".join(known)
