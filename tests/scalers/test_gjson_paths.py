from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalers.gjson_paths import look, parse_path

RECORDED = orjson.loads((Path(__file__).parent / "recorded" / "gjson.json").read_bytes())


@pytest.mark.parametrize(("path", "exists", "value"), RECORDED["paths"], ids=lambda each: str(each)[:40])
def test_as_gjson_has_it(path: str, exists: bool, value: Any) -> None:
    if exists:
        assert look(RECORDED["document"], parse_path(path)) == value
    else:
        with pytest.raises(LookupError):
            look(RECORDED["document"], parse_path(path))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "must be a path"),
        ("@reverse", "modifiers"),
        ("a|@values", "modifiers"),
        ("{a,b}", "multipaths"),
        ("a.[b,c]", "multipaths"),
        ("a.#(b==1", "is open"),
        ('a.#(b=="1).c', "is open"),
        ("a.#(b==1)x", "must be"),
        ("a\\", "is open"),
    ],
)
def test_what_is_no_path(path: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_path(path)


@given(
    st.text(st.sampled_from('ab.#()|=>%!"\\*?0 '), max_size=12),
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", "b", "ab"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
        max_leaves=8,
    ),
)
def test_any_path_into_anything_finds_something_or_nothing(path: str, document: Any) -> None:
    try:
        parsed = parse_path(path)
    except ValueError:
        return
    try:
        look(document, parsed)
    except LookupError:
        return
