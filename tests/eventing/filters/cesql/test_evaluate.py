"""Sections 3.2 to 3.7, operator by operator: values, errors, casts, short circuit. With `shortcuts`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.filters.cesql import ParseError, Type, Value, parse
from eventing.filters.cesql.casts import ZERO

EVENT: dict[str, Value] = {
    "specversion": "1.0",
    "id": "id-1",
    "source": "/shop",
    "type": "com.example.order",
    "time": "2026-01-02T03:04:05+02:00",
    "subject": "eu-7",
    "sequence": "10",
    "hop": "5",
    "ttl": "12",
    "number": 42,
    "negative": -3,
    "yes": True,
    "no": False,
    "yestext": "TRUE",
    "empty": "",
    "1a": "digit first",
}


def evaluated(text: str) -> tuple[Value, str | None]:
    parsed = parse(text)
    assert not isinstance(parsed, ParseError), str(parsed)
    value, error = parsed.evaluate(EVENT)
    return value, error.kind if error else None


MISSING, CAST, MATH = "missingAttribute", "cast", "math"
LEAST, GREATEST = -2147483648, 2147483647

CASES: list[tuple[str, Value, str | None]] = [
    # 3.2 attributes
    ("id", "id-1", None),
    ("ID", "id-1", None),
    ("time", "2026-01-02T03:04:05+02:00", None),
    ("number", 42, None),
    ("yes", True, None),
    ("1a", "digit first", None),
    ("missing", False, MISSING),
    ("missing = ''", False, MISSING),
    ("true AND (missing = '')", False, MISSING),
    ("missing * 5", 0, MISSING),
    ("1 / missing", 0, MISSING),
    ("data", False, MISSING),
    # 3.4.1 unary
    ("NOT TRUE", False, None),
    ("NOT 0", True, None),
    ("NOT 'false'", True, None),
    ("NOT yestext", False, None),
    ("NOT 'x'", False, CAST),
    ("NOT missing", False, MISSING),
    ("-number", -42, None),
    ("--1", 1, None),
    ("-'7'", -7, None),
    ("-yes", -1, None),
    ("-'x'", 0, CAST),
    ("-missing", 0, MISSING),
    ("- -2147483648", GREATEST, MATH),
    ("-(-2147483648)", GREATEST, MATH),
    # 3.4.2 equality: the right operand's type decides
    ("id = 'id-1'", True, None),
    ("id = 'ID-1'", False, None),
    ("id != 'id-1'", False, None),
    ("id <> 'x'", True, None),
    ("number = 42", True, None),
    ("number = '42'", True, None),
    ("number = '042'", False, None),
    ("number != '42'", False, None),
    ("'042' = number", True, None),
    ("sequence = 10", True, None),
    ("10 = sequence", True, None),
    ("yes = 'true'", True, None),
    ("TRUE = 'TRUE'", False, None),
    ("TRUE = 'true' AND FALSE = 'false'", True, None),
    ("TRUE = 'TRUE' OR FALSE = 'FALSE'", False, None),
    ("'TRUE' = TRUE", True, None),
    ("1 = TRUE", True, None),
    ("2 = TRUE", True, None),
    ("TRUE = 2", False, None),
    ("'x' = 1", False, CAST),
    ("'x' != 1", False, CAST),
    ("'x' = TRUE", False, CAST),
    ("missing != 'x'", False, MISSING),
    ("missing <> 1", False, MISSING),
    ("'x' = missing", False, MISSING),
    ("id = source", False, None),
    ("subject = subject", True, None),
    # 3.4.2 order: integers only
    ("hop < ttl", True, None),
    ("hop <= 5", True, None),
    ("hop > ttl", False, None),
    ("ttl >= '12'", True, None),
    ("number > negative", True, None),
    ("TRUE > FALSE", True, None),
    ("id < 5", False, CAST),
    ("5 < id", False, CAST),
    ("missing < 5", False, MISSING),
    ("5 >= missing", False, MISSING),
    ("1 < 2 < 3", True, None),
    # 3.4.2 arithmetic: toward 0, the sign of the dividend, 32 bits
    ("1 + 2 * 3", 7, None),
    ("(1 + 2) * 3", 9, None),
    ("10 - 4 - 3", 3, None),
    ("sequence + 1", 11, None),
    ("'5' + TRUE", 6, None),
    ("7 / 2", 3, None),
    ("-7 / 2", -3, None),
    ("7 / -2", -3, None),
    ("-7 / -2", 3, None),
    ("7 % 3", 1, None),
    ("-7 % 3", -1, None),
    ("7 % -3", 1, None),
    ("-7 % -3", -1, None),
    ("-6 % 3", 0, None),
    ("5 / 0", 0, MATH),
    ("5 % 0", 0, MATH),
    ("missing / 0", 0, MISSING),
    ("missing % 0", 0, MISSING),
    ("'x' + 1", 0, CAST),
    ("2147483647 + 1", GREATEST, MATH),
    ("-2147483648 - 1", LEAST, MATH),
    ("65536 * 65536", GREATEST, MATH),
    ("65536 * -65536", LEAST, MATH),
    ("-2147483648 / -1", GREATEST, MATH),
    ("-2147483648 % -1", 0, None),
    ("2147483647 + 1 - 1", 0, MATH),
    ("2147483647 + 1 > 0", False, MATH),
    # 3.4.2 logic, short circuit
    ("TRUE AND 1", True, None),
    ("yes XOR no", True, None),
    ("yes XOR 'true'", False, None),
    ("FALSE AND missing", False, None),
    ("TRUE OR missing", True, None),
    ("no AND (1 / 0 = 1)", False, None),
    ("yes OR (1 / 0 = 1)", True, None),
    ("TRUE AND missing", False, MISSING),
    ("FALSE OR missing", False, MISSING),
    ("missing OR TRUE", False, MISSING),
    ("missing AND FALSE", False, MISSING),
    ("TRUE XOR missing", False, MISSING),
    ("FALSE OR 1 != 1 / 0", False, MATH),
    ("'x' AND TRUE", False, CAST),
    ("TRUE AND 'x'", False, CAST),
    # 3.6 logic groups to the right
    ("FALSE AND FALSE OR TRUE", False, None),
    ("(FALSE AND FALSE) OR TRUE", True, None),
    ("TRUE OR TRUE AND FALSE", True, None),
    ("TRUE XOR TRUE OR TRUE", False, None),
    ("TRUE XOR FALSE AND missing", True, None),
    ("TRUE XOR TRUE OR missing", False, None),
    ("TRUE AND FALSE XOR TRUE", True, None),
    ("FALSE OR TRUE XOR TRUE", False, None),
    # 3.4.3 LIKE
    ("subject LIKE 'eu-_'", True, None),
    ("subject NOT LIKE 'eu-%'", False, None),
    ("number LIKE '4_'", True, None),
    ("yes LIKE 'tr%'", True, None),
    ("12 LIKE '1_'", True, None),
    ("NOT TRUE LIKE 'fal%'", True, None),
    ("missing LIKE '%'", False, MISSING),
    ("missing NOT LIKE 'x'", False, MISSING),
    ("LOWER(missing) LIKE '%'", False, MISSING),
    # 3.4.4 EXISTS
    ("EXISTS subject", True, None),
    ("EXISTS SUBJECT", True, None),
    ("EXISTS empty", True, None),
    ("EXISTS no", True, None),
    ("EXISTS missing", False, None),
    ("NOT EXISTS missing", True, None),
    ("EXISTS id AND EXISTS source AND EXISTS type AND EXISTS specversion", True, None),
    # 3.4.5 IN: the left operand's type decides
    ("type IN ('a', 'com.example.order')", True, None),
    ("type NOT IN ('a', 'com.example.order')", False, None),
    ("type IN ('a', 'b')", False, None),
    ("sequence IN (9, 10)", True, None),
    ("sequence IN (9, 010)", True, None),
    ("sequence IN ('010')", False, None),
    ("number IN ('042', '7')", True, None),
    ("number IN ('42')", True, None),
    ("yes IN ('TRUE')", True, None),
    ("'true' IN (TRUE)", True, None),
    ("'TRUE' IN (TRUE)", False, None),
    ("1 IN (2, hop, 1)", True, None),
    ("1 IN (1, 'x')", True, None),
    ("1 IN ('x', 1)", False, CAST),
    ("1 NOT IN ('x', 2)", False, CAST),
    ("source IN (id, source)", True, None),
    ("source IN (missing, source)", False, MISSING),
    ("source IN (source, missing)", True, None),
    ("missing IN ('x')", False, MISSING),
    ("missing NOT IN ('x')", False, MISSING),
    ("missing IN (1, 'x')", False, MISSING),
    # 5 examples
    ("int(hop) < int(ttl) and int(hop) < 1000", True, None),
    ("(source = 'x' AND type = 'y') OR subject = 'eu-7'", True, None),
]


@pytest.mark.parametrize(("text", "value", "error"), CASES, ids=[text for text, _, _ in CASES])
def test_value_and_error(text: str, value: Value, error: str | None) -> None:
    found = evaluated(text)
    assert (*found, type(found[0])) == (value, error, type(value))


@pytest.mark.parametrize("text", [text for text, _, error in CASES if error is None])
def test_does_not_change_the_event(text: str) -> None:
    before = dict(EVENT)
    evaluated(text)
    assert before == EVENT


literals = st.sampled_from(["TRUE", "FALSE", "0", "1", "-7", "2147483647", "'x'", "'true'", "'12'", "''"])
attributes = st.sampled_from(["id", "number", "yes", "no", "sequence", "missing"])


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "AND", "OR", "XOR"])
    functions = st.sampled_from(["LENGTH", "ABS", "INT", "BOOL", "UPPER", "TRIM", "NO_SUCH", "CONCAT"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, operators, inner),
        st.builds("NOT {}".format, inner),
        st.builds("- {}".format, inner),
        st.builds("{}({})".format, functions, inner),
        st.builds("LEFT({}, {})".format, inner, inner),
        st.builds("SUBSTRING({}, {}, {})".format, inner, inner, inner),
        st.builds("({} LIKE '%1_')".format, inner),
        st.builds("({} NOT IN ({}, {}))".format, inner, inner, inner),
        st.builds("EXISTS {}".format, attributes),
    )


expressions = st.recursive(literals | attributes, grown, max_leaves=12)


@given(expressions)
def test_is_total(text: str) -> None:
    """Whatever the expression: a value of its type and of 32 bits; only a true one without an error passes."""
    parsed = parse(text)
    assert not isinstance(parsed, ParseError)
    value, error = parsed.evaluate(EVENT)
    if parsed.type is not Type.ANY:
        assert type(value) is type(ZERO[parsed.type])
    if type(value) is int:
        assert LEAST <= value <= GREATEST
    assert parsed.passes(EVENT) == (value is True and error is None)
    assert parsed.evaluate(EVENT) == (value, error)


@given(expressions, st.sampled_from(["id", "number", "yes", "missing", "sequence"]))
def test_parentheses_change_nothing_where_they_are_not_needed(text: str, name: str) -> None:
    """So the closures for a bare attribute agree with those of any operand."""
    plain, wrapped = f"{name} = 'x' OR {name} LIKE '4%'", f"({name}) = ('x') OR (({name}) LIKE '4%')"
    assert evaluated(plain) == evaluated(wrapped)
    assert evaluated(text) == evaluated(f"({text})")


TRUTHS = st.lists(st.booleans(), min_size=2, max_size=7)


@given(TRUTHS, st.data())
def test_chains_of_logic_group_to_the_right(truths: list[bool], data: st.DataObject) -> None:
    operators = data.draw(
        st.lists(st.sampled_from(["AND", "OR", "XOR"]), min_size=len(truths) - 1, max_size=len(truths) - 1)
    )
    words = [str(truth) for truth in truths]
    chain = words[0] + "".join(f" {operator} {word}" for operator, word in zip(operators, words[1:], strict=True))
    expected = truths[-1]
    for truth, operator in zip(reversed(truths[:-1]), reversed(operators), strict=True):
        expected = {"AND": truth and expected, "OR": truth or expected, "XOR": truth != expected}[operator]
    assert evaluated(chain) == (expected, None)
