"""Whether a text can name an image, as leniently as Knative asks (go-containerregistry's WeakValidation). Pure.

Two letters are the least that library takes for a repository; Docker takes one, and so do we.
"""

from __future__ import annotations

import re

_REPOSITORY = re.compile(r"[a-z0-9_./-]{1,255}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_REGISTRY = re.compile(r"([A-Za-z0-9_.~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(:\d*)?", re.ASCII)


def is_image_reference(text: str) -> bool:
    """`[registry/]repository[:tag][@sha256:…]`."""
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return False
    base, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        base, tag = name, ""
    if tag and not _TAG.fullmatch(tag):
        return False
    registry, slash, repository = base.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, repository = "", base
    return bool(_REPOSITORY.fullmatch(repository) and _REGISTRY.fullmatch(registry))
