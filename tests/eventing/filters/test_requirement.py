"""What the index may rely on: necessary always, sufficient where it says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from eventing.event import Event, text_of
from eventing.filters.requirement import Requirement
from tests.support.filters import compiled, events, specs

S = True


def of(filters: list[dict[str, Any]]) -> Requirement:
    return compiled({"filters": filters}).requirement


def needs(sufficient: bool = False, exact: Mapping[str, str] | None = None, **affixes: dict[str, str]) -> Requirement:
    """`exact` lists texts in words."""
    texts = {name: frozenset(words.split()) for name, words in (exact or {}).items()}
    return Requirement(texts, affixes.get("prefix", {}), affixes.get("suffix", {}), sufficient)


@pytest.mark.parametrize(
    ("filters", "needed"),
    [
        ([{"exact": {"a": "x", "b": "y"}}], needs(S, {"a": "x", "b": "y"})),
        ([{"exact": {"a": "x"}}, {"exact": {"b": "y"}}], needs(S, {"a": "x", "b": "y"})),
        ([{"exact": {"a": "x"}}, {"exact": {"a": "y"}}], needs(S, {"a": ""})),
        ([{"any": [{"exact": {"a": "x"}}, {"exact": {"a": "y"}}]}], needs(S, {"a": "x y"})),
        ([{"any": [{"exact": {"a": "x", "b": "1"}}, {"exact": {"a": "y"}}]}], needs(False, {"a": "x y"})),
        ([{"any": [{"exact": {"a": "x"}}, {"exact": {"b": "y"}}]}], needs()),
        ([{"any": [{"exact": {"a": "x"}}, {"cesql": "EXISTS b"}]}], needs()),
        ([{"not": {"exact": {"a": "x"}}}], needs()),
        ([{"prefix": {"a": "x"}}], needs(S, prefix={"a": "x"})),
        ([{"suffix": {"a": "x"}}], needs(S, suffix={"a": "x"})),
        ([{"prefix": {"a": "x"}}, {"prefix": {"a": "xyz"}}], needs(prefix={"a": "xyz"})),
        ([{"cesql": "a = 'x'"}], needs(S, {"a": "x"})),
        ([{"cesql": "'x' = a"}], needs()),
        ([{"cesql": "a = 7"}], needs()),
        ([{"cesql": "a != 'x'"}], needs()),
        ([{"cesql": "NOT a = 'x'"}], needs()),
        ([{"cesql": "a = 'x' AND b = 'y'"}], needs(S, {"a": "x", "b": "y"})),
        ([{"cesql": "a = 'x' AND b"}], needs(False, {"a": "x"})),
        ([{"cesql": "a = 'x' AND b = 'y' OR c = 'z'"}], needs(False, {"a": "x"})),
        ([{"cesql": "a = 'x' OR b = 'y' AND c = 'z'"}], needs()),
        ([{"cesql": "a = 'x' XOR b = 'y'"}], needs()),
        ([{"cesql": "a = 'x' OR a = 'y'"}], needs(S, {"a": "x y"})),
        ([{"cesql": "(a = 'x' AND a = 'y') OR b = 'z'"}], needs(False, {"b": "z"})),
        ([{"cesql": "type IN ('x', 'y')"}], needs(S, {"type": "x y"})),
        ([{"cesql": "type IN ('x', id)"}], needs()),
        ([{"cesql": "type NOT IN ('x', 'y')"}], needs()),
        ([{"cesql": "extension IN ('x', 'y')"}], needs()),
        ([{"cesql": "a LIKE 'xy'"}], needs(S, {"a": "xy"})),
        ([{"cesql": "a LIKE 'x%'"}], needs(S, prefix={"a": "x"})),
        ([{"cesql": "a LIKE '%x'"}], needs(S, suffix={"a": "x"})),
        ([{"cesql": "a LIKE 'x%y'"}], needs(prefix={"a": "x"}, suffix={"a": "y"})),
        ([{"cesql": "a LIKE 'x_z%u_w'"}], needs(prefix={"a": "x"}, suffix={"a": "w"})),
        ([{"cesql": "a LIKE '%'"}], needs()),
        ([{"cesql": "a NOT LIKE 'x%'"}], needs()),
        ([{"cesql": "a = 'x' AND b LIKE 'y%'"}], needs(S, {"a": "x"}, prefix={"b": "y"})),
    ],
)  # fmt: skip
def test_requires(filters: list[dict[str, Any]], needed: Requirement) -> None:
    assert of(filters) == needed


def meets(needed: Requirement, event: Event) -> bool:
    texts = {name: text_of(value) for name, value in event.attributes.items()}
    return (
        all(texts.get(name) in allowed for name, allowed in needed.exact.items())
        and all(name in texts and texts[name].startswith(start) for name, start in needed.prefix.items())
        and all(name in texts and texts[name].endswith(end) for name, end in needed.suffix.items())
    )


@given(specs(), events())
def test_is_necessary_and_sufficient_where_it_says_so(spec: dict[str, Any], event: Event) -> None:
    found = compiled(spec)
    if found.matches(event):
        assert meets(found.requirement, event)
    elif found.requirement.sufficient:
        assert not meets(found.requirement, event)
