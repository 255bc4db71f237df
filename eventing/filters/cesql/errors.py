"""What goes wrong with an expression: while it is parsed, and while it is evaluated. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_LINE_SHOWN_MAX: Final = 100  # characters of a long line that are shown around the place


class ErrorKind(StrEnum):
    """The specification's error types (3.3), spelled as in its conformance kit."""

    PARSE = "parse"
    MATH = "math"
    CAST = "cast"
    MISSING_ATTRIBUTE = "missingAttribute"
    MISSING_FUNCTION = "missingFunction"
    FUNCTION_EVALUATION = "functionEvaluation"
    GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class ParseError:
    """Why the text is no expression, and where: `position` counts characters from 0."""

    message: str
    text: str
    position: int

    @property
    def kind(self) -> ErrorKind:
        return ErrorKind.PARSE

    @property
    def line(self) -> int:
        """From 1."""
        return self.text.count("\n", 0, self.position) + 1

    @property
    def column(self) -> int:
        """From 1."""
        return self.position - (self.text.rfind("\n", 0, self.position) + 1) + 1

    @property
    def mark(self) -> str:
        """The line in question and, below it, a caret under the place."""
        column = self.column - 1
        line = self.text.split("\n")[self.line - 1].replace("\t", " ").replace("\r", " ")
        cut = max(0, column - _LINE_SHOWN_MAX // 2) if len(line) > _LINE_SHOWN_MAX else 0
        return f"{line[cut : cut + _LINE_SHOWN_MAX]}\n{' ' * (column - cut)}^"

    def __str__(self) -> str:
        where = f"column {self.column}" if "\n" not in self.text else f"line {self.line}, column {self.column}"
        return f"{self.message} ({where})\n{self.mark}"


class Unparsable(Exception):
    """Carries a message and a position out of the lexer and the parser; callers of `parse` get a `ParseError`."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class EvaluationError:
    """Why the value that came with it does not count."""

    kind: ErrorKind
    message: str

    def __str__(self) -> str:
        return self.message


class Failure(Exception):
    """Carries an error out of the closures. `value` counts only if the operator `origin` is the whole expression."""

    def __init__(self, error: EvaluationError, value: str | int | bool | None = None, origin: object = None) -> None:
        super().__init__(error)
        self.error = error
        self.value = value
        self.origin = origin
