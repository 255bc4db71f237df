"""Tokens into a tree, as the specification's grammar (`CESQLParser.g4`) orders the operators. Pure.

Precedence climbing: `_expression(floor)` takes an operand and then every operator that binds at least as tightly as
`floor`. From tight to loose: calls; NOT and `-` before an operand; LIKE; IN; `* / %`; `+ -`; comparisons; AND, OR and
XOR, which share one level and group to the right. All others group to the left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from eventing.filters.cesql.casts import in_range
from eventing.filters.cesql.errors import Unparsable
from eventing.filters.cesql.tokens import Token, TokenKind, string_value, tokenize
from eventing.filters.cesql.tree import Attribute, Binary, Call, Exists, In, Like, Literal, Logic, Node, Span, Unary

DEPTH_MAX: Final = 64  # of nested operations: far below what Python's stack holds

_LOGIC: Final = 1
_COMPARISON: Final = 2
_ADDITIVE: Final = 3
_MULTIPLICATIVE: Final = 4
_SUFFIX: Final = 5  # LIKE and IN: what follows them is no expression, so that they need no two levels

_POWER: Final = {
    TokenKind.AND: _LOGIC,
    TokenKind.OR: _LOGIC,
    TokenKind.XOR: _LOGIC,
    TokenKind.EQUAL: _COMPARISON,
    TokenKind.NOT_EQUAL: _COMPARISON,
    TokenKind.LESS_GREATER: _COMPARISON,
    TokenKind.LESS: _COMPARISON,
    TokenKind.LESS_OR_EQUAL: _COMPARISON,
    TokenKind.GREATER: _COMPARISON,
    TokenKind.GREATER_OR_EQUAL: _COMPARISON,
    TokenKind.PLUS: _ADDITIVE,
    TokenKind.MINUS: _ADDITIVE,
    TokenKind.STAR: _MULTIPLICATIVE,
    TokenKind.DIVIDE: _MULTIPLICATIVE,
    TokenKind.MODULE: _MULTIPLICATIVE,
    TokenKind.LIKE: _SUFFIX,
    TokenKind.IN: _SUFFIX,
    TokenKind.NOT: _SUFFIX,  # NOT LIKE, NOT IN
}
_FUNCTION_NAMES: Final = (TokenKind.NAME, TokenKind.NAME_WITH_UNDERSCORES)
_ATTRIBUTE_NAMES: Final = (TokenKind.NAME, TokenKind.NAME_WITH_DIGITS)


def parse_tree(text: str) -> Node:
    """The expression. Unparsable, where it is none."""
    return _Parser(tokenize(text)).whole()


class _Parser:
    """One text being read; `_next` is the token that is read next."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._nesting = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _expect(self, kind: TokenKind, why: str) -> Token:
        if self._next.kind is not kind:
            raise Unparsable(f"expected `{kind}` {why}, found {self._next}", self._next.start)
        return self._take()

    def whole(self) -> Node:
        node = self._expression(_LOGIC)
        if self._next.kind is not TokenKind.END:
            raise self._left_over()
        return node

    def _left_over(self) -> Unparsable:
        token = self._next
        if token.kind is TokenKind.INTEGER and token.text[0] in "+-":
            sign, digits = token.text[0], token.text[1:]
            hint = f"a sign that touches digits belongs to the number: write `{sign} {digits}` to calculate"
        else:
            hint = "expected an operator or the end"
        return Unparsable(f"unexpected {token}: {hint}", token.start)

    def _expression(self, floor: int) -> Node:
        left = self._operand()
        while (power := _POWER.get(self._next.kind, 0)) >= floor:
            if power == _LOGIC:
                left = self._logic(left)
            elif power == _SUFFIX:
                left = self._suffix(left)
            else:
                operator = self._take()
                right = self._expression(power + 1)
                span = (left.span[0], right.span[1])
                left = Binary(operator.kind, left, right, span, self._depth(operator, left, right))
        return left

    def _logic(self, first: Node) -> Logic:
        operands, operators = [first], []
        while _POWER.get(self._next.kind) == _LOGIC:
            operators.append(self._take())
            operands.append(self._expression(_COMPARISON))
        span = (first.span[0], operands[-1].span[1])
        kinds = tuple(operator.kind for operator in operators)
        return Logic(tuple(operands), kinds, span, self._depth(operators[0], *operands))

    def _suffix(self, operand: Node) -> Node:
        """`[NOT] LIKE 'pattern'` and `[NOT] IN (member, …)` behind an operand."""
        token = self._take()
        negated = token.kind is TokenKind.NOT
        operator = self._take() if negated else token
        if operator.kind is TokenKind.LIKE:
            pattern = self._take()
            if pattern.kind is not TokenKind.STRING:
                raise Unparsable(f"expected a quoted pattern after LIKE, found {pattern}", pattern.start)
            span = (operand.span[0], pattern.end)
            return Like(operand, string_value(pattern), negated, span, self._depth(token, operand))
        if operator.kind is TokenKind.IN:
            self._expect(TokenKind.LEFT_PARENTHESIS, "after IN")
            if self._next.kind is TokenKind.RIGHT_PARENTHESIS:
                raise Unparsable("the set of IN is empty: it needs one member at least", self._next.start)
            members, end = self._listed(operator)
            depth = self._depth(token, operand, *members)
            return In(operand, members, negated, (operand.span[0], end), depth)
        raise Unparsable(f"expected LIKE or IN after NOT, found {operator}", operator.start)

    def _operand(self) -> Node:
        """What stands before and between binary operators."""
        token = self._take()
        kind = token.kind
        if kind in _FUNCTION_NAMES and self._next.kind is TokenKind.LEFT_PARENTHESIS:
            self._take()
            arguments, end = self._listed(token)
            return Call(token.text.upper(), arguments, (token.start, end), self._depth(token, *arguments))
        if kind in _ATTRIBUTE_NAMES:
            return Attribute(token.text.lower(), (token.start, token.end))
        if kind is TokenKind.NOT or kind is TokenKind.MINUS:
            operand = self._nested(token, self._operand)
            return Unary(kind, operand, (token.start, operand.span[1]), self._depth(token, operand))
        if kind is TokenKind.LEFT_PARENTHESIS:
            inside = self._nested(token, self._inside)
            self._expect(TokenKind.RIGHT_PARENTHESIS, "to close the parenthesis")
            return inside
        if kind is TokenKind.EXISTS:
            return self._exists(token)
        if kind is TokenKind.EQUAL and self._tokens[self._at - 2].kind is TokenKind.EQUAL:
            raise Unparsable(f"unexpected {token}: equality is a single =", token.start)
        return _literal(token)

    def _inside(self) -> Node:
        return self._expression(_LOGIC)

    def _nested(self, token: Token, read: Callable[[], Node]) -> Node:
        """What is inside a token's parentheses or behind its sign, if it is not too deep inside."""
        self._nesting += 1
        if self._nesting > DEPTH_MAX:
            raise _too_deep(token)
        node = read()
        self._nesting -= 1
        return node

    def _exists(self, token: Token) -> Exists:
        name = self._take()
        if name.kind not in _ATTRIBUTE_NAMES:
            raise Unparsable(f"expected an attribute's name after EXISTS, found {name}", name.start)
        return Exists(name.text.lower(), (token.start, name.end))

    def _listed(self, token: Token) -> tuple[tuple[Node, ...], int]:
        """What is listed up to the closing parenthesis, and where that ends; the opening one is taken."""
        listed: list[Node] = []
        if self._next.kind is not TokenKind.RIGHT_PARENTHESIS:
            listed.append(self._nested(token, self._inside))
            while self._next.kind is TokenKind.COMMA:
                self._take()
                listed.append(self._nested(token, self._inside))
        closing = self._expect(TokenKind.RIGHT_PARENTHESIS, "or `,` in the list")
        return tuple(listed), closing.end

    def _depth(self, token: Token, *below: Node) -> int:
        depth = 1 + max((node.depth for node in below), default=0)
        if depth > DEPTH_MAX:
            raise _too_deep(token)
        return depth


def _literal(token: Token) -> Literal:
    span: Span = (token.start, token.end)
    match token.kind:
        case TokenKind.STRING:
            return Literal(string_value(token), span)
        case TokenKind.TRUE | TokenKind.FALSE:
            return Literal(token.kind is TokenKind.TRUE, span)
        case TokenKind.INTEGER:
            digits = token.text.lstrip("+-0")
            if len(digits) > 10 or not in_range(int(token.text)):
                raise Unparsable("this number does not fit into 32 bits", token.start)
            return Literal(int(token.text), span)
        case TokenKind.NAME_WITH_UNDERSCORES:
            raise Unparsable(f"no attribute has an underscore in its name: {token} must be called", token.start)
    raise Unparsable(f"expected a value, found {token}", token.start)


def _too_deep(token: Token) -> Unparsable:
    return Unparsable(f"this is nested more than {DEPTH_MAX} levels deep", token.start)
