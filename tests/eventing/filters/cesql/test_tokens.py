"""The lexer grammar: longest match, keywords in either case, where a character begins no token."""

from __future__ import annotations

import pytest

from eventing.filters.cesql.errors import Unparsable
from eventing.filters.cesql.tokens import TokenKind, string_value, tokenize


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", ""),
        (" \t\r\n", ""),
        ("a and B", "NAME AND NAME"),
        ("android oR xorx", "NAME OR NAME"),
        ("a1 1a 12", "NAME_WITH_DIGITS NAME_WITH_DIGITS INTEGER"),
        ("CONCAT_WS(a)", "NAME_WITH_UNDERSCORES LEFT_PARENTHESIS NAME RIGHT_PARENTHESIS"),
        ("A_ AND_ true_", "NAME_WITH_UNDERSCORES NAME_WITH_UNDERSCORES NAME_WITH_UNDERSCORES"),
        ("5-1", "INTEGER INTEGER"),
        ("5 - 1", "INTEGER MINUS INTEGER"),
        ("--1", "MINUS INTEGER"),
        ("+1+a", "INTEGER PLUS NAME"),
        ("-1a", "INTEGER NAME"),
        ("a<=b<>c!=d>=e<f>g", "NAME LESS_OR_EQUAL NAME LESS_GREATER NAME NOT_EQUAL NAME GREATER_OR_EQUAL NAME LESS NAME"
         " GREATER NAME"),
        ("a*b/c%d,e=f", "NAME STAR NAME DIVIDE NAME MODULE NAME COMMA NAME EQUAL NAME"),
        ("'a''b'\"c\"", "STRING STRING"),
        ("TRUE False lIKE in exists NOT", "TRUE FALSE LIKE IN EXISTS NOT"),
    ],
)  # fmt: skip
def test_cuts(text: str, kinds: str) -> None:
    *tokens, end = tokenize(text)
    assert " ".join(token.kind.name for token in tokens) == kinds
    assert end.kind is TokenKind.END
    assert end.start == len(text)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("''", ""),
        ("'a b'", "a b"),
        (r"'it\'s'", "it's"),
        ("'it''s'", "it's"),
        (r"'say \"x\"'", r"say \"x\""),
        (r'"say \"x\""', 'say "x"'),
        ('"say ""x"""', 'say "x"'),
        ('"it\'s"', "it's"),
        (r"'a\b\n'", r"a\b\n"),
        (r"'\\'", r"\\"),
        (r"'\\\''", r"\\'"),
        (r"'a\%b\_c'", r"a\%b\_c"),
        ("'zwei\nZeilen'", "zwei\nZeilen"),
        ("'ÄÖ €'", "ÄÖ €"),
    ],
)
def test_strings(literal: str, value: str) -> None:
    token, _ = tokenize(literal)
    assert string_value(token) == value


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("a = 'x", 4, "not closed"),
        (r"a = 'x\'", 4, "not closed"),
        ('"', 0, "not closed"),
        ("a && b", 2, "write AND"),
        ("a || b", 2, "write OR"),
        ("!a", 0, "write NOT"),
        ("a = b.c", 5, "attributes have no parts"),
        ("a = `b`", 4, "not quoted"),
        ("a = ‘b’", 4, "quoted with '"),  # noqa: RUF001  # what word processors make of '
        ("ab1_c", 3, "no meaning"),
        ("größe = 1", 2, "no meaning"),
        ("a = 1 # why", 6, "no meaning"),
    ],
)
def test_says_where_there_is_no_token(text: str, position: int, message: str) -> None:
    with pytest.raises(Unparsable, match=message) as raised:
        tokenize(text)
    assert raised.value.position == position
