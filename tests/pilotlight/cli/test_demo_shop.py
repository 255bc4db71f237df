"""The documents of the demo's second half; tests/integration/test_demo.py plays it."""

from __future__ import annotations

from pathlib import Path

from pilotlight.cli.demo import SHOP
from pilotlight.cli.demo_shop import KINDS, LAST, documents


def test_the_shop_is_the_example_with_functions_that_are_there_and_soon_asleep() -> None:
    found = documents(SHOP)
    assert [each["kind"] for each in found] == ["Service", "Service", "Broker", "Trigger", "Trigger"]
    assert {each["kind"] for each in found} == set(KINDS)
    for service in found[:2]:
        image = service["spec"]["template"]["spec"]["containers"][0]["image"]
        assert (Path(image.removeprefix("dir:")) / "main.py").is_file()
        assert service["spec"]["template"]["metadata"]["annotations"] == {"autoscaling.knative.dev/window": "6s"}
    subscribers = {each["spec"]["subscriber"]["ref"]["name"] for each in found[3:]}
    assert subscribers == {each["metadata"]["name"] for each in found[:2]}
    assert found[-1]["metadata"]["name"] == LAST.rpartition("/")[2]
