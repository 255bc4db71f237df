"""A formula, compiled: what admission checks and a decision evaluates. Text in, numbers or sentences out. Pure.

`a ?? b`, conditions and `and`/`or` look only at what they need: a trigger whose value is not known matters where the
result depends on it, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from core.resources.formulas.compile import Evaluate, Frame, Type, compile_tree
from core.resources.formulas.parser import parse
from core.resources.formulas.tokens import Unreadable
from core.resources.formulas.values import Unsolvable, is_number

_TRIED: Final = (-1.0, 0.0, 1.0, 7.5, 1000.0)
"""Values that admission gives all triggers: upstream's, and some that really occur."""


@dataclass(frozen=True, slots=True)
class Unsolved:
    """Why there is no number. `nil`: every trigger that it would come from has been given up."""

    message: str
    nil: bool = False


@dataclass(frozen=True, slots=True)
class Formula:
    """One formula that can be evaluated."""

    text: str
    _evaluate: Evaluate
    _slots: int

    def evaluate(self, values: Mapping[str, float | None]) -> float | Unsolved:
        """`values`: None is nil, and a trigger that is missing is not known. Below 0 is 0: nobody asks for less."""
        try:
            result = self._evaluate(Frame(values, [None] * self._slots))
        except Unsolvable as trouble:
            return Unsolved(_told(self.text, trouble.message, trouble.at), trouble.nil)
        except OverflowError:
            return Unsolved("the result is too large")
        if result is None:
            return Unsolved("the result is nil", nil=True)
        if isinstance(result, str):
            return _from_text(result)
        if not is_number(result):
            return Unsolved(f"the result is no number but {result!r}")
        if not math.isfinite(result):
            return Unsolved("the result is infinite or not a number")
        return max(0.0, float(result))


@lru_cache(maxsize=4096)
def compile_formula(text: str, names: tuple[str, ...]) -> Formula | str:
    """The formula over triggers of those names; or what is wrong with it, in a sentence that says where."""
    try:
        part, slots = compile_tree(parse(text), names)
        if part.type in (Type.TRUTH, Type.LIST, Type.NIL):
            raise Unreadable(f"the result must be a number, and this is {part.type}{_HINTS.get(part.type, '')}", 0)
    except Unreadable as error:
        return _told(text, error.message, error.at)
    return Formula(text, part.evaluate, slots)


def check_formula(formula: str, trigger_names: Collection[str]) -> str | None:
    """For admission: None, or what is wrong. Compiled, then tried with values; it must have a result for some."""
    compiled = compile_formula(formula, tuple(trigger_names))
    if isinstance(compiled, str):
        return compiled
    trials = [compiled.evaluate(dict.fromkeys(trigger_names, value)) for value in _TRIED]
    failed = [each.message for each in trials if isinstance(each, Unsolved)]
    return failed[0] if len(failed) == len(_TRIED) else None


_HINTS: Final = {
    Type.TRUTH: ": write `… ? 1 : 0`",
    Type.LIST: ": write sum, max or len of it",
}


def _from_text(text: str) -> float | Unsolved:
    """Upstream wraps the whole in float(…), which reads strings."""
    try:
        number = float(text)
    except ValueError:
        return Unsolved("the result is a string that is no number")
    return max(0.0, number) if math.isfinite(number) else Unsolved("the result is infinite or not a number")


def _told(text: str, message: str, at: int) -> str:
    """With line and column where there are several lines, else with the column."""
    if at < 0:
        return message
    line, column = text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
    where = f"line {line}, column {column}" if "\n" in text.strip() else f"column {column}"
    return f"{message} ({where})"
