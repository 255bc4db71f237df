"""autoscaler/triggers/metrics.py: KEDA's names and labels, and the text format."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from autoscaler.triggers.metrics import SCALED_OBJECT, Family, Subject, exposition, families
from tests.autoscaler.triggers.world import KedaWorld, story


def test_metrics_of_a_life() -> None:
    async def play(world: KedaWorld) -> None:
        await world.deployment(0)
        world.ponds["a"].value, world.ponds["b"].error = 25.0, "down"
        triggers = [
            {"type": "pond", "metadata": {"pond": "a"}, "name": "lag"},
            {"type": "pond", "metadata": {"pond": "b"}},
        ]
        await world.scaled_object(triggers=triggers, annotations={"autoscaling.keda.sh/paused-scale-in": "true"})
        await asyncio.sleep(20.0)
        loop = world.objects.loop
        found = [
            Subject(SCALED_OBJECT, scaled.key, loop.poller.sources(scaled.owner), scaled.late_s, scaled.paused)
            for scaled in loop
        ]
        registered = {("scaled_object", "default"): 1}
        text = exposition(families(found, registered, "1.2.3", world.clock.monotonic()))
        values = {
            (sample.name, sample.labels.get("metric", "")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert values["keda_scaler_metrics_value", "s0-pond-a"] == 25.0
        assert values["keda_scaler_active", "s0-pond-a"] == 1.0
        assert values["keda_scaler_metrics_latency_seconds", "s0-pond-a"] < 0.1
        assert values["keda_scaler_detail_errors_total", "s0-pond-a"] == 0.0
        assert values["keda_scaler_detail_errors_total", "s1-pond"] > 0.0
        assert values["keda_scaled_object_errors_total", ""] == values["keda_scaler_detail_errors_total", "s1-pond"]
        assert values["keda_scaled_object_paused", ""] == 1.0
        assert values["keda_internal_scale_loop_latency_seconds", ""] < 0.1
        assert values["keda_trigger_registered_total", ""] == 2.0
        assert values["keda_resource_registered_total", ""] == 1.0
        assert values["keda_build_info", ""] == 1.0
        assert ("keda_scaler_metrics_value", "s1-pond") not in values
        labels = 'namespace="default",scaledObject="orders",scaler="lag",triggerIndex="0",type="scaledobject"'
        assert f"keda_scaler_active{{{labels}" in text

    story(play)


def test_the_text_format() -> None:
    text = exposition([Family("a", "gauge", "Of a.", [({"b": 'say "x"\\\n'}, 0.5), ({}, 1e9)])])
    assert text == '# HELP a Of a.\n# TYPE a gauge\na{b="say \\"x\\"\\\\\\n"} 0.5\na{} 1000000000\n'
