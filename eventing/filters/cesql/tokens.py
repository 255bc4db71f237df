r"""Text into tokens, as the specification's lexer grammar (`CESQLLexer.g4`) cuts it: the longest match wins. Pure.

So `a1` is an attribute's name, `CONCAT_WS` can only be a function's, `12` is a number but `12a` a name, and `-12` is a
number, one token. Keywords are keywords in either case, and no attribute of that name can be addressed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from eventing.filters.cesql.errors import Unparsable


class TokenKind(StrEnum):
    """The value is what a message calls it."""

    AND = "AND"
    OR = "OR"
    XOR = "XOR"
    NOT = "NOT"
    LIKE = "LIKE"
    EXISTS = "EXISTS"
    IN = "IN"
    TRUE = "TRUE"
    FALSE = "FALSE"
    STAR = "*"
    DIVIDE = "/"
    MODULE = "%"
    PLUS = "+"
    MINUS = "-"
    EQUAL = "="
    NOT_EQUAL = "!="
    LESS_GREATER = "<>"
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    LEFT_PARENTHESIS = "("
    RIGHT_PARENTHESIS = ")"
    COMMA = ","
    STRING = "a string"
    INTEGER = "a number"
    NAME = "a name"  # letters: of an attribute or a function
    NAME_WITH_DIGITS = "an attribute's name"
    NAME_WITH_UNDERSCORES = "a function's name"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str  # as written, quotes included
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def __str__(self) -> str:
        return self.kind if self.kind is TokenKind.END else f"`{self.text}`"


_KEYWORDS: Final = {kind.value: kind for kind in TokenKind if kind.value.isupper()}
_SYMBOLS: Final = {kind.value: kind for kind in TokenKind if not kind.value[0].isalpha()}
_SPACE: Final = re.compile(r"[ \t\r\n]+")
_SYMBOL: Final = re.compile(r"!=|<>|>=|<=|[-*/%+=<>(),]")
_STRING: Final = re.compile(r"""'(?:\\.|''|[^'\\])*'|"(?:\\.|""|[^"\\])*\"""", re.DOTALL)
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NAME: Final = re.compile(r"[a-zA-Z0-9]+")
_FUNCTION: Final = re.compile(r"[a-zA-Z][a-zA-Z_]*")

# What people write who know other languages, and what it is here.
_HINTS: Final = {
    "!": "write NOT, or != for a comparison",
    "&": "write AND",
    "|": "write OR",
    "^": "write XOR",
    ".": "attributes have no parts, and data cannot be addressed",
    "`": "names are not quoted",
    "\\": "a backslash has a meaning inside strings only",
    ";": "an expression has no end mark",
    **dict.fromkeys("\u2018\u2019\u201c\u201d", "strings are quoted with ' or \""),
}


def tokenize(text: str) -> list[Token]:
    """All tokens, END the last. Unparsable, at a character that begins none."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        if space := _SPACE.match(text, position):
            position = space.end()
            continue
        token = _token_at(text, position)
        tokens.append(token)
        position = token.end
    tokens.append(Token(TokenKind.END, "", len(text)))
    return tokens


def _token_at(text: str, position: int) -> Token:
    character = text[position]
    if character in "'\"":
        if string := _STRING.match(text, position):
            return Token(TokenKind.STRING, string[0], position)
        raise Unparsable(f"this string is not closed: there is no {character} that ends it", position)
    integer = _INTEGER.match(text, position)
    name = _NAME.match(text, position)
    if integer and (name is None or name.end() <= integer.end()):
        return Token(TokenKind.INTEGER, integer[0], position)
    if name:
        return _word(text, position, name[0])
    if symbol := _SYMBOL.match(text, position):
        return Token(_SYMBOLS[symbol[0]], symbol[0], position)
    hint = _HINTS.get(character, "it has no meaning here")
    raise Unparsable(f"unexpected character {character!r}: {hint}", position)


def _word(text: str, position: int, name: str) -> Token:
    function = _FUNCTION.match(text, position)
    if function and len(function[0]) > len(name):
        return Token(TokenKind.NAME_WITH_UNDERSCORES, function[0], position)
    keyword = _KEYWORDS.get(name.upper())
    return Token(keyword or (TokenKind.NAME if name.isalpha() else TokenKind.NAME_WITH_DIGITS), name, position)


def string_value(token: Token) -> str:
    """What a string literal stands for: its quote may be escaped by a backslash, or doubled; all else is as written."""
    quote, inside = token.text[0], token.text[1:-1]
    return re.sub(rf"\\{quote}|{quote}{quote}|\\.", lambda m: quote if m[0][-1] == quote else m[0], inside, flags=re.S)
