"""The parser grammar: which operator takes what, the bounds of nesting, errors and where they are. With `tree`."""

from __future__ import annotations

import pytest

from eventing.filters.cesql import ParseError, parse
from eventing.filters.cesql.parser import DEPTH_MAX, parse_tree
from eventing.filters.cesql.tree import Attribute, Binary, Call, Exists, In, Like, Literal, Logic, Node, Unary, walk


def shown(node: Node) -> str:
    """The tree with all its parentheses."""
    match node:
        case Literal(value):
            return repr(value)
        case Attribute(name):
            return name
        case Exists(name):
            return f"(EXISTS {name})"
        case Call(function, arguments):
            return f"{function}({', '.join(map(shown, arguments))})"
        case Unary(operator, operand):
            return f"({operator} {shown(operand)})"
        case Like(operand, pattern, negated):
            return f"({shown(operand)}{' NOT' if negated else ''} LIKE {pattern!r})"
        case In(operand, members, negated):
            return f"({shown(operand)}{' NOT' if negated else ''} IN [{', '.join(map(shown, members))}])"
        case Binary(operator, left, right):
            return f"({shown(left)} {operator} {shown(right)})"
        case Logic(operands, operators):
            first, *others = map(shown, operands)
            return f"({first}{''.join(f' {op} {each}' for op, each in zip(operators, others, strict=True))})"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        # atoms (2.2)
        ("SubJect", "subject"),
        ("12", "12"),
        ("+12", "12"),
        ("-12", "-12"),
        ("007", "7"),
        ("2147483647", "2147483647"),
        ("-2147483648", "-2147483648"),
        ("tRUE", "True"),
        ("((a))", "a"),
        # precedence (3.6), tight to loose
        ("NOT a = b", "((NOT a) = b)"),
        ("NOT a LIKE 'x'", "((NOT a) LIKE 'x')"),
        ("NOT a IN (b)", "((NOT a) IN [b])"),
        ("NOT EXISTS a", "(NOT (EXISTS a))"),
        ("-a LIKE '-_'", "((- a) LIKE '-_')"),
        ("- -a", "(- (- a))"),
        ("--1", "(- -1)"),
        ("NOT -a", "(NOT (- a))"),
        ("a + b LIKE 'x'", "(a + (b LIKE 'x'))"),
        ("a * b IN (c)", "(a * (b IN [c]))"),
        ("a LIKE 'x' LIKE 'y'", "((a LIKE 'x') LIKE 'y')"),
        ("a IN (b) LIKE 'true'", "((a IN [b]) LIKE 'true')"),
        ("a NOT LIKE 'x' NOT IN (b, c)", "((a NOT LIKE 'x') NOT IN [b, c])"),
        ("a + b * c", "(a + (b * c))"),
        ("a * b + c", "((a * b) + c)"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b * c % d", "(((a / b) * c) % d)"),
        ("5 -a", "(5 - a)"),
        ("a + b = c - d", "((a + b) = (c - d))"),
        ("a = b != c", "((a = b) != c)"),
        ("a < b <> c >= d", "(((a < b) <> c) >= d)"),
        ("a = b AND c = d", "((a = b) AND (c = d))"),
        # one level of logic, which `evaluate` groups to the right
        ("a AND b OR c XOR d", "(a AND b OR c XOR d)"),
        ("(a AND b) OR c", "((a AND b) OR c)"),
        # calls (2.4)
        ("concat()", "CONCAT()"),
        ("Concat_Ws (',', a, LOWER(b))", "CONCAT_WS(',', a, LOWER(b))"),
        ("NOT(a)", "(NOT a)"),
        ("exists A1", "(EXISTS a1)"),
        ("a IN (1 + 2, (b))", "(a IN [(1 + 2), b])"),
    ],
)
def test_groups(text: str, tree: str) -> None:
    assert shown(parse_tree(text)) == tree


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "expected a value, found the end"),
        ("a AND", 5, "expected a value, found the end"),
        ("a AND )", 6, "expected a value, found `)`"),
        ("ABC(", 4, "expected a value"),
        ("ABC(a", 5, "expected `)` or `,` in the list, found the end"),
        ("ABC(a,)", 6, "expected a value"),
        ("(a", 2, "to close the parenthesis"),
        ("a b", 2, "expected an operator or the end"),
        ("a)", 1, "expected an operator or the end"),
        ("5-1", 1, "write `- 1`"),
        ("a +1", 2, "write `+ 1`"),
        ("a == b", 3, "a single ="),
        ("a LIKE b", 7, "expected a quoted pattern after LIKE, found `b`"),
        ("a LIKE 12", 7, "expected a quoted pattern"),
        ("a LIKE CONCAT('b')", 7, "expected a quoted pattern"),
        ("a NOT b", 6, "expected LIKE or IN after NOT"),
        ("a IN ()", 6, "the set of IN is empty"),
        ("a IN b", 5, "expected `(` after IN"),
        ("EXISTS 'a'", 7, "expected an attribute's name"),
        ("EXISTS 12", 7, "expected an attribute's name"),
        ("EXISTS (a)", 7, "expected an attribute's name"),
        ("my_attribute = 1", 0, "no attribute has an underscore"),
        ("abs1(1)", 4, "expected an operator or the end"),
        ("TRUE(1)", 4, "expected an operator or the end"),
        ("in = 1", 0, "expected a value, found `in`"),
        ("2147483648", 0, "32 bits"),
        ("-2147483649", 0, "32 bits"),
        ("1" * 5000, 0, "32 bits"),
        ("* 1", 0, "expected a value"),
        ("+ 1", 0, "expected a value"),
        ("a = 'b", 4, "not closed"),
    ],
)
def test_says_where_it_is_no_expression(text: str, position: int, message: str) -> None:
    problem = parse(text)
    assert isinstance(problem, ParseError)
    assert message in problem.message
    assert problem.position == position
    assert problem.kind == "parse"


@pytest.mark.parametrize(
    "nest",
    [
        lambda depth: "(" * depth + "a" + ")" * depth,
        lambda depth: "NOT " * depth + "a",
        lambda depth: "- " * depth + "a",
        lambda depth: "a" + " + a" * depth,
        lambda depth: "a" + " LIKE 'a'" * depth,
        lambda depth: "ABS(" * depth + "a" + ")" * depth,
        lambda depth: "a IN (" * depth + "a" + ")" * depth,
        lambda depth: "(" * (depth // 10) + "a" + (" + a" * 10 + ")") * (depth // 10),
    ],
)
def test_bounds_what_is_nested(nest) -> None:  # type: ignore[no-untyped-def]
    parsed = parse(nest(DEPTH_MAX // 2))
    assert not isinstance(parsed, ParseError)
    parsed.evaluate({"a": 1})
    for depth in (DEPTH_MAX * 2, 100_000):
        problem = parse(nest(depth))
        assert isinstance(problem, ParseError)
        assert f"more than {DEPTH_MAX} levels" in problem.message


def test_does_not_bound_chains_and_lists() -> None:
    chain = parse(" OR ".join(f"id = '{number}'" for number in range(5000)))
    assert not isinstance(chain, ParseError)
    assert chain.passes({"id": "4999"})
    listed = parse(f"id IN ({', '.join(str(number) for number in range(5000))})")
    assert not isinstance(listed, ParseError)
    assert listed.passes({"id": "4999"})


def test_walks_in_the_order_of_the_text() -> None:
    tree = parse_tree("CONCAT(a, b) = c AND NOT EXISTS d OR e IN (f, -g) XOR h LIKE 'x'")
    names = [node.name for node in walk(tree) if isinstance(node, Attribute | Exists)]
    assert names == list("abcdefgh")
