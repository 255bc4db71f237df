"""Sets of fields: their algebra, and their wire form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apiserver.fieldsets import (
    EMPTY,
    FieldSet,
    from_json,
    key_element,
    paths_set,
    value_element,
    with_named_parents,
)
from core.resources.pods import POD
from core.resources.schema import schema_of

elements = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"', "i:0"])
trees = st.recursive(
    st.just({}), lambda inner: st.dictionaries(elements | st.just("."), inner, max_size=3), max_leaves=8
)


def tidy(tree: Any) -> Any:
    """Without dots that stand alone or hold something, as no writer makes them."""
    fields = {element: tidy(child) for element, child in tree.items() if element != "."}
    return {".": {}, **fields} if "." in tree and fields else fields


roots = trees.map(tidy).map(lambda tree: {element: child for element, child in tree.items() if element != "."})
sets = roots.map(from_json)


@given(roots)
def test_what_is_read_is_written_again(tree: dict[str, Any]) -> None:
    assert from_json(tree).to_json() == tree


@given(sets, sets)
def test_union_holds_both_and_no_more(a: FieldSet, b: FieldSet) -> None:
    assert set((a | b).paths()) == set(a.paths()) | set(b.paths())
    assert a | b == b | a


@given(sets, sets)
def test_intersection_holds_what_is_in_both(a: FieldSet, b: FieldSet) -> None:
    assert set((a & b).paths()) == set(a.paths()) & set(b.paths())


@given(sets, sets)
def test_difference_goes_place_by_place(a: FieldSet, b: FieldSet) -> None:
    assert set((a - b).paths()) == set(a.paths()) - set(b.paths())
    assert not a - a


@given(sets, sets)
def test_what_is_taken_with_all_below_it_leaves_nothing_there(a: FieldSet, b: FieldSet) -> None:
    members = list(b.paths())
    left = {path for path in a.paths() if not any(path == m or path.startswith((f"{m}.", f"{m}[")) for m in members)}
    assert set(a.without_below(b).paths()) == left


def test_paths_read_as_kubectl_prints_them() -> None:
    found = from_json(
        {
            "f:spec": {
                "f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}}},
                "f:ports": {'k:{"protocol":"TCP","containerPort":80}': {".": {}}},
                "f:finalizers": {'v:"x"': {}},
            }
        }
    )
    assert list(found.paths()) == [
        '.spec.containers[name="a"]',
        '.spec.containers[name="a"].image',
        '.spec.finalizers[="x"]',
        '.spec.ports[containerPort=80,protocol="TCP"]',
    ]


@pytest.mark.parametrize("tree", [[], {"f:a": 1}, {"x:a": {}}, {"k:{": {}}])
def test_what_is_no_field_set(tree: Any) -> None:
    with pytest.raises(ValueError, match=r".*"):
        from_json(tree)


def test_items_are_named_by_their_keys() -> None:
    container = schema_of(POD).child("spec").child("containers").child("")
    ports = container.child("ports")
    assert key_element(ports, {"containerPort": 80, "name": "a"}) == 'k:{"containerPort":80,"protocol":"TCP"}'
    assert key_element(ports, {"name": "a"}) is None
    assert key_element(ports, "a") is None
    assert value_element({"b": 1, "a": 2}) == 'v:{"a":2,"b":1}'


def test_who_owns_a_field_holds_on_to_its_named_parents() -> None:
    held = with_named_parents(
        from_json({"f:spec": {"f:containers": {'k:{"name":"a"}': {"f:image": {}}}}}), schema_of(POD)
    )
    assert list(held.paths()) == [
        ".spec",
        ".spec.containers",
        '.spec.containers[name="a"].image',
    ]
    assert with_named_parents(EMPTY, schema_of(POD)) == EMPTY
    assert paths_set(("a", "b"), ("a",)).to_json() == {"f:a": {".": {}, "f:b": {}}}
