"""Section 3.5: the built-in functions by table, overloads, functions of one's own."""

from __future__ import annotations

import pytest

from eventing.filters.cesql import BUILT_IN, Function, FunctionFailed, Functions, ParseError, Type, Value, parse

S, I, B = Type.STRING, Type.INTEGER, Type.BOOLEAN  # noqa: E741


def evaluated(text: str, functions: Functions = BUILT_IN) -> tuple[Value, str | None]:
    parsed = parse(text, functions)
    assert not isinstance(parsed, ParseError), str(parsed)
    value, error = parsed.evaluate(
        {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "seven": 7, "yes": True}
    )
    return value, error.kind if error else None


@pytest.mark.parametrize(
    ("text", "value", "error"),
    [
        # 3.5.1 strings, counted in characters
        ("LENGTH('')", 0, None),
        ("LENGTH('grün')", 4, None),
        ("LENGTH('😀')", 1, None),
        ("LENGTH(seven)", 1, None),
        ("LENGTH(FALSE)", 5, None),
        ("CONCAT()", "", None),
        ("CONCAT('a', 1, TRUE, seven)", "a1true7", None),
        ("CONCAT_WS('-')", "", None),
        ("CONCAT_WS('-', 'a')", "a", None),
        ("CONCAT_WS('-', 'a', '', 'b')", "a--b", None),
        ("CONCAT_WS(0, 1, 2)", "102", None),
        ("CONCAT_WS()", False, "missingFunction"),
        ("LOWER('ÄbC1')", "äbc1", None),
        ("UPPER('äBc1')", "ÄBC1", None),
        ("TRIM('  a b  ')", "a b", None),
        ("TRIM('\t\n\r\u00a0\u2003\u3000a\u2028\u0085')", "a", None),
        ("TRIM('\u001c\u001fa\u0000\u200b\ufeff')", "\u001c\u001fa\u0000\u200b\ufeff", None),
        ("LEFT('abc', 2)", "ab", None),
        ("LEFT('abc', 3)", "abc", None),
        ("LEFT('abc', 9)", "abc", None),
        ("LEFT('abc', 0)", "", None),
        ("LEFT('abc', -1)", "abc", "functionEvaluation"),
        ("LEFT('grün', 3)", "grü", None),
        ("RIGHT('abc', 2)", "bc", None),
        ("RIGHT('abc', 9)", "abc", None),
        ("RIGHT('abc', 0)", "", None),
        ("RIGHT('abc', -1)", "abc", "functionEvaluation"),
        ("SUBSTRING('abcdef', 1)", "abcdef", None),
        ("SUBSTRING('abcdef', 6)", "f", None),
        ("SUBSTRING('abcdef', 7)", "", "functionEvaluation"),
        ("SUBSTRING('abcdef', -1)", "f", None),
        ("SUBSTRING('abcdef', -6)", "abcdef", None),
        ("SUBSTRING('abcdef', -7)", "", "functionEvaluation"),
        ("SUBSTRING('abcdef', 0)", "", None),
        ("SUBSTRING('', 0)", "", None),
        ("SUBSTRING('', 1)", "", "functionEvaluation"),
        ("SUBSTRING('abcdef', 2, 3)", "bcd", None),
        ("SUBSTRING('abcdef', 5, 9)", "ef", None),
        ("SUBSTRING('abcdef', 5, 2147483647)", "ef", None),
        ("SUBSTRING('abcdef', -2, 1)", "e", None),
        ("SUBSTRING('abcdef', 2, 0)", "", None),
        ("SUBSTRING('abcdef', 0, 3)", "", None),
        ("SUBSTRING('abcdef', 2, -1)", "", "functionEvaluation"),
        ("SUBSTRING('abcdef', 0, -1)", "", "functionEvaluation"),
        ("SUBSTRING('abcdef', 7, 1)", "", "functionEvaluation"),
        ("SUBSTRING('abcdef', '2', '3')", "bcd", None),
        # 3.5.2 mathematics
        ("ABS(7)", 7, None),
        ("ABS(-7)", 7, None),
        ("ABS('-7')", 7, None),
        ("ABS(yes)", 1, None),
        ("ABS(-2147483647)", 2147483647, None),
        ("ABS(-2147483648)", 2147483647, "math"),
        ("(ABS(-2147483648))", 2147483647, "math"),
        ("ABS('x')", 0, "cast"),
        # casts
        ("INT('7')", 7, None),
        ("INT(TRUE)", 1, None),
        ("INT('x')", 0, "cast"),
        ("INT('2147483648')", 0, "cast"),
        ("BOOL('tRue')", True, None),
        ("BOOL(0)", False, None),
        ("BOOL('1')", False, "cast"),
        ("STRING(-7)", "-7", None),
        ("STRING(yes)", "true", None),
        ("IS_INT('7')", True, None),
        ("IS_INT('x')", False, None),
        ("IS_BOOL('x')", False, None),
        ("IS_BOOL(7)", True, None),
        # dispatch
        ("length('abc')", 3, None),
        ("LENGTH()", False, "missingFunction"),
        ("LENGTH('a', 'b')", False, "missingFunction"),
        ("SUBSTRING('a')", False, "missingFunction"),
        ("NO_SUCH(1)", False, "missingFunction"),
        ("NO_SUCH(missing)", False, "missingFunction"),
        # 3.5.3 with an error of an argument, the zero value of the function's type
        ("LENGTH(missing)", 0, "missingAttribute"),
        ("CONCAT('a', missing)", "", "missingAttribute"),
        ("LENGTH(LEFT('abc', -1))", 0, "functionEvaluation"),
        ("UPPER(NO_SUCH())", "", "missingFunction"),
        ("BOOL(1 / 0)", False, "math"),
        ("LEFT(missing, -1)", "", "missingAttribute"),
    ],
)
def test_built_in(text: str, value: Value, error: str | None) -> None:
    found = evaluated(text)
    assert (*found, type(found[0])) == (value, error, type(value))


def joined(*texts: str) -> str:
    return "".join(texts)


ONE = Function("ABC", (S,), I, len)
TWO = Function("ABC", (S, S), S, joined)
THREE_OR_MORE = Function("ABC", (S, S, S), S, joined, rest=S)


def test_overloads_are_told_apart_by_the_number_of_arguments() -> None:
    functions = BUILT_IN.extended(ONE, TWO, THREE_OR_MORE)
    calls = ["ABC('a')", "ABC('a', 'b')", "abc('a', 'b', 'c')", "ABC('a', 'b', 'c', 'd')", "ABC()", "LENGTH('a')"]
    values = [(1, None), ("ab", None), ("abc", None), ("abcd", None), (False, "missingFunction"), (1, None)]
    assert [evaluated(call, functions) for call in calls] == values
    assert evaluated("ABC('a')") == (False, "missingFunction"), "the built-in set has changed"


@pytest.mark.parametrize(
    "clashing",
    [
        (ONE, ONE),
        (THREE_OR_MORE, Function("ABC", (S, S, S), S, joined)),
        (Function("ABC", (S, S, S), S, joined), THREE_OR_MORE),
        (Function("ABC", (), S, joined, rest=S), ONE),
        (ONE, Function("ABC", (), S, joined, rest=S)),
        (THREE_OR_MORE, Function("ABC", (S, S, S, S), S, joined, rest=S)),
        (Function("LENGTH", (I,), I, abs),),
    ],
)
def test_refuses_functions_that_a_call_could_not_tell_apart(clashing: tuple[Function, ...]) -> None:
    with pytest.raises(ValueError, match=clashing[0].name):
        BUILT_IN.extended(*clashing)


def failing(value: Value | None) -> Function:
    def body() -> Value:
        raise FunctionFailed("no", value)

    return Function("FAILING", (), I, body)


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (failing(None), 0),
        (failing(5), 5),
        (Function("FAILING", (), I, lambda: "x"), 0),
        (Function("FAILING", (), I, lambda: True), 0),
        (Function("FAILING", (), I, lambda: 2**31), 0),
        (Function("FAILING", (), S, lambda: 1), ""),
    ],
)
def test_a_function_that_fails_or_breaks_its_word_still_gives_a_value_of_its_type(
    function: Function, value: Value
) -> None:
    assert evaluated("FAILING()", BUILT_IN.extended(function)) == (value, "functionEvaluation")
