"""How an error of an expression shows the place."""

from __future__ import annotations

import pytest

from eventing.filters.cesql import ParseError, parse


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a ==b", "unexpected `=`: equality is a single = (column 4)\na ==b\n   ^"),
        ("a = 1\n  AND )\n", "expected a value, found `)` (line 2, column 7)\n  AND )\n      ^"),
        ("", "expected a value, found the end (column 1)\n\n^"),
        ("a =\n", "expected a value, found the end (line 2, column 1)\n\n^"),
        ("\ta b", "unexpected `b`: expected an operator or the end (column 4)\n a b\n   ^"),
    ],
)
def test_shows(text: str, shown: str) -> None:
    assert str(parse(text)) == shown


def test_shows_of_a_long_line_what_is_around_the_place() -> None:
    problem = parse("a = 1 AND " * 100 + ")" + " OR b" * 100)
    assert isinstance(problem, ParseError)
    line, caret = problem.mark.split("\n")
    assert len(line) == 100
    assert line[caret.index("^")] == ")"
