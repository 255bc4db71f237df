from __future__ import annotations

import orjson
import pytest

from core.resources.meta import Json, ObjectKey
from core.store.table import LabelFilter, OwnerIndex, Packing, Shelf, Version
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


@pytest.mark.parametrize("size", [1, 255, 256, 10_000, 32_768, 40_000])
def test_what_has_settled_reads_as_before(size: int) -> None:
    packing = Packing()
    objects = [make(name, annotations={"text": name * size}) for name in ("a", "b", "c")]
    versions = [Version(orjson.dumps(obj), obj, False) for obj in objects]
    for each in versions:
        each.settle(packing)
        each.settle(packing)
    assert [each.obj for each in versions] == [None] * 3
    assert [each.load() for each in versions] == objects
    assert [each.copy() for each in versions] == objects


def test_objects_alike_are_packed_small() -> None:
    packing = Packing()
    labels = {f"example.dev/{word}": word * 10 for word in ("one", "two", "three", "four", "five", "six", "seven")}
    first, second = (Version(orjson.dumps(make(name, labels=labels)), None, False) for name in ("x", "y"))
    first.settle(packing)
    second.settle(packing)
    assert len(second._kept) < len(second.data) / 5


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
    assert not len(index._dependents)
