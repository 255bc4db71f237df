"""Numbers of Indexed Jobs as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.job_indexes import read_indexes, write_indexes


@pytest.mark.parametrize(
    ("indexes", "text"),
    [((), ""), ((0,), "0"), ((1, 2), "1,2"), ((1, 3, 4, 5), "1,3-5"), ((9, 0, 1, 2, 7), "0-2,7,9")],
)
def test_as_upstream_writes_them(indexes: tuple[int, ...], text: str) -> None:
    assert write_indexes(indexes) == text


@given(st.sets(st.integers(0, 60)))
def test_what_is_written_is_read(indexes: set[int]) -> None:
    assert read_indexes(write_indexes(indexes)) == indexes
