"""Whether this machine could ever run a Pod."""

from __future__ import annotations

import pytest

from core.resources.meta import Json
from core.resources.pods import POD
from deploy.scheduling import why_unschedulable
from tests.support.pods import container, pod

GI = 1 << 30


def asks(cpu: str | None = None, memory: str | None = None, field: str = "requests", **more: object) -> Json:
    given = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value is not None}
    return container(resources={field: given}, **more)


@pytest.mark.parametrize(
    ("label", "document", "why"),
    [
        ("nothing asked for", pod(), ""),
        ("all there is", pod(asks("2", "4Gi")), ""),
        ("more processors", pod(asks("2001m")), "1 Insufficient cpu (2.001 asked for, this machine has 2)"),
        ("more memory", pod(asks(memory="5Gi")), "1 Insufficient memory (5120Mi asked for, this machine has 4096Mi)"),
        ("a limit asks, too", pod(asks("3", field="limits")), "1 Insufficient cpu (3 asked for, this machine has 2)"),
        (
            "all at once",
            pod(asks("1.5"), asks("1", name="b")),
            "1 Insufficient cpu (2.5 asked for, this machine has 2)",
        ),
        ("first one, then the other", pod(asks("1.5"), initContainers=[asks("2", name="i")]), ""),
        (
            "a sidecar stays",
            pod(asks("1.5"), initContainers=[asks("1", name="i", restartPolicy="Always")]),
            "1 Insufficient cpu (2.5 asked for, this machine has 2)",
        ),
        (
            "a sidecar beside a later init container",
            pod(initContainers=[asks("1", name="i", restartPolicy="Always"), asks("2", name="j")]),
            "1 Insufficient cpu (3 asked for, this machine has 2)",
        ),
    ],
)
def test_requests_against_the_machine(label: str, document: Json, why: str) -> None:
    expected = f"0/1 nodes are available: {why}." if why else ""
    assert why_unschedulable(POD.parse(document).spec, 2, 4 * GI) == expected


def test_both_are_named() -> None:
    said = why_unschedulable(POD.parse(pod(asks("9", "9Gi"))).spec, 2, 4 * GI)
    assert "Insufficient cpu" in said
    assert "Insufficient memory" in said
