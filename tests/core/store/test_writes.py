"""The rules that a store asks for; what they mean to a reader of the store is in tests/support/store_contract.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.meta import Json, Kind
from core.store.base import DeleteOptions, Propagation
from core.store.writes import Action, Birth, is_ephemeral, key_in, plan_create, plan_delete, plan_update
from tests.support.kinds import BOOK, GLANCE, LOAN, PLAIN, READER, TOWN, make, owned_by

BIRTH = Birth(uid="uid-1", name_suffix="abcde", now=1_700_000_000.0)


def stored(kind: Kind[Any], obj: Json) -> Json:
    made = plan_create(kind, obj, BIRTH).obj
    made["metadata"]["resourceVersion"] = "7"
    return made


OWNER = stored(BOOK, make("owner"))


@pytest.mark.parametrize(
    ("label", "kind", "metadata", "ephemeral"),
    [
        ("what a user wrote", BOOK, {}, False),
        ("a durable kind with an owner", BOOK, {"ownerReferences": [owned_by(BOOK, OWNER)]}, False),
        ("made by hand", LOAN, {}, False),
        ("made by a controller", LOAN, {"ownerReferences": [owned_by(BOOK, OWNER)]}, True),
        ("owned, not controlled", LOAN, {"ownerReferences": [owned_by(BOOK, OWNER, controller=False)]}, False),
        ("observed", GLANCE, {}, True),
    ],
)
def test_where_an_object_lives(label: str, kind: Kind[Any], metadata: Json, ephemeral: bool) -> None:
    assert is_ephemeral(kind, make("x", **metadata)) is ephemeral, label


@pytest.mark.parametrize(
    ("label", "finalizers", "propagation", "action", "after"),
    [
        ("nothing holds it", [], None, Action.REMOVE, None),
        ("in the background", [], Propagation.BACKGROUND, Action.REMOVE, None),
        ("in the foreground", [], Propagation.FOREGROUND, Action.PUT, ["foregroundDeletion"]),
        ("leaving orphans", [], Propagation.ORPHAN, Action.PUT, ["orphan"]),
        ("held by its owner's word", ["x/y"], None, Action.PUT, ["x/y"]),
        ("as its finalizers say", ["orphan"], None, Action.PUT, ["orphan"]),
        ("said anew", ["orphan"], Propagation.FOREGROUND, Action.PUT, ["foregroundDeletion"]),
        ("said anew, nothing left", ["orphan"], Propagation.BACKGROUND, Action.REMOVE, None),
    ],
)
def test_deletion(
    label: str, finalizers: list[str], propagation: Propagation | None, action: Action, after: list[str] | None
) -> None:
    obj = stored(BOOK, make("x", finalizers=finalizers))
    plan = plan_delete(BOOK, obj, DeleteOptions(propagation=propagation), 1_700_000_100.0)
    assert plan.action is action, label
    assert plan.obj["metadata"].get("finalizers") == after, label
    assert plan.obj["metadata"]["deletionTimestamp"] == "2023-11-14T22:15:00Z"


def test_a_shorter_grace_counts_from_when_deletion_was_asked_for() -> None:
    obj = stored(READER, make("x", spec={"grace": 30}))
    marked = plan_delete(READER, obj, DeleteOptions(), 1_700_000_000.0).obj
    shorter = plan_delete(READER, marked, DeleteOptions(grace_period_s=10), 1_700_000_008.0).obj
    assert shorter["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:30Z"
    assert shorter["metadata"]["generation"] == marked["metadata"]["generation"], "marked once"


values = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=2)
objects = st.fixed_dictionaries(
    {"spec": values, "status": values},
    optional={"data": values},
).flatmap(
    lambda body: st.fixed_dictionaries(
        {
            "labels": st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=1),
            "finalizers": st.lists(st.sampled_from(["f/1", "f/2"]), unique=True),
        }
    ).map(lambda metadata: {**body, "metadata": {"name": "x", "namespace": "default", **metadata}})
)
kinds = st.sampled_from([BOOK, LOAN, GLANCE, PLAIN, TOWN])


@given(kinds, objects, objects, st.sampled_from(["", "status"]))
def test_an_update_changes_its_half_and_nothing_handed_in(
    kind: Kind[Any], first: Json, second: Json, subresource: str
) -> None:
    current = stored(kind, first)
    before = copy.deepcopy((current, second))
    plan = plan_update(kind, current, second, subresource)
    if plan.action is not Action.KEEP:
        plan.obj["metadata"]["resourceVersion"] = "8"
    assert (current, second) == before
    new = plan.obj
    for field in ("name", "uid", "creationTimestamp"):
        assert new["metadata"][field] == current["metadata"][field]
    if subresource == "status":
        assert new["status"] == second["status"]
        assert new["spec"] == current["spec"]
        assert new["metadata"]["labels"] == current["metadata"]["labels"]
    else:
        assert new["spec"] == second["spec"]
        assert new.get("data") == second.get("data")
        assert new["status"] == (current["status"] if kind.status else second["status"])
    if kind.generation:
        changed = (new["spec"], new.get("data")) != (current["spec"], current.get("data"))
        assert new["metadata"]["generation"] == current["metadata"]["generation"] + changed
    assert plan_update(kind, new, new, subresource).action is Action.KEEP


def test_the_key_of_an_object_without_metadata_is_empty() -> None:
    assert str(key_in(BOOK, {})) == ""
    assert str(key_in(TOWN, make("bath", "ignored"))) == "bath"
