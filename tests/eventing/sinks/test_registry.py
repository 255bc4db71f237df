"""The table and the folder name the same sinks (eventing/sinks/registry.py, eventing/sinks/base.py)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from eventing.sinks.registry import SINKS
from tests.support.eventing import eventing

FOLDER = Path(__file__).parents[3] / "eventing/sinks"
SHARED = {"__init__", "base", "registry"}


def test_every_sink_of_the_folder_is_in_the_table(tmp_path: Path) -> None:
    assert set(SINKS) == {path.stem for path in FOLDER.glob("*.py")} - SHARED

    async def main() -> None:
        async with eventing(tmp_path) as under:
            for plugin in SINKS.values():
                sink = await plugin.load(under.world)
                assert sink.controller().name == plugin.kind.kind.lower()

    asyncio.run(main())
