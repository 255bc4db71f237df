from __future__ import annotations

from collections.abc import Sequence

from scalers.base import Pushing, Tell
from scalers.readings import Reading, Target


class Polled:
    async def targets(self) -> Sequence[Target]:
        return (Target("x", 1.0),)

    async def read(self) -> Sequence[Reading]:
        return (Reading(0.0),)

    async def close(self) -> None: ...


class Pushed(Polled):
    async def run(self, tell: Tell) -> None:
        tell(True)


def test_only_one_that_can_run_pushes() -> None:
    assert not isinstance(Polled(), Pushing)
    assert isinstance(Pushed(), Pushing)
