"""autoscaler/triggers/making.py: scalers of the registry, and what is wrong in words."""

from __future__ import annotations

import pytest

from autoscaler.triggers.making import Maker
from core.errors import PermanentError
from core.resources.meta import ObjectKey
from scalers.cron import CronScaler
from scalers.readings import Trigger
from tests.autoscaler.triggers.sources import Ponds, trigger, world_of
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


async def test_a_scaler_of_the_registry() -> None:
    metadata = {"timezone": "Europe/Berlin", "start": "0 8 * * *", "end": "0 18 * * *", "desiredReplicas": "3"}
    made = await Maker(world_of(FakeClock())).make(Trigger(ObjectKey("default", "orders"), 0, "cron", metadata))
    assert isinstance(made, CronScaler)


@pytest.mark.parametrize(
    ("type_", "metadata", "said"),
    [
        pytest.param("pond", {"target": "many"}, "triggers[0].metadata.target: is 'many', must be", id="parameter"),
        pytest.param("nonsense", {}, "type 'nonsense' is not known", id="type"),
        pytest.param("absent", {}, "not installed (absentlib): pip install 'pilotlight[absent]'", id="client"),
    ],
)
async def test_what_is_wrong(type_: str, metadata: dict[str, str], said: str) -> None:
    clock = FakeClock()
    with pytest.raises(PermanentError) as caught:
        await Maker(world_of(clock), Ponds(clock).look_up).make(trigger("orders", type_, **metadata))
    assert said in str(caught.value)
