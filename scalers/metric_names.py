"""The names of metrics, as upstream spells them (pkg/util/normalize_string.go). Pure."""

from __future__ import annotations

from typing import Final

_NORMAL: Final = str.maketrans({"/": "-", ".": "-", ":": "-", "%": "-", "(": None, ")": None})


def normalize(text: str) -> str:
    """A metric's name without what may not stand in one."""
    return text.translate(_NORMAL)
