"""Refusals read as Knative prints them."""

from __future__ import annotations

import pytest

from core.resources import knative_errors as errors


def test_paths_grow_outwards() -> None:
    inner = errors.via_index("containers", 1, errors.missing("image"))
    assert [e.path for e in errors.via("spec.template.spec", inner)] == ["spec.template.spec.containers[1].image"]
    assert [e.path for e in errors.via("spec.traffic", errors.via("[0]", errors.disallowed("url")))] == [
        "spec.traffic[0].url"
    ]
    assert [e.path for e in errors.via("spec", errors.generic("no"))] == ["spec"]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(
            errors.both_of("revisionName", "configurationName"),
            "expected exactly one, got both: configurationName, revisionName",
            id="equal messages merge and sort",
        ),
        pytest.param(errors.out_of_bounds(1001, 0, 1000, "spec.x"), "expected 0 <= 1001 <= 1000: spec.x", id="bounds"),
        pytest.param(errors.out_of_bounds(0.05, 0.1, 100.0, "x"), "expected 0.1 <= 0.05 <= 100: x", id="floats"),
        pytest.param(
            errors.invalid("a/b", "name", "because"), "invalid value: a/b: name\nbecause", id="detail on its own line"
        ),
        pytest.param(
            errors.missing("b") + errors.disallowed("a"),
            "missing field(s): b\nmust not set the field(s): a",
            id="sorted by message",
        ),
        pytest.param(errors.invalid_key("K", "annotations"), 'invalid key name "K": annotations', id="key"),
        pytest.param(errors.neither_of("a"), "expected exactly one, got neither: a", id="neither"),
    ],
)
def test_sentences(found: errors.Errors, text: str) -> None:
    assert errors.sentences(found) == text


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (0.5, "0.5"), (["a", "b"], "[a b]"), ("x", "x"), (3, "3")])
def test_values_as_go_prints_them(value: object, text: str) -> None:
    assert errors.go(value) == text
