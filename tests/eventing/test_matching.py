"""The index agrees with asking every filter, however subscriptions come and go, and asks few of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventing.event import Event
from eventing.filters.clauses import Filter
from eventing.matching import COMBINATIONS_MAX, Matcher
from tests.support.filters import compiled, event, events, specs


@settings(max_examples=300)
@given(st.lists(specs(), max_size=12), st.lists(events(), min_size=1, max_size=5))
def test_matches_what_each_filter_matches(many: list[dict[str, Any]], made: list[Event]) -> None:
    filters = {number: compiled(spec) for number, spec in enumerate(many)}
    matcher = Matcher(filters)
    for each in made:
        assert matcher.match(each) == [key for key, one in filters.items() if one.matches(each)]


CHANGES = st.lists(st.tuples(st.integers(0, 7), st.none() | specs()), max_size=30)


@settings(max_examples=200)
@given(CHANGES, st.lists(events(), min_size=1, max_size=3))
def test_keeps_step_with_changes(changes: list[tuple[int, dict[str, Any] | None]], made: list[Event]) -> None:
    matcher: Matcher[int] = Matcher()
    filters: dict[int, Filter] = {}
    for key, spec in changes:
        filters.pop(key, None)
        if spec is None:
            matcher.remove(key)
        else:
            filters[key] = compiled(spec)
            matcher.add(key, filters[key])
        for each in made:
            assert matcher.match(each) == [key for key, one in filters.items() if one.matches(each)]
    assert len(matcher) == len(filters)
    for key in filters:
        matcher.remove(key)
    empty: Matcher[int] = Matcher()
    assert (matcher._tables, matcher._gates, matcher._homes) == (empty._tables, empty._gates, empty._homes)


class Counting:
    """A filter that counts how often it is asked."""

    def __init__(self, spec: dict[str, Any]) -> None:
        original = compiled(spec)
        self.asked = 0

        def passing(attributes: Any) -> bool:
            self.asked += 1
            return original.passing(attributes)

        self.filter = Filter(original.text, passing, original.failing, original.requirement)


def asked(many: list[dict[str, Any]], made: Event) -> int:
    counting = [Counting(spec) for spec in many]
    matcher = Matcher({number: each.filter for number, each in enumerate(counting)})
    expected = [number for number, spec in enumerate(many) if compiled(spec).matches(made)]
    assert matcher.match(made) == expected
    return sum(each.asked for each in counting)


def test_exact_filters_are_not_asked() -> None:
    many = [{"filters": [{"exact": {"type": f"t{number % 100}", "source": f"s{number % 7}"}}]} for number in range(500)]
    many += [{"filters": [{"cesql": f"type IN ('t{number}', 'u') OR type = 'v{number}'"}]} for number in range(500)]
    assert asked(many, event(type="t1", source="s1")) == 0


def test_only_those_are_asked_whose_exact_part_is_met() -> None:
    many = [{"filters": [{"cesql": f"type = 't{number}' AND subject LIKE '%x%'"}]} for number in range(1000)]
    assert asked(many, event(type="t1", subject="axb")) == 1


def test_starts_and_ends_are_looked_up_too() -> None:
    many = [{"filters": [{"prefix": {"type": f"com.{number}."}}]} for number in range(500)]
    many += [{"filters": [{"suffix": {"type": f".{number}.order"}}]} for number in range(500)]
    assert asked(many, event(type="com.7.9.order")) == 0


def test_many_texts_of_many_attributes_take_bounded_room() -> None:
    texts = [{"any": [{"exact": {name: str(number)}} for number in range(20)]} for name in ("a", "b", "c")]
    matcher = Matcher({"only": compiled({"filters": texts})})
    assert sum(len(table.places) for table in matcher._tables.values()) <= COMBINATIONS_MAX
    assert matcher.match(event(a="1", b="2", c="3")) == ["only"]
    assert matcher.match(event(a="1", b="2", c="30")) == []


def test_attributes_of_other_triggers_do_not_cost_an_event() -> None:
    """A thousand Triggers, each on an extension of its own: events without it never get to its table."""
    many = {n: compiled({"filters": [{"exact": {"type": "t", f"ext{n}": "x"}}]}) for n in range(1000)}
    matcher = Matcher(many)
    assert matcher.match(event(ext5="x")) == [5]
    looked_at = [table for name in event(ext5="x").attributes for table in matcher._gates.get(name, ())]
    assert len(looked_at) == 1


def test_a_table_hangs_under_what_few_events_have() -> None:
    matcher = Matcher({"only": compiled({"filters": [{"exact": {"type": "t", "zone": "z"}}]})})
    assert list(matcher._gates) == ["zone"]
    assert matcher.match(event(zone="z")) == ["only"]
