"""The quick closures give what the general ones do, for every sort of attribute."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.filters.cesql import shortcuts
from eventing.filters.cesql.casts import Value
from eventing.filters.cesql.errors import Failure
from eventing.filters.cesql.evaluate import compile_value
from eventing.filters.cesql.functions import BUILT_IN
from eventing.filters.cesql.like import compile_like
from eventing.filters.cesql.parser import parse_tree

TEXTS = ["", "a", "ab", "7", "07", "true", "TRUE", "x'"]
values = st.sampled_from([*TEXTS, 7, 0, -7, True, False, None])


def outcome(closure: Callable[[dict[str, Value]], Value], value: Value | None) -> object:
    try:
        return closure({} if value is None else {"name": value})
    except Failure as failure:
        return failure.error.kind


def general(text: str) -> shortcuts.Closure:
    """Of the expression, in which the attribute stands where no shortcut is taken."""
    return compile_value(parse_tree(text), BUILT_IN)


@given(values, st.sampled_from(["a", "7", "true"]), st.booleans())
def test_equals(value: Value | None, text: str, wanted: bool) -> None:
    member = general(f"STRING(name) {'=' if wanted else '!='} '{text}'")
    assert outcome(shortcuts.equals("name", text, wanted), value) == outcome(member, value)


@given(values, st.sampled_from(["a%", "%7", "_", "%r%"]), st.booleans())
def test_like(value: Value | None, pattern: str, wanted: bool) -> None:
    member = general(f"STRING(name) {'' if wanted else 'NOT'} LIKE '{pattern}'")
    assert outcome(shortcuts.like("name", compile_like(pattern), wanted), value) == outcome(member, value)


@given(values, st.booleans())
def test_is_one_of(value: Value | None, wanted: bool) -> None:
    texts = ["07", "true", "a"]
    listed = ", ".join(f"'{text}'" for text in texts)
    mixed = general(f"name {'' if wanted else 'NOT'} IN ({listed}, CONCAT('a'))")
    quick = general(f"name {'' if wanted else 'NOT'} IN ({listed})")
    assert outcome(quick, value) == outcome(mixed, value)


@pytest.mark.parametrize("value", ["", 0, False, "x"])
def test_reads_what_is_there(value: Value) -> None:
    assert shortcuts.read("name")({"name": value}) is value
    assert outcome(shortcuts.read("name"), None) == "missingAttribute"
