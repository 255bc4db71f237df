"""Tokens into a tree, by expr's precedence of operators (parser/operator/operator.go). Pure.

Precedence climbing. What expr has and a formula does not need (maps, members, slices, ranges, strings' operators) is
refused by name.
"""

from __future__ import annotations

import ast
from typing import Final

from core.resources.formulas.tokens import Cursor, Token, TokenKind, Unreadable, is_end, tokenize
from core.resources.formulas.tree import (
    Array,
    Binary,
    Call,
    Condition,
    Constant,
    Item,
    Let,
    Literal,
    Name,
    Node,
    Pointer,
    Unary,
)

DEPTH_MAX: Final = 48  # of nested parts: far below what Python's stack holds
PREDICATES_MAX: Final = 2  # one inside the other: the time they take multiplies
LENGTH_MAX: Final = 4096

_COMPARISON: Final = 20
_BINARY: Final = {
    "|": 0,
    **dict.fromkeys(("or", "||"), 10),
    **dict.fromkeys(("and", "&&"), 15),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">=", "in"), _COMPARISON),
    **dict.fromkeys(("+", "-"), 30),
    **dict.fromkeys(("*", "/", "%"), 60),
    **dict.fromkeys(("**", "^"), 100),
    "??": 500,
}
_UNARY: Final = {"not": 50, "!": 50, "-": 90, "+": 90}
_RIGHT: Final = ("**", "^")
_SPELLED: Final = {"||": "or", "&&": "and", "!": "not", "^": "**"}
_REFUSED: Final = {
    "..": "ranges are not supported in formulas",
    "?.": "members are not supported in formulas: triggers are plain numbers",
    ".": "members are not supported in formulas: triggers are plain numbers",
    "=": "equality is written ==",
    **dict.fromkeys(("matches", "contains", "startsWith", "endsWith"), "operators of strings are not supported"),
}
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}
PREDICATES: Final = frozenset({"all", "any", "none", "one", "count", "sum", "filter", "map", "find", "reduce"})
"""Functions of a list and of what is asked of each item."""


def parse(text: str) -> Node:
    """The tree of a formula. Unreadable, where it is none."""
    if len(text) > LENGTH_MAX:
        raise Unreadable(f"a formula may have {LENGTH_MAX} characters, this one has {len(text)}", LENGTH_MAX)
    return _Parser(tokenize(text)).whole()


class _Parser(Cursor):
    """One text being read."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self._depth = 0
        self._predicates = 0

    def whole(self) -> Node:
        if is_end(self.next):
            raise Unreadable("the formula is empty", 0)
        node = self._expression()
        if not is_end(self.next):
            hint = _REFUSED.get(self.next.text, "expected an operator or the end")
            raise Unreadable(f"unexpected {self.next}: {hint}", self.next.at)
        return node

    def _expression(self) -> Node:
        """All that may stand in parentheses: `let`, operators of every precedence, the ternary."""
        self._deeper(self.next)
        node = self._let() if self.is_("let") else self._ternary(self._operators(0))
        self._depth -= 1
        return node

    def _let(self) -> Node:
        self.take()
        name = self.take()
        if name.kind is not TokenKind.NAME:
            raise Unreadable(f"expected a name after let, found {name}", name.at)
        self.expect("=", "after the name")
        value = self._expression()
        self.expect(";", "after the value of let")
        return Let(name.text, value, self._expression(), name.at)

    def _ternary(self, node: Node) -> Node:
        while self.is_("?"):
            at = self.take().at
            if self.is_(":"):
                self.take()
                node = Condition(node, node, self._expression(), at)
                continue
            then = self._expression()
            self.expect(":", "between the two outcomes of `?`")
            node = Condition(node, then, self._expression(), at)
        return node

    def _operators(self, floor: int) -> Node:
        left = self._operand()
        previous = ""
        while True:
            token, operator, negated = self._operator()
            precedence = _BINARY.get(operator, -1)
            if precedence < floor:
                return left
            if previous == "??" and operator != "??":
                raise Unreadable(f"`{operator}` and `??` cannot be mixed: put one of them in parentheses", token.at)
            self.take()
            if negated:
                self.take()
            left = self._pair(left, token, operator, precedence)
            if negated:
                left = Unary("not", left, token.at)
            previous = operator

    def _nested(self, token: Token, floor: int) -> Node:
        self._deeper(token)
        node = self._operators(floor)
        self._depth -= 1
        return node

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise Unreadable(f"this is nested more than {DEPTH_MAX} levels deep", token.at)

    def _operator(self) -> tuple[Token, str, bool]:
        """The operator that comes next, and whether it is `not in`."""
        token = self.next
        if token.kind not in (TokenKind.SYMBOL, TokenKind.WORD):
            return token, "", False
        if token.text == "not" and self.after.text == "in":
            return token, "in", True
        return token, token.text, False

    def _pair(self, left: Node, token: Token, operator: str, precedence: int) -> Node:
        if operator == "|":
            function = self.take()
            return self._call(function, (left,))
        if precedence == _COMPARISON and operator != "in":
            return self._chain(left, operator, token)
        right = self._nested(token, precedence if operator in _RIGHT else precedence + 1)
        return Binary(_SPELLED.get(operator, operator), left, right, token.at)

    def _chain(self, left: Node, operator: str, token: Token) -> Node:
        """`1 < a < 5` is `1 < a and a < 5`."""
        right = self._operators(_COMPARISON + 1)
        node: Node = Binary(operator, left, right, token.at)
        while self.is_("==", "!=", "<", ">", "<=", ">="):
            token = self.take()
            left, right = right, self._operators(_COMPARISON + 1)
            node = Binary("and", node, Binary(token.text, left, right, token.at), token.at)
        return node

    def _operand(self) -> Node:
        token = self.next
        if self.is_(*_UNARY):
            self.take()
            operand = self._nested(token, _UNARY[token.text])
            return Unary(_SPELLED.get(token.text, token.text), operand, token.at)
        node = self._primary()
        while self.is_("["):
            at = self.take().at
            node = Item(node, self._expression(), at)
            self.expect("]", "after the index")
        return node

    def _primary(self) -> Node:
        token = self.take()
        match token.kind:
            case TokenKind.NUMBER:
                return Literal(_number(token), token.at)
            case TokenKind.STRING:
                return Literal(_string(token), token.at)
            case TokenKind.NAME:
                if self.is_("("):
                    return self._call(token, ())
                return Name(token.text, token.at)
        match token.text:
            case "true" | "false" | "nil":
                return Literal(_CONSTANTS[token.text], token.at)
            case "(":
                node = self._expression()
                self.expect(")", "to close the parenthesis")
                return node
            case "[":
                return Array(self._listed("]"), token.at)
            case "#":
                return self._pointer(token)
            case "if":
                return self._if(token)
        hint = _REFUSED.get(token.text)
        raise Unreadable(f"unexpected {token}: {hint}" if hint else f"expected a value, found {token}", token.at)

    def _pointer(self, token: Token) -> Node:
        if not self._predicates:
            raise Unreadable("`#` stands for an item of a list, inside of a predicate only", token.at)
        if self.next.kind is TokenKind.NAME and self.next.at == token.at + 1:
            name = self.take()
            if name.text not in ("acc", "index"):
                raise Unreadable(f"there is no `#{name.text}`: # is the item, #index its place", token.at)
            return Pointer(name.text, token.at)
        return Pointer("", token.at)

    def _if(self, token: Token) -> Node:
        """`if a > 1 { b } else { c }`, the parentheses of the condition are optional, `else if` goes on."""
        test = self._expression()
        self.expect("{", "after the condition of if")
        then = self._expression()
        self.expect("}", "after the first outcome of if")
        self.expect("else", "after it: a formula has a value in either case")
        if self.is_("if"):
            return Condition(test, then, self._if(self.take()), token.at)
        self.expect("{", "after else")
        otherwise = self._expression()
        self.expect("}", "after the second outcome of if")
        return Condition(test, then, otherwise, token.at)

    def _call(self, function: Token, arguments: tuple[Node, ...]) -> Node:
        if function.kind is not TokenKind.NAME:
            raise Unreadable(f"expected a function, found {function}", function.at)
        self.expect("(", f"after {function.text}")
        if function.text not in PREDICATES:
            return Call(function.text, (*arguments, *self._listed(")")), function.at)
        listed = list(arguments)
        while not self.is_(")"):
            if len(listed) > len(arguments):
                self.expect(",", "between arguments")
            if self.is_(")"):
                break
            listed.append(self._predicate() if len(listed) == 1 else self._expression())
        self.take()
        return Call(function.text, tuple(listed), function.at)

    def _predicate(self) -> Node:
        braces = self.is_("{")
        token = self.take() if braces else self.next
        self._predicates += 1
        if self._predicates > PREDICATES_MAX:
            raise Unreadable(f"predicates may be nested {PREDICATES_MAX} deep", token.at)
        node = self._expression()
        self._predicates -= 1
        if braces:
            self.expect("}", "to close the predicate")
        return node

    def _listed(self, closing: str) -> tuple[Node, ...]:
        listed: list[Node] = []
        while not self.is_(closing):
            if listed:
                self.expect(",", f"or `{closing}` in the list")
            if self.is_(closing):
                break
            listed.append(self._expression())
        self.take()
        return tuple(listed)


def _number(token: Token) -> Constant:
    text = token.text.replace("_", "").lower()
    try:
        value = int(text, 0) if text[:2] in ("0x", "0o", "0b") else int(text)
    except ValueError:
        return float(text)
    if value >= 2**63:
        raise Unreadable("this integer is too large: write it as 1e19", token.at)
    return value


def _string(token: Token) -> str:
    if token.text[0] == "`":
        return token.text[1:-1]
    try:
        return str(ast.literal_eval(token.text.replace("\n", "\\n")))
    except (ValueError, SyntaxError):
        raise Unreadable("this string has an escape that is not known", token.at) from None
