from __future__ import annotations

from typing import Any

from core.reconcile.references import References
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.meta import Kind, ObjectKey
from core.store.base import EventType, WatchEvent

A, B = ObjectKey("default", "a"), ObjectKey("default", "b")


def who(references: References, kind: Kind[Any], name: str) -> set[ObjectKey]:
    event = WatchEvent(EventType.MODIFIED, {"metadata": {"name": name, "namespace": "default"}}, 1)
    return set(references.of(kind)(event))


def test_a_change_concerns_whoever_refers_to_it_now() -> None:
    references = References()
    references.set(A, [(SECRET, ObjectKey("default", "s")), (CONFIG_MAP, ObjectKey("default", "s"))])
    references.set(B, [(SECRET, ObjectKey("default", "s"))])
    assert who(references, SECRET, "s") == {A, B}
    assert who(references, CONFIG_MAP, "s") == {A}
    references.set(A, [(SECRET, ObjectKey("default", "t"))])
    assert who(references, SECRET, "s") == {B}
    assert who(references, SECRET, "t") == {A}
    references.set(B, ())
    assert who(references, SECRET, "s") == set()
