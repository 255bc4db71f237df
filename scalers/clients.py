"""Client libraries are extras: loaded where a trigger first needs one, beside the event loop."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from core.errors import PermanentError


async def load_client(module: str, extra: str) -> Any:
    """A module of `core.clients`. PermanentError with what to install, where its library is missing."""
    try:
        return await asyncio.to_thread(importlib.import_module, module)
    except ModuleNotFoundError as error:
        raise PermanentError(
            f"needs the Python library {error.name}, which is not installed: pip install 'pilotlight[{extra}]'",
            "ClientMissing",
        ) from None
