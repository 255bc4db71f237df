"""Libraries that come with an extra of this package, brought along when they are first used."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

from core.errors import PermanentError


async def load_client(module: str, what: str, extra: str) -> Any:
    """The library, imported in a thread: some take a good part of a second. PermanentError: it is not installed; `what`
    is the server as people call it, `extra` what brings the library."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        return loaded
    try:
        return await asyncio.to_thread(import_module, module)
    except ModuleNotFoundError as error:
        raise PermanentError(
            f"the client for {what} is not installed ({error.name}): pip install 'pilotlight[{extra}]'", "ClientMissing"
        ) from error
