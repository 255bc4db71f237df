"""No secret in a sentence: what a source's client says is shown to people, in conditions, events and logs. Pure.

Scalers translate and mask what they raise; this is the last door before it is told.
"""

from __future__ import annotations

import re
from typing import Final

from scalers.params import FROM_ENV
from scalers.readings import Trigger

CHARS_MAX: Final = 300
_SHORTEST: Final = 4
"""Shorter values stand in many a sentence by chance."""
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")


def masked(text: str, trigger: Trigger) -> str:
    """Without the values that its authentication and its container's environment gave, nor credentials in URLs."""
    text = _CREDENTIALS.sub("***@", text)
    values = [*trigger.auth.values()]
    values += [
        trigger.env[variable]
        for name, variable in trigger.metadata.items()
        if name.endswith(FROM_ENV) and variable in trigger.env
    ]
    for value in sorted(set(values), key=len, reverse=True):
        for line in (value, value.strip()):
            if len(line) >= _SHORTEST:
                text = text.replace(line, "***")
    return text if len(text) <= CHARS_MAX else f"{text[: CHARS_MAX - 1]}…"
