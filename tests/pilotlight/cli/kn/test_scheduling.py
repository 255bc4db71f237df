"""Where instances may run, as kn's flags write it."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.meta import Json
from pilotlight.cli.kn.edits import pod_spec
from pilotlight.cli.kn.scheduling import edit_node_affinity, edit_node_selector, edit_tolerations

ZONE = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}
REQUIRED = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [ZONE]}}
PREFERRED = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 7, "preference": ZONE}]}
TOLERATION = {"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("edit", "value", "expected"),
    [
        (edit_node_selector, ["disk=ssd", "x=1", "x-"], {"nodeSelector": {"disk": "ssd"}}),
        (edit_tolerations, ["Key=k,Operator=Equal,Value=v,Effect=NoSchedule"], {"tolerations": [TOLERATION]}),
        (edit_tolerations, ['{"key":"k"}'], {"tolerations": [{"key": "k"}]}),
        (
            edit_node_affinity,
            "Type=Required,Key=zone,Operator=In,Values=a b",
            {"affinity": {"nodeAffinity": REQUIRED}},
        ),
        (
            edit_node_affinity,
            "Type=Preferred,Key=zone,Operator=In,Values=a b,Weight=7",
            {"affinity": {"nodeAffinity": PREFERRED}},
        ),
    ],
)
def test_fields(edit: Any, value: Any, expected: Json) -> None:
    service: Json = {"metadata": {}}
    edit(service, value)
    assert pod_spec(service) == expected


@pytest.mark.parametrize(
    ("edit", "value"),
    [
        (edit_tolerations, ["{x"]),
        (edit_tolerations, ["novalue"]),
        (edit_node_affinity, "Key=zone"),
        (edit_node_affinity, "Type=Preferred,Key=zone,Operator=Exists,Weight=x"),
        (edit_node_affinity, "{[]"),
    ],
)
def test_what_cannot_be_read_is_refused(edit: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"--toleration|--node-affinity"):
        edit({"metadata": {}}, value)
