"""Formulas as KEDA's pages, its tests and its users write them; then what expr's own definition says of each part.

Stage by stage: core/resources/formulas/tokens.py, core/resources/formulas/parser.py,
core/resources/formulas/values.py, core/resources/formulas/compile.py; a formula passes them all.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.formulas.formula import Formula, Unsolved, check_formula, compile_formula

NAMES = ("trig_one", "trig_two", "trig_three", "a", "b", "c")


def solve(text: str, **values: float | None) -> float | Unsolved:
    compiled = compile_formula(text, (*NAMES, *values))
    assert isinstance(compiled, Formula), compiled
    return compiled.evaluate(values)


def number(text: str, **values: float | None) -> float:
    result = solve(text, **values)
    assert isinstance(result, float), result
    return result


CRON = """
if (max([a, b]) > 0) {
  max([a, b])
} else {
  c
}
"""


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        pytest.param("(trig_one + trig_two)/2", (4, 1), 2.5, id="composed average"),
        pytest.param("trig_one > 2 ? trig_one + trig_two : 1", (3, 4), 7, id="ternary"),
        pytest.param("trig_one > 2 ? trig_one + trig_two : 1", (2, 4), 1, id="ternary, otherwise"),
        pytest.param("count([trig_one,trig_two,trig_three],{#>1}) > 1 ? 5 : 0", (2, 2, 0), 5, id="count"),
        pytest.param("count([trig_one,trig_two,trig_three],{#>1}) > 1 ? 5 : 0", (2, 0, 0), 0, id="count of one"),
        pytest.param("trig_one < 2 ? trig_one+trig_two >= 2 ? 5 : 10 : 0", (1, 1), 5, id="nested, both"),
        pytest.param("trig_one < 2 ? trig_one+trig_two >= 2 ? 5 : 10 : 0", (1, 0), 10, id="nested, first"),
        pytest.param("trig_one < 2 ? trig_one+trig_two >= 2 ? 5 : 10 : 0", (2, 9), 0, id="nested, none"),
        pytest.param("max(trig_one, trig_two)", (3, 4), 4, id="max"),
        pytest.param("float(trig_one + trig_two)", (3, 4), 7, id="already a float"),
        pytest.param("float(trig_one) > 2 ? 1 : 0", (3,), 1, id="begins with float( and yields an integer"),
        pytest.param("trig_one ?? trig_two ?? 8", (None, None), 8, id="fallback of fallbacks"),
        pytest.param("trig_one ?? trig_two ?? 8", (None, 3), 3, id="the second"),
    ],
)
def test_formulas_of_kedas_pages(text: str, values: tuple[float | None, ...], result: float) -> None:
    given_values = dict(zip(NAMES, values, strict=False))
    assert number(text, **given_values) == result
    assert check_formula(text, NAMES) is None


def test_the_formula_of_kedas_own_end_to_end_test() -> None:
    assert check_formula(CRON, NAMES) is None
    assert number(CRON, a=0, b=10, c=3) == 10
    assert number(CRON, a=0, b=0, c=3) == 3


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param("1 + 2 * 3", 7, id="times before plus"),
        pytest.param("7 - 2 - 1", 4, id="to the left"),
        pytest.param("2 ** 3 ** 2", 512, id="powers to the right"),
        pytest.param("2 ^ 3", 8, id="the other power"),
        pytest.param("-2 ** 2 + 5", 1, id="a sign is looser than a power"),
        pytest.param("-2 * -3", 6, id="a sign is tighter than times"),
        pytest.param("2 * 3 ** 2", 18, id="powers before times"),
        pytest.param("7 / 2", 3.5, id="division is never whole"),
        pytest.param("7 % 4", 3, id="remainder"),
        pytest.param("10 - -7 % 4", 13, id="remainder has the sign of the left"),
        pytest.param("0x2A + 0b11 + 0o17 + 1_000", 42 + 3 + 15 + 1000, id="other bases"),
        pytest.param(".5 + 1e2 + 1.", 101.5, id="fractions"),
        pytest.param("a // what waits\n + /* and */ b", 3, id="comments"),
        pytest.param("a > 0 and b > 0 ? 1 : 0", 1, id="and"),
        pytest.param("a > 0 && b > 5 || c == 3 ? 1 : 0", 1, id="and before or"),
        pytest.param("not (a > 5) ? 1 : 0", 1, id="not"),
        pytest.param("!(a > 5) ? 1 : 0", 1, id="!"),
        pytest.param("0 < a < 2 ? 1 : 0", 1, id="between"),
        pytest.param("0 < a < 2 < b ? 1 : 0", 0, id="a chain of three"),
        pytest.param("a in [1, 2] ? 1 : 0", 1, id="in"),
        pytest.param("a not in [1, 2] ? 1 : 0", 0, id="not in"),
        pytest.param("'x' == \"x\" ? 1 : 0", 1, id="strings"),
        pytest.param("'b' > 'a' ? 1 : 0", 1, id="order of strings"),
        pytest.param("a != nil ? 1 : 0", 1, id="nil"),
        pytest.param("true ? 1 : 0", 1, id="true"),
        pytest.param("abs(-2.5)", 2.5, id="abs"),
        pytest.param("ceil(1.2) + floor(1.8)", 3, id="ceil, floor"),
        pytest.param("round(2.5) + round(1.4)", 4, id="round, half away from zero"),
        pytest.param("int(7.9) + int('3') + float('0.5')", 10.5, id="int, float"),
        pytest.param("max(a, [b, c]) + min([a, b])", 4, id="max and min of lists"),
        pytest.param("sum([a, b, c]) + mean([a, b, c]) + median([c, a, b, 10])", 6 + 2 + 2.5, id="sum, mean, median"),
        pytest.param("sum([a, b], # * 2)", 6, id="sum of a predicate"),
        pytest.param("len([a, b]) + len('abc')", 5, id="len"),
        pytest.param("count([a, b, c], # >= 2)", 2, id="count without braces"),
        pytest.param("count([true, false, true])", 2, id="count of truths"),
        pytest.param("all([a, b], # > 0) && any([a, b], # > 1) && none([a], # > 1) && one([a, b], # > 1) ? 1 : 0", 1),
        pytest.param("sum(filter([a, b, c], {# > 1})) + sum(map([a, b], #index))", 6, id="filter, map, index"),
        pytest.param("find([a, b, c], # > 1)", 2, id="find"),
        pytest.param("reduce([a, b, c], #acc * 10 + #)", 123, id="reduce"),
        pytest.param("reduce([a, b], #acc + #, 100)", 103, id="reduce from"),
        pytest.param("[a, b] | max()", 2, id="pipe"),
        pytest.param("[a, b][-1] + first([b]) + last([c]) + sort([c, a])[0]", 8, id="items"),
        pytest.param("let x = a + b; x * x", 9, id="let"),
        pytest.param("let x = a; let y = x + 1; count([1, 2], # == y)", 1, id="lets in a predicate"),
        pytest.param("if a > 5 { 1 } else if b > 1 { 2 } else { 3 }", 2, id="else if"),
        pytest.param('$env["a"] + 1', 2, id="$env"),
        pytest.param("(a ?? 0) + (b ?? 0)", 3, id="coalesced and added"),
        pytest.param("count([a, b], count([a, b], # > 1) > 0)", 2, id="a predicate in a predicate"),
        pytest.param("a - b", 0, id="below zero is zero"),
        pytest.param("'12.5'", 12.5, id="a string of a number, as float(…) would read it"),
    ],
)
def test_the_language(text: str, result: float) -> None:
    assert number(text, a=1.0, b=2.0, c=3.0) == result


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("a +", "expected a value, found the end", id="unfinished"),
        pytest.param("a b", "unexpected `b`", id="two values"),
        pytest.param("(a", "to close the parenthesis", id="open"),
        pytest.param("a + trigone", "no trigger is named trigone: did you mean trig_one?", id="misspelled"),
        pytest.param("a > 1", "write `… ? 1 : 0`", id="yes or no"),
        pytest.param("a = 1 ? 1 : 0", "equality is written ==", id="one ="),
        pytest.param("a + (b > 1)", "`+` needs a number or a string, and this is yes or no", id="adding truth"),
        pytest.param("a ? 1 : 0", "a condition needs yes or no, and this is a number", id="a number as condition"),
        pytest.param("not a > 1 ? 1 : 0", "in parentheses", id="not binds tighter than a comparison"),
        pytest.param("a ?? b + 1", "cannot be mixed", id="mixed with ??"),
        pytest.param("sqrt(a)", "there is no function sqrt", id="unknown function"),
        pytest.param("ciel(a)", "did you mean ceil?", id="misspelled function"),
        pytest.param("abs(a, b)", "takes 1 argument", id="too many arguments"),
        pytest.param("count(a, # > 1)", "count needs a list", id="no list"),
        pytest.param("# + 1", "inside of a predicate", id="# alone"),
        pytest.param("1..3", "ranges are not supported", id="range"),
        pytest.param("a.b", "members are not supported", id="member"),
        pytest.param("'a", "not closed", id="open string"),
        pytest.param("/* a", "not closed", id="open comment"),
        pytest.param("a @ b", "'@' has no meaning", id="stray character"),
        pytest.param("12a", "runs into", id="a number and a name"),
        pytest.param("99999999999999999999", "too large", id="too large an integer"),
        pytest.param("[a, b]", "the result must be a number, and this is a list", id="a list"),
        pytest.param("nil", "the result must be a number, and this is nil", id="nil"),
        pytest.param("a / 0", "division by zero", id="always divided by zero"),
        pytest.param("a + 1 / (2 - 2)", "division by zero (column 7)", id="and where"),
        pytest.param("'x'", "no number", id="a string"),
        pytest.param("if a > 1 { 1 }", "in either case", id="if without else"),
        pytest.param("let a = 1; a", "cannot rename a", id="let of a trigger"),
        pytest.param("(" * 100 + "a" + ")" * 100, "nested", id="too deep"),
        pytest.param("+".join(["a"] * 1000), "nested", id="too long a sum"),
        pytest.param("**".join(["a"] * 1000), "nested", id="too many powers"),
        pytest.param("a" + " " * 5000, "characters", id="too long"),
        pytest.param("count([a], count([a], count([a], # > 1) > 1) > 1)", "nested 2 deep", id="three predicates"),
    ],
)
def test_admission_refuses(text: str, said: str) -> None:
    message = check_formula(text, NAMES)
    assert said in (message or "nothing")


def test_a_message_says_where() -> None:
    assert check_formula("a + x", ("a",)) == "no trigger is named x; there are a (column 5)"
    assert (check_formula("a\n+ x", ("a",)) or "").endswith("(line 2, column 3)")


def test_a_division_that_is_by_zero_for_some_values_passes_admission_and_is_unknown_then() -> None:
    assert check_formula("a / (b + 1)", NAMES) is None, "upstream tries -1 alone, and would find it infinite"
    assert solve("a / b", a=1.0, b=0.0) == Unsolved("division by zero (column 3)")


@pytest.mark.parametrize(
    ("text", "values", "unsolved"),
    [
        pytest.param("a + b", {"a": 1.0}, Unsolved("the value of b is not known (column 5)"), id="not known"),
        pytest.param("a + b", {"a": 1.0, "b": None}, Unsolved("`+` needs a number and has nil (column 3)", nil=True)),
        pytest.param("a ?? b", {"a": None, "b": None}, Unsolved("the result is nil", nil=True), id="all nil"),
        pytest.param("10 ** a", {"a": 400.0}, Unsolved("the power is too large (column 4)"), id="too large"),
        pytest.param("(0 - a) ** 0.5", {"a": 4.0}, Unsolved("a negative number has no such power (column 9)")),
        pytest.param("a * 1e300", {"a": 1e300}, Unsolved("the result is infinite or not a number"), id="infinite"),
        pytest.param("max([])", {}, Unsolved("max of an empty list (column 1)"), id="empty list"),
        pytest.param("[a][3]", {"a": 1.0}, Unsolved("the list has no item 3 (column 4)"), id="no item"),
    ],
)
def test_without_a_value(text: str, values: dict[str, float | None], unsolved: Unsolved) -> None:
    assert solve(text, **values) == unsolved


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("a > 5 ? a : b", {"a": 6.0}, id="the outcome that is not taken"),
        pytest.param("a > 5 || b > 5 ? 6 : 0", {"a": 6.0}, id="the second side of or"),
        pytest.param("a ?? b", {"a": 6.0}, id="the second side of ??"),
        pytest.param("if a > 5 { 6 } else { b }", {"a": 6.0}, id="the other branch"),
    ],
)
def test_what_is_not_known_matters_only_where_the_result_depends_on_it(text: str, values: dict[str, float]) -> None:
    assert number(text, **values) == 6.0


def test_further_metrics_of_a_trigger_are_numbered() -> None:
    """As upstream's naming means it; there the second metric replaces the first."""
    compiled = compile_formula("orders + orders01", ("orders",))
    assert isinstance(compiled, Formula)
    assert compiled.evaluate({"orders": 1.0, "orders01": 2.0}) == 3.0


def test_trigger_names_that_are_no_names_of_the_language() -> None:
    compiled = compile_formula('$env["kafka-orders"] * 2', ("kafka-orders",))
    assert isinstance(compiled, Formula)
    assert compiled.evaluate({"kafka-orders": 2.0}) == 4.0
    assert "did you mean kafka-orders?" in (check_formula('$env["kafka-order"]', ("kafka-orders",)) or "")


finite = st.floats(0, 1e6)
leaves = st.sampled_from(["a", "b", "c", "1", "0.5", "7", "0"])
formulas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.sampled_from(["<", ">=", "=="]), inner, inner, inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]} ? {t[3]} : {t[4]})"
        ),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
    ),
    max_leaves=12,
)


@given(formulas, finite, finite, finite)
def test_arithmetic_is_pythons(text: str, a: float, b: float, c: float) -> None:
    """The yardstick is Python itself on the same text, with its own ternary."""
    ours = solve(text, a=a, b=b, c=c)
    try:
        theirs = eval(_in_python(text), {"max": max, "min": min}, {"a": a, "b": b, "c": c})
    except (ZeroDivisionError, OverflowError):
        assert isinstance(ours, Unsolved)
        return
    if math.isfinite(theirs):
        assert ours == max(0.0, theirs)
    else:
        assert isinstance(ours, Unsolved)


def _in_python(text: str) -> str:
    """Each `(x ? y : z)` rewritten, from the inside out."""
    stack: list[int] = []
    for at, character in enumerate(text):
        if character == "(":
            stack.append(at)
        elif character == ")":
            begin = stack.pop()
            inside = text[begin + 1 : at]
            if " ? " in inside:
                test, rest = inside.split(" ? ")
                then, otherwise = rest.split(" : ")
                return _in_python(f"{text[:begin]}(({then}) if {test} else ({otherwise})){text[at + 1 :]}")
    return text


@given(st.text(alphabet="ab01.+-*/%^()[]{}?:#<>=!&|,; '\"nilet", max_size=40))
def test_any_text_is_a_formula_or_a_message(text: str) -> None:
    assert isinstance(compile_formula(text, ("a", "b")), Formula | str)
    check_formula(text, ("a", "b"))
