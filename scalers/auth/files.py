"""Parameters from files, below the one folder from which they may be read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import orjson

from core.errors import PermanentError
from scalers.auth.lookup import text_of

ROOT_VARIABLE: Final = "PILOTLIGHT_AUTH_FILES"
BYTES_MAX: Final = 1024 * 1024  # as much as a Secret may hold


async def read_parameters(root: Path | None, path: str, asked_by: str) -> dict[str, str]:
    """A file that holds a JSON object of texts. PermanentError names the file, never what is in it."""
    text = await read_file(root, path, asked_by)
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise PermanentError(
            f"{asked_by} names the file {path!r}, which must hold a JSON object whose values are texts", "FileInvalid"
        )
    return found


async def read_file(root: Path | None, path: str, asked_by: str) -> str:
    """All of a file below the root. PermanentError, as above."""
    if root is None:
        raise PermanentError(
            f"{asked_by} names the file {path!r}, but no folder is allowed for such files: start Pilotlight with "
            f"{ROOT_VARIABLE}=FOLDER",
            "FilesNotAllowed",
        )
    return await asyncio.to_thread(_read, root, path, asked_by)


def _read(root: Path, path: str, asked_by: str) -> str:
    if Path(path).is_absolute() or ".." in path:
        raise PermanentError(f"{asked_by} is {path!r}, must be relative to {root} and without '..'", "FileRefused")
    try:
        whole = (root / path).resolve()
        if not whole.is_relative_to(root.resolve()):  # by a link
            raise PermanentError(f"{asked_by} is {path!r}, which leads out of {root}", "FileRefused")
        with whole.open("rb") as file:
            text = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise PermanentError(f"{asked_by} names the file {root / path}: {error.strerror}", "FileNotRead") from None
    if len(text) > BYTES_MAX:
        raise PermanentError(f"{asked_by} names the file {root / path}, which has more than 1 MiB", "FileInvalid")
    return text_of(text, f"the file {root / path}", asked_by)
