"""metav1.LabelSelector objects."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.selectors import check_selector, selector_of

LABELS = {"app": "a", "tier": "web"}


@pytest.mark.parametrize(
    ("selector", "matches", "text"),
    [
        (None, True, ""),
        ({}, True, ""),
        ({"matchLabels": {"app": "a"}}, True, "app=a"),
        ({"matchLabels": {"app": "b"}}, False, "app=b"),
        ({"matchLabels": {"app": "a", "x": "1"}}, False, "app=a,x=1"),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["b", "a"]}]}, True, "app in (a,b)"),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}, False, "app!=a"),
        ({"matchExpressions": [{"key": "no", "operator": "NotIn", "values": ["a", "b"]}]}, True, "no notin (a,b)"),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True, "tier"),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False, "!tier"),
    ],
)
def test_matching(selector: dict[str, Any] | None, matches: bool, text: str) -> None:
    parsed = selector_of(selector)
    assert parsed.matches(LABELS) is matches
    assert str(parsed) == text


@pytest.mark.parametrize(
    ("selector", "path"),
    [
        ({"matchLabels": {"a b": "c"}}, "s.matchLabels"),
        ({"matchLabels": {"a": "-"}}, "s.matchLabels"),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "s.matchExpressions[0].values"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, "s.matchExpressions[0].values"),
        ({"matchExpressions": [{"key": "a", "operator": "Near"}]}, "s.matchExpressions[0].operator"),
        ({"matchExpressions": [{"operator": "Exists"}]}, "s.matchExpressions[0].key"),
    ],
)
def test_what_is_wrong_with_a_selector(selector: dict[str, Any], path: str) -> None:
    assert [error.path for error in check_selector(selector, "s")] == [path]
