"""`$(VAR)` in commands and environments, as Kubernetes expands it (third_party/forked/golang/expansion). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_REFERENCE: Final = re.compile(r"\$(?:\$|\(([^()]*)\))")


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable where there is one and stays where not; `$$` is a dollar."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return env.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def references(text: str) -> set[str]:
    """The variables that a text refers to."""
    return {match[1] for match in _REFERENCE.finditer(text) if match[0] != "$$"}
