import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apiserver.paging import (
    SNAPSHOT_AGE_MAX_S,
    SNAPSHOTS_MAX,
    Snapshot,
    Snapshots,
    Token,
    expired,
    position,
)
from core.errors import BadRequest
from core.resources.autoscaling import POD_AUTOSCALER


def entry(namespace: str, name: str) -> bytes:
    return orjson.dumps({"metadata": {"namespace": namespace, "name": name}})


@given(st.integers(min_value=-1), st.text(), st.text())
def test_a_token_survives_its_journey(version: int, namespace: str, name: str) -> None:
    if version < 2**63 and not any("\ud800" <= char <= "\udfff" for char in namespace + name):
        token = Token(version, namespace, name)
        assert Token.decode(token.encode()) == token


@pytest.mark.parametrize("text", ["", "!!", "AAAA", "eyJydiI6MX0", "eyJydiI6IngiLCJzdGFydCI6WyJhIiwiYiJdfQ", "é"])
def test_a_token_of_somebody_else_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        Token.decode(text)


def test_the_next_page_starts_after_the_last_object_even_if_that_is_gone() -> None:
    snapshot = Snapshot([entry("a", "x"), entry("a", "z"), {"metadata": {"namespace": "b", "name": "a"}}], 7)
    assert position(snapshot, Token(7, "a", "x")) == 1
    assert position(snapshot, Token(7, "a", "y")) == 1
    assert position(snapshot, Token(7, "a", "z")) == 2
    assert position(snapshot, Token(7, "b", "a")) == 3


def test_snapshots_are_bounded_in_age_and_number() -> None:
    snapshots = Snapshots()
    for version in range(SNAPSHOTS_MAX + 1):
        snapshots.keep(POD_AUTOSCALER, "", Snapshot([], version), now=float(version))
    assert snapshots.find(POD_AUTOSCALER, "", 0, now=40.0) is None
    assert snapshots.find(POD_AUTOSCALER, "", 1, now=40.0) is not None
    assert snapshots.find(POD_AUTOSCALER, "other", 1, now=40.0) is None
    assert snapshots.find(POD_AUTOSCALER, "", SNAPSHOTS_MAX, now=SNAPSHOT_AGE_MAX_S + SNAPSHOTS_MAX) is None


def test_an_expired_token_comes_with_one_that_goes_on_in_the_present() -> None:
    error = expired(Token(5, "ns", "name"))
    assert Token.decode(error.continuation) == Token(-1, "ns", "name")
