"""What callers hold: the answer as a filter, and what can be told before any event; `explain` says why one fails."""

from __future__ import annotations

import pytest

from eventing.filters.cesql import Expression, ParseError, Type, parse
from eventing.filters.cesql.explain import why_not

EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "order", "flag": True, "number": 1}


def parsed(text: str) -> Expression:
    expression = parse(text)
    assert not isinstance(expression, ParseError), str(expression)
    return expression


@pytest.mark.parametrize(
    ("text", "passes", "reason"),
    [
        ("type = 'order'", True, None),
        ("flag", True, None),
        ("type = 'x'", False, "`type = 'x'` is false: type is \"order\""),
        ("flag AND type = 'order' AND (id = '1' AND id LIKE '2%')", False, "`id LIKE '2%'` is false: id is \"1\""),
        ("id = '2' OR number > 1", False, "`id = '2' OR number > 1` is false: id is \"1\", number is 1"),
        ("EXISTS subject", False, "`EXISTS subject` is false: subject is missing"),
        ("FALSE", False, "`FALSE` is false"),
        ("subject = 'x'", False, "`subject = 'x'` has an error: attribute subject is missing"),
        ("NOT (subject = 'x')", False, "`NOT (subject = 'x')` has an error: attribute subject is missing"),
        ("type", False, '`type` gives "order", a String: a filter must give a Boolean'),
        ("number", False, "`number` gives 1, an Integer: a filter must give a Boolean"),
        ("id < 2 AND 1 / 0 = 1", False, "`id < 2 AND 1 / 0 = 1` has an error: 1 is divided by 0"),
        ("type = 'order' AND type > 1", False, "`type = 'order' AND type > 1` has an error: 'order' is not an integer"),
    ],
)
def test_passes_and_says_why_not(text: str, passes: bool, reason: str | None) -> None:
    assert parsed(text).passes(EVENT) == passes
    assert why_not(parsed(text), EVENT) == reason


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("id", Type.ANY),
        ("'x'", Type.STRING),
        ("1", Type.INTEGER),
        ("TRUE", Type.BOOLEAN),
        ("-id", Type.INTEGER),
        ("NOT id", Type.BOOLEAN),
        ("id + 1", Type.INTEGER),
        ("id = 1", Type.BOOLEAN),
        ("id LIKE 'x'", Type.BOOLEAN),
        ("id IN (1)", Type.BOOLEAN),
        ("EXISTS id", Type.BOOLEAN),
        ("a OR b", Type.BOOLEAN),
        ("LENGTH(id)", Type.INTEGER),
        ("NO_SUCH(id)", Type.BOOLEAN),
    ],
)
def test_knows_its_type(text: str, type_: Type) -> None:
    assert parsed(text).type is type_


def test_knows_calls_of_functions_that_there_are_not() -> None:
    expression = parsed("LENGTH(FOO(1)) = 1 AND LEFT('a') = BAR()")
    assert [expression.source_of(call) for call in expression.unknown_calls()] == ["FOO(1)", "LEFT('a')", "BAR()"]


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("a AND b AND c", None),
        ("(a AND b) OR c", None),
        ("a AND b OR c", "a AND (b OR c)"),
        ("a OR b AND c AND d", "a OR (b AND c AND d)"),
        ("a AND b OR c XOR d", "a AND (b OR (c XOR d))"),
        ("NOT (a = 1 OR b AND c)", "a = 1 OR (b AND c)"),
    ],
)
def test_tells_how_mixed_logic_is_read(text: str, reading: str | None) -> None:
    assert parsed(text).mixed_logic() == reading
    if reading:
        assert parsed(reading).mixed_logic() is None


def test_shows_itself() -> None:
    assert repr(parsed("a = 1")) == "Expression('a = 1')"
