"""How a child's name is made from its parent's (knative.dev/pkg/kmeta.ChildName). Pure."""

from __future__ import annotations

import hashlib

LABEL_CHARS_MAX = 63
_HASH_CHARS = 32
_HEAD_CHARS = LABEL_CHARS_MAX - _HASH_CHARS


def child_name(parent: str, suffix: str) -> str:
    """`parent + suffix` within 63 characters.

    Too long a parent is cut and its MD5 put in; where the suffix leaves no room for that, all of it is hashed.
    """
    if len(parent) + len(suffix) <= LABEL_CHARS_MAX:
        return parent + suffix
    if len(suffix) < _HEAD_CHARS:
        return f"{parent[: _HEAD_CHARS - len(suffix)]}{_md5(parent)}{suffix}"
    name = f"{parent[:_HEAD_CHARS]}{_md5(parent + suffix)}"
    return (name + suffix[: LABEL_CHARS_MAX - len(name)]).rstrip("-._")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
