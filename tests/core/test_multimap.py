"""A multimap is a dictionary of ordered sets, whatever its size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.multimap import Multimap

STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(0, 14)), max_size=120)


@given(STEPS)
def test_it_is_a_dictionary_of_ordered_sets(steps: list[tuple[bool, str, int]]) -> None:
    found: Multimap[str, int] = Multimap()
    expected: dict[str, dict[int, None]] = {}
    for comes, key, value in steps:
        if comes:
            found.add(key, value)
            expected.setdefault(key, {})[value] = None
        else:
            found.discard(key, value)
            expected.get(key, {}).pop(value, None)
        for name in "ab":
            assert tuple(found.of(name)) == tuple(expected.get(name, ()))
    assert len(found) == sum(1 for values in expected.values() if values)


def test_what_was_handed_out_does_not_change() -> None:
    found: Multimap[str, int] = Multimap()
    for value in range(20):
        found.add("a", value)
        before = found.of("a")
        found.discard("a", value)
        assert value in before
        found.add("a", value)
