"""The table and the folder name the same sources (eventing/sources/registry.py, eventing/sources/base.py)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from eventing.sources.registry import SOURCES
from tests.support.eventing import eventing

FOLDER = Path(__file__).parents[3] / "eventing/sources"
SHARED = {"__init__", "base", "registry"}


def test_every_source_of_the_folder_is_in_the_table(tmp_path: Path) -> None:
    assert set(SOURCES) == {path.stem for path in FOLDER.glob("*.py")} - SHARED

    async def main() -> None:
        async with eventing(tmp_path) as under:
            names = [(await plugin.load(under.world)).controller().name for plugin in SOURCES.values()]
            assert names == [plugin.kind.kind.lower() for plugin in SOURCES.values()]

    asyncio.run(main())
