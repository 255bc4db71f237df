"""Children keep their parent's name as long as it fits into 63 characters."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.child_names import child_name


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("parent", "suffix", "expected"),
    [
        pytest.param("asdf", "-deployment", "asdf-deployment", id="short"),
        pytest.param("f" * 52, "-deployment", "f" * 52 + "-deployment", id="just fits"),
        pytest.param("f" * 63, "-deployment", "f" * 20 + md5("f" * 63) + "-deployment", id="parent too long"),
        pytest.param("asdf", "d" * 63, "asdf" + md5("asdf" + "d" * 63) + "d" * 27, id="suffix too long"),
        pytest.param("a" * 40, "-" + "d" * 40, "a" * 31 + md5("a" * 40 + "-" + "d" * 40), id="both too long"),
        pytest.param("a", "-" * 63, "a" + md5("a" + "-" * 63), id="never ends in a dash"),
    ],
)
def test_knatives_own_table(parent: str, suffix: str, expected: str) -> None:
    assert child_name(parent, suffix) == expected


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,80}[a-z0-9]", fullmatch=True), st.from_regex(r"-[a-z0-9]{1,70}", fullmatch=True)
)
def test_a_name_always_fits_and_ends_well(parent: str, suffix: str) -> None:
    name = child_name(parent, suffix)
    assert len(name) <= 63
    assert name[-1].isalnum()
