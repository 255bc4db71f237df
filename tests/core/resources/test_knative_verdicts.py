"""Documents, and what knative.dev/serving v0.51.0 itself makes of them: defaults and refusals, to the letter.

Each line of knative_verdicts.jsonl is a Service as given, its spec after upstream's defaults (without zero values), and
upstream's whole refusal, "" where it accepts. The feature flags are set as they are here by default.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.resources.knative_errors import sentences
from core.resources.meta import AdmissionContext, Json
from core.resources.serving import SERVICE

VERDICTS = [orjson.loads(line) for line in Path(__file__).with_name("knative_verdicts.jsonl").read_bytes().splitlines()]


def without_zeros(value: Any) -> Any:
    """As upstream's JSON with `omitempty`, so that both sides can be compared."""
    if isinstance(value, dict):
        kept = {key: without_zeros(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, {}, [], "", False, 0)}
    return [without_zeros(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("verdict", VERDICTS, ids=range(len(VERDICTS)))
def test_the_same_verdict(verdict: Json) -> None:
    given = {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind, "spec": verdict["given"]}
    obj = copy.deepcopy({**given, "metadata": verdict["metadata"]})
    SERVICE.default(obj, AdmissionContext())
    assert without_zeros(obj["spec"]) == verdict["spec"]
    assert sentences(SERVICE.validate(obj, AdmissionContext())) == verdict["refusal"]


def test_the_verdicts_are_of_both_sorts() -> None:
    refused = [verdict for verdict in VERDICTS if verdict["refusal"]]
    assert 100 < len(refused) < len(VERDICTS)
