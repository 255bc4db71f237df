"""Text into tokens, as expr's lexer cuts it (parser/lexer/state.go). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class TokenKind(StrEnum):
    """The value is what a message calls it."""

    NUMBER = "a number"
    STRING = "a string"
    NAME = "a name"
    WORD = "a word"  # of the language: and, or, not, in, let, if, else, nil, true, false
    SYMBOL = "a symbol"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str
    at: int

    def __str__(self) -> str:
        return str(self.kind) if self.kind is TokenKind.END else f"`{self.text}`"


class Unreadable(Exception):
    """The text is no formula: what is wrong, and where (an index into the text)."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


class Cursor:
    """Tokens being read, one after the other."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at]

    @property
    def after(self) -> Token:
        """The one behind the next; at the end, the end."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def take(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def is_(self, *texts: str) -> bool:
        """Whether a word or symbol of these comes next."""
        return self.next.kind in (TokenKind.SYMBOL, TokenKind.WORD) and self.next.text in texts

    def expect(self, text: str, why: str) -> Token:
        if not self.is_(text):
            raise Unreadable(f"expected `{text}` {why}, found {self.next}", self.next.at)
        return self.take()


def is_end(token: Token) -> bool:
    return token.kind is TokenKind.END


_STRING_OPERATORS: Final = ("matches", "contains", "startsWith", "endsWith")
_WORDS: Final = frozenset(("and", "or", "not", "in", "let", "if", "else", "nil", "true", "false", *_STRING_OPERATORS))
_PATTERNS: Final = (
    (None, re.compile(r"\s+|//[^\n]*|/\*.*?\*/", re.DOTALL)),
    (TokenKind.NUMBER, re.compile(r"0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+")),
    (TokenKind.NUMBER, re.compile(r"(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?")),
    (TokenKind.NAME, re.compile(r"[^\W\d]\w*|\$env\b")),
    (TokenKind.STRING, re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`""", re.DOTALL)),
    (TokenKind.SYMBOL, re.compile(r"\*\*|&&|\|\||==|!=|<=|>=|\?\?|\?\.|\.\.|[-+*/%^<>!?:,;|(){}\[\]#=.]")),
)
_UNCLOSED: Final = {
    "'": "this string is not closed",
    '"': "this string is not closed",
    "`": "this string is not closed",
}


def tokenize(text: str) -> list[Token]:
    """All tokens, END the last. Unreadable, at a character that begins none."""
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        kind, end = _longest(text, at)
        if kind is not None:
            word = text[at:end]
            if kind is TokenKind.NUMBER and text[end : end + 1].isidentifier():
                raise Unreadable(f"a number runs into {text[end]!r}", end)
            tokens.append(Token(TokenKind.WORD if word in _WORDS else kind, word, at))
        at = end
    tokens.append(Token(TokenKind.END, "", len(text)))
    return tokens


def _longest(text: str, at: int) -> tuple[TokenKind | None, int]:
    if text.startswith("/*", at) and text.find("*/", at + 2) < 0:
        raise Unreadable("this comment is not closed", at)
    for kind, pattern in _PATTERNS:
        if match := pattern.match(text, at):
            return kind, match.end()
    raise Unreadable(_UNCLOSED.get(text[at], f"the character {text[at]!r} has no meaning here"), at)
