"""Documents compared, merged and cut down along a schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apiserver.fieldsets import from_json
from core.apiserver.structured import check_keys, compare, fields_of, merge, remove
from core.errors import BadRequest
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.schema import schema_of

SCHEMA = schema_of(POD)


def finalizers(*names: str) -> Json:
    return {"metadata": {"finalizers": list(names)}}


def containers(*items: Json) -> Json:
    return {"spec": {"containers": list(items)}}


def c(name: str, **fields: Any) -> Json:
    return {"name": name, **fields}


@pytest.mark.parametrize(
    ("live", "config", "merged"),
    [
        (finalizers("a", "b", "c"), finalizers("a", "b"), finalizers("a", "b", "c")),
        (finalizers("a", "b"), finalizers("a", "b", "c"), finalizers("a", "b", "c")),
        (finalizers("a", "b", "c"), finalizers(), finalizers("a", "b", "c")),
        (finalizers(), finalizers("a"), finalizers("a")),
        (finalizers("t"), finalizers("f"), finalizers("t", "f")),
        (finalizers("1", "2", "x"), finalizers("1", "2", "3"), finalizers("1", "2", "x", "3")),
        (finalizers("b"), finalizers("a", "b", "c"), finalizers("a", "b", "c")),
        (finalizers("a", "b"), finalizers("b", "a"), finalizers("b", "a")),
        (finalizers("x", "a", "y", "b", "z"), finalizers("b", "a"), finalizers("x", "y", "b", "z", "a")),
        (finalizers("a", "a", "b", "b"), finalizers("b", "c", "d"), finalizers("a", "a", "b", "c", "d")),
        (
            containers(c("a", image="1", env=[{"name": "A", "value": "1"}])),
            containers(c("a", image="2", env=[{"name": "B", "value": "2"}])),
            containers(c("a", image="2", env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])),
        ),
        (containers(c("a", command=["x"])), containers(c("a", command=["y"])), containers(c("a", command=["y"]))),
        (
            {"spec": {"nodeSelector": {"a": "1"}}},
            {"spec": {"nodeSelector": {"b": "2"}}},
            {"spec": {"nodeSelector": {"b": "2"}}},
        ),
        (
            {"metadata": {"labels": {"a": "1"}}},
            {"metadata": {"labels": {"b": "2"}}},
            {"metadata": {"labels": {"a": "1", "b": "2"}}},
        ),
        (
            {"spec": {"affinity": {"a": {"b": 1}}}},
            {"spec": {"affinity": {"a": {"c": 2}}}},
            {"spec": {"affinity": {"a": {"b": 1, "c": 2}}}},
        ),
        ({"spec": {"affinity": {"a": [1]}}}, {"spec": {"affinity": {"a": [2]}}}, {"spec": {"affinity": {"a": [2]}}}),
        (
            {"spec": {"affinity": {"a": 1}}},
            {"spec": {"affinity": {"a": {"b": 1}}}},
            {"spec": {"affinity": {"a": {"b": 1}}}},
        ),
        ({}, {"spec": {}}, {"spec": {}}),
        ({"spec": {"hostname": "a"}}, {"spec": {}}, {"spec": {"hostname": "a"}}),
    ],
)
def test_merging(live: Json, config: Json, merged: Json) -> None:
    assert merge(live, config, SCHEMA) == merged


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({"spec": {"hostname": "a"}}, {"f:spec": {"f:hostname": {}}}),
        ({"spec": {"securityContext": {}}}, {"f:spec": {"f:securityContext": {}}}),
        ({"spec": {"containers": []}}, {"f:spec": {"f:containers": {}}}),
        (
            containers(c("a", command=["x"])),
            {"f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:command": {}}}}},
        ),
        ({"metadata": {"labels": {"a": "1"}}}, {"f:metadata": {"f:labels": {"f:a": {}}}}),
        ({"spec": {"nodeSelector": {"a": "1"}}}, {"f:spec": {"f:nodeSelector": {}}}),
        ({"spec": {"affinity": {"a": {"b": [1]}}}}, {"f:spec": {"f:affinity": {"f:a": {".": {}, "f:b": {}}}}}),
        (finalizers("x"), {"f:metadata": {"f:finalizers": {'v:"x"': {}}}}),
    ],
)
def test_what_a_writer_owns(value: Json, fields: Json) -> None:
    assert fields_of(value, SCHEMA).to_json() == fields


def test_comparison_tells_what_came_changed_and_went() -> None:
    old = {"spec": {"hostname": "a", "nodeName": "n", "containers": [c("a", image="1"), c("b")]}}
    new = {"spec": {"hostname": "b", "securityContext": {}, "containers": [c("c"), c("a", image="1", tty=True)]}}
    change = compare(old, new, SCHEMA)
    assert list(change.added.paths()) == [
        ".spec.securityContext",
        '.spec.containers[name="c"]',
        '.spec.containers[name="a"].tty',
        '.spec.containers[name="c"].name',
    ]
    assert list(change.modified.paths()) == [".spec.hostname"]
    assert list(change.removed.paths()) == [
        ".spec.nodeName",
        '.spec.containers[name="b"]',
        '.spec.containers[name="b"].name',
    ]
    assert not compare(old, old, SCHEMA)


def test_the_order_of_a_list_is_no_change() -> None:
    assert not compare(containers(c("a"), c("b")), containers(c("b"), c("a")), SCHEMA)
    assert compare({"spec": {"tolerations": [1, 2]}}, {"spec": {"tolerations": [2, 1]}}, SCHEMA)


def test_a_container_that_comes_counts_itself() -> None:
    change = compare({}, {"metadata": {"labels": {"a": "1"}}}, SCHEMA)
    assert change.added.to_json() == {"f:metadata": {".": {}, "f:labels": {".": {}, "f:a": {}}}}


def test_removal_leaves_containers_that_it_empties() -> None:
    doc = {"metadata": {"labels": {"a": "1"}, "finalizers": ["x", "y"]}, **containers(c("a", image="1"), c("b"))}
    fields = from_json(
        {
            "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {'v:"x"': {}}},
            "f:spec": {"f:containers": {'k:{"name":"a"}': {"f:image": {}}, 'k:{"name":"b"}': {}}},
        }
    )
    assert remove(doc, fields, SCHEMA) == {"metadata": {"labels": {}, "finalizers": ["y"]}, **containers(c("a"))}
    assert remove({"spec": {"tolerations": [1]}}, from_json({"f:spec": {"f:tolerations": {"i:0": {}}}}), SCHEMA) == {
        "spec": {"tolerations": [1]}
    }


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (containers(c("a"), c("a")), r'\.spec\.containers: duplicate entries for key \[name="a"\]'),
        (containers({"image": "x"}), r'\.spec\.containers: element 0: .* omits key field "name"'),
        (
            containers(c("a", ports=[{"containerPort": 1}, {"containerPort": 1, "protocol": "TCP"}])),
            "duplicate entries",
        ),
        (finalizers("a", "a"), 'duplicate entries for key .="a".'),
    ],
)
def test_items_that_an_applier_sends_must_be_told_apart(config: Json, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        check_keys(config, SCHEMA)


names = st.lists(st.sampled_from("abcde"), unique=True, max_size=5)


@given(names, names)
def test_merged_lists_keep_the_order_of_the_config(live: list[str], config: list[str]) -> None:
    merged = merge(finalizers(*live), finalizers(*config), SCHEMA)["metadata"]["finalizers"]
    assert sorted(merged) == sorted({*live, *config})
    assert [name for name in merged if name in config] == config
    assert [name for name in merged if name not in config] == [name for name in live if name not in config]


@given(names, names)
def test_what_was_added_and_not_removed_is_there(old: list[str], new: list[str]) -> None:
    change = compare(finalizers(*old), finalizers(*new), SCHEMA)
    added = {path for path in change.added.paths() if "=" in path}
    removed = {path for path in change.removed.paths() if "=" in path}
    assert added == {f'.metadata.finalizers[="{name}"]' for name in set(new) - set(old)}
    assert removed == {f'.metadata.finalizers[="{name}"]' for name in set(old) - set(new)}
