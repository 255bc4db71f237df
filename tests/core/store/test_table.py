from __future__ import annotations

import orjson
import pytest

from core.resources.meta import Json, ObjectKey
from core.store.table import LabelFilter, OwnerIndex, Shelf, Version
from tests.support.kinds import BOOK, make


def version(obj: Json) -> Version:
    return Version(orjson.dumps(obj), None, False)


def test_a_shelf_forgets_empty_namespaces() -> None:
    shelf = Shelf()
    key = ObjectKey("a", "x")
    shelf.put(key, version(make("x", "a")))
    shelf.remove(key)
    assert shelf.get(key) is None
    assert list(shelf.ordered(None)) == []
    assert shelf._namespaces == {}


@pytest.mark.parametrize(
    ("label", "obj", "may", "does"),
    [
        ("all of them", make("x", labels={"a": "1", "b": "2", "c": "3"}), True, True),
        ("one missing", make("x", labels={"a": "1"}), False, False),
        ("another value", make("x", labels={"a": "1", "b": "22"}), False, False),
        ("elsewhere", make("x", annotations={"a": "1", "b": "2"}), True, False),
        ("none", make("x"), False, False),
    ],
)
def test_label_filter(label: str, obj: Json, may: bool, does: bool) -> None:
    wanted = LabelFilter({"a": "1", "b": "2"})
    assert wanted.may_match(version(obj)) is may, label
    assert wanted.matches(obj) is does, label


def test_a_label_is_found_however_json_spells_it() -> None:
    labels = {"a/b": 'quote " and \\ and ü'}
    assert LabelFilter(labels).may_match(version(make("x", labels=labels)))


def test_the_owner_index_follows_changes() -> None:
    index, key = OwnerIndex(), ObjectKey("default", "x")

    def with_owners(*uids: str) -> Json:
        return make("x", ownerReferences=[{"uid": uid} for uid in uids])

    index.replace(BOOK, key, None, with_owners("1", "2"))
    index.replace(BOOK, key, with_owners("1", "2"), with_owners("2", "3"))
    assert [index.of(uid) for uid in "123"] == [[], [(BOOK, key)], [(BOOK, key)]]
    index.replace(BOOK, key, with_owners("2", "3"), None)
    assert index._dependents == {}
