"""What other people's libraries say in their exceptions, without the secrets that they were given. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"
# What stands between a scheme and a host, after a user's name.
_IN_URL: Final = re.compile(r"(?<=://)([^/@\s:]*):[^@\s]*@")


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Without these secrets, however a URL spells them, and without the password of any URL."""
    spellings = {spelled for secret in secrets for spelled in (secret, quote(secret, safe=""), quote_plus(secret))}
    for spelled in sorted(spellings, key=len, reverse=True):
        if spelled.strip():
            text = text.replace(spelled, MASK)
    return _IN_URL.sub(rf"\1:{MASK}@", text)


def in_one_line(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """An exception's own words, or its name where it has none."""
    words = " ".join(str(error).split()).rstrip(".")
    return mask(words, secrets) or type(error).__name__
