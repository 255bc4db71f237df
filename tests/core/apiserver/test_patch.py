"""JSON Patch by the appendix of RFC 6902, merge patch by that of RFC 7386, and their laws."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apiserver.patch import json_patch, merge_patch, same_json
from core.errors import BadRequest, Invalid, TooLarge

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
no_nulls = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("doc", "operations", "expected"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),  # A.1
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),  # A.3
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
        (
            {"baz": "qux", "foo": "bar"},
            [{"op": "replace", "path": "/baz", "value": "boo"}],
            {"baz": "boo", "foo": "bar"},
        ),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),  # A.6
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),  # A.7
        (
            {"baz": "qux", "foo": ["a", 2, "c"]},
            [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
            {"baz": "qux", "foo": ["a", 2, "c"]},
        ),  # A.8
        ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"a": {}}}], {"foo": "bar", "child": {"a": {}}}),
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 1}], {"foo": "bar", "baz": "qux"}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),  # A.14
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),  # A.16
        ({"a": 1}, [{"op": "add", "path": "/a", "value": 2}], {"a": 2}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": [1]}], [1]),
        ({"a": 1}, [{"op": "add", "path": "/", "value": 2}], {"a": 1, "": 2}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        ({"a": None}, [{"op": "test", "path": "/a", "value": None}], {"a": None}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
        ({"a": 1}, [], {"a": 1}),
    ],
)
def test_json_patch(doc: Any, operations: list[Any], expected: Any) -> None:
    before = copy.deepcopy(doc)
    assert same_json(json_patch(doc, operations), expected)
    assert doc == before


@pytest.mark.parametrize(
    ("doc", "operation", "error"),
    [
        ({"baz": "qux"}, {"op": "test", "path": "/baz", "value": "bar"}, Invalid),  # A.9
        ({"foo": "bar"}, {"op": "add", "path": "/baz/bat", "value": "qux"}, Invalid),  # A.12
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": "10"}, Invalid),  # A.15
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}, Invalid),
        ({}, {"op": "remove", "path": "/a"}, Invalid),
        ({}, {"op": "replace", "path": "/a", "value": 1}, Invalid),
        ({"a": [1]}, {"op": "add", "path": "/a/2", "value": 1}, Invalid),
        ({"a": [1]}, {"op": "remove", "path": "/a/01"}, Invalid),
        ({"a": [1]}, {"op": "remove", "path": "/a/-"}, Invalid),
        ({"a": [1]}, {"op": "remove", "path": "/a/" + "9" * 5000}, Invalid),
        ({"a": [1]}, {"op": "add", "path": "/a/x", "value": 1}, Invalid),
        ({"a": {}}, {"op": "move", "from": "/a", "path": "/a/b"}, BadRequest),
        ({}, {"op": "add", "path": "/a"}, BadRequest),
        ({}, {"op": "add", "value": 1}, BadRequest),
        ({}, {"op": "add", "path": "a", "value": 1}, BadRequest),
        ({}, {"op": "grow", "path": "/a"}, BadRequest),
        ({}, {"op": ["add"], "path": "/a"}, BadRequest),
        ({}, "add", BadRequest),
    ],
)
def test_json_patch_refused(doc: Any, operation: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        json_patch(doc, [operation])


def test_json_patch_is_bounded() -> None:
    with pytest.raises(TooLarge):
        json_patch({}, [{"op": "test", "path": "", "value": {}}] * 10_001)
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 100
    with pytest.raises(TooLarge):
        json_patch({"a": [1]}, doubling)
    with pytest.raises(BadRequest, match="list of operations"):
        json_patch({}, {"op": "add"})


@given(json_values, json_values)
def test_adding_then_removing_a_member_gives_the_document_back(doc: Any, value: Any) -> None:
    holder = {"doc": doc}
    patched = json_patch(holder, [{"op": "add", "path": "/new", "value": value}, {"op": "remove", "path": "/new"}])
    assert patched == holder


@given(json_values, json_values)
def test_replacing_the_root_and_testing_it_succeeds(doc: Any, value: Any) -> None:
    operations = [{"op": "replace", "path": "", "value": value}, {"op": "test", "path": "", "value": value}]
    assert same_json(json_patch(doc, operations), value)


@pytest.mark.parametrize(
    ("original", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(original: Any, patch: Any, result: Any) -> None:
    before = copy.deepcopy(original)
    assert merge_patch(original, patch) == result
    assert original == before


@given(json_values, json_values)
def test_a_merge_patch_applied_twice_is_applied_once(doc: Any, patch: Any) -> None:
    once = merge_patch(doc, patch)
    assert merge_patch(once, patch) == once


@given(no_nulls)
def test_a_document_without_nulls_merged_into_nothing_is_itself(doc: Any) -> None:
    assert merge_patch({}, doc) == doc


@given(json_values)
def test_an_empty_merge_patch_changes_no_object(doc: Any) -> None:
    assert merge_patch(doc, {}) == (doc if isinstance(doc, dict) else {})
