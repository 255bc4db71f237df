"""Section 3.4.3: patterns, against a naive matcher, and in bounded time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.filters.cesql.like import compile_like, segments_of, start_of, text_of_segment


@pytest.mark.parametrize(
    ("pattern", "matching", "not_matching"),
    [
        ("", [""], ["a"]),
        ("abc", ["abc"], ["", "ab", "abcd", "ABC", "xabc"]),
        ("%", ["", "a", "a\nb", "äöü"], []),
        ("%%", ["", "a"], []),
        ("a%", ["a", "ab", "a\n"], ["", "ba"]),
        ("%a", ["a", "ba"], ["", "ab", "a\n"]),
        ("%a%", ["a", "bab"], ["", "b"]),
        ("ab%ba", ["abba", "abxba"], ["aba", "ab", "ba"]),
        ("a%b%c", ["abc", "axbxc", "abcbc"], ["acb", "ab", "ac"]),
        ("_", ["a", "%", "\n", "😀"], ["", "ab"]),
        ("_b%", ["ab", "abc", "xb"], ["b", "acd", "aBc"]),
        ("%_", ["a", "ab"], [""]),
        ("a_%_z", ["abcz", "a12z"], ["abz", "az"]),
        ("%a_c%", ["xabcx", "aac"], ["ac", "abx"]),
        (r"100\%", ["100%"], ["100", "100x", r"100\%"]),
        (r"a\_b", ["a_b"], ["axb"]),
        (r"a\%%", ["a%", "a%b"], ["ab"]),
        (r"a\b", [r"a\b"], ["ab"]),
        ("a\\", ["a\\"], ["a"]),
        (r"\\%", [r"\%"], ["\\", r"\\x"]),
        ("a.c", ["a.c"], ["abc"]),
        ("a\nb_%", ["a\nbc"], ["a", "abc"]),
        ("[a]*(b)+", ["[a]*(b)+"], ["a"]),
    ],
)
def test_matches(pattern: str, matching: list[str], not_matching: list[str]) -> None:
    matches = compile_like(pattern)
    assert [text for text in matching if not matches(text)] == []
    assert [text for text in not_matching if matches(text)] == []


def naive(pattern: str, text: str) -> bool:
    """Tries every length of every `%`."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(naive(pattern[1:], text[skip:]) for skip in range(len(text) + 1))
    if pattern[:2] in ("\\%", "\\_"):
        return text[:1] == pattern[1] and naive(pattern[2:], text[1:])
    return bool(text) and pattern[0] in ("_", text[0]) and naive(pattern[1:], text[1:])


@given(st.text("ab%_\\", max_size=8), st.text("ab%_\\", max_size=8))
def test_matches_as_a_naive_matcher_does(pattern: str, text: str) -> None:
    assert compile_like(pattern)(text) == naive(pattern, text)


@given(st.text("ab%_\\", max_size=8), st.text("ab%_\\", max_size=8))
def test_what_matches_begins_as_its_segment_does(pattern: str, text: str) -> None:
    first = segments_of(pattern)[0]
    if compile_like(pattern)(text):
        assert text.startswith(start_of(first))
        assert text_of_segment(first) is None or text.startswith(text_of_segment(first) or "")


def test_many_wildcards_take_no_longer_than_the_text_is_long() -> None:
    matches = compile_like("%a_" * 30 + "%b")
    began = time.process_time()
    assert not matches("a" * 20_000 + "c")
    assert not matches("a" * 20_000 + "b" + "c")
    assert time.process_time() - began < 1.0  # trying all ways would take longer than the universe has
