"""The fork servers of the `python` runtime: at most so many, the least recently used go first.

A template is made ahead of need (`PythonRuntime.prepare`) or by the first start that wants it. One that cannot fork
says why and is remembered, so that the starts after it do not try again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from deploy.runtimes.spawning import Command, SpawnerLink, SpawnFailed, Template

_log = structlog.get_logger()

TEMPLATES_MAX = 32
WAIT_S = 10.0  # for an import; then a start goes its own way, and the template is there for later ones
FAILED_S = 60.0  # an import that raised may succeed later (a database was down, say)


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    template: Template | None = None
    why_not: str = ""
    until: float = 0.0  # of the loop's clock: when a failed import may be tried again


class Templates:
    """Keyed by everything that a template's memory depends on."""

    def __init__(self, link: SpawnerLink, most: int = TEMPLATES_MAX) -> None:
        self._link, self._most = link, most
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    async def ensure(self, key: str, command: Callable[[], Command]) -> Template | None:
        """The fork server, ready to fork, made by `command` where there is none; None where there can be none."""
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        await self._bound()
        now = asyncio.get_running_loop().time()
        async with entry.lock:
            if entry.template is not None and entry.template.has_ended and not entry.why_not:
                entry.template = None
            if entry.template is None and now >= entry.until:
                entry.why_not = ""
                try:
                    entry.template = await self._link.start_template(command())
                except SpawnFailed as error:
                    self._refuse(entry, error.message)
            if entry.template is None or entry.why_not:
                return None
            return await self._ready(entry, entry.template)

    def why_not(self, key: str) -> str:
        """Why this key's starts are not forked; "" while that is not known or not so."""
        entry = self._entries.get(key)
        return entry.why_not if entry is not None else ""

    async def retire(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None and entry.template is not None:
            await entry.template.retire()

    async def _bound(self) -> None:
        while len(self._entries) > self._most:
            key = next(iter(self._entries))
            _log.debug("retiring a template", key=key)
            await self.retire(key)

    async def _ready(self, entry: _Entry, template: Template) -> Template | None:
        try:
            async with asyncio.timeout(WAIT_S):
                why_not = await template.verdict()
        except TimeoutError:
            return None
        if why_not:
            self._refuse(entry, why_not)
            return None
        return template

    def _refuse(self, entry: _Entry, why: str) -> None:
        entry.template, entry.why_not = None, why
        entry.until = asyncio.get_running_loop().time() + FAILED_S
