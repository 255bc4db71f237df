"""How a ConfigMap's keys are declared, once each: key, what may stand there, default, help.

A settings class is a frozen dataclass whose fields are made by `key`; parser, messages and documentation come from
those. Values are what `parse_settings` returns; a wrong one is a `FieldError` that says what was found and what is
allowed. Pure.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Protocol, TypeVar

from core.errors import FieldError, FieldProblem
from core.settings.durations import format_duration, parse_duration
from core.settings.templates import NameTemplate, parse_template

EXAMPLE_KEY: Final = "_example"
"""Documentation that Knative ships inside its ConfigMaps; never read as settings."""


class Reader(Protocol):
    """Turns the text of one key into its value."""

    @property
    def allowed(self) -> str:
        """What may stand there, as the end of a sentence: `must be …`."""

    def read(self, text: str) -> Any:
        """ValueError, whose text (if any) is more exact than `allowed`."""


@dataclass(frozen=True, slots=True)
class Key:
    """One declared key. `aliases` are older spellings; the key itself wins over them."""

    name: str
    reader: Reader
    help: str
    aliases: tuple[str, ...] = ()


def key(name: str, reader: Reader, default: Any, help: str, *, aliases: tuple[str, ...] = ()) -> Any:
    """A dataclass field that is filled from a ConfigMap key."""
    return field(default=default, metadata={"key": Key(name, reader, help, aliases)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `parse_settings` makes. Subclasses add fields made by `key`, and judge themselves as a whole."""

    def problems(self) -> Sequence[FieldError]:
        """Rules over more than one key."""
        return ()


S = TypeVar("S", bound=Settings)
SettingsParser = Callable[[Mapping[str, str]], Any]
"""ConfigMap data → its settings, or a list of FieldError."""


def declared_keys(settings: type[Settings]) -> dict[str, Key]:
    """Field name → declaration, in the order of the class."""
    return {each.name: each.metadata["key"] for each in fields(settings)}


def parse_settings(settings: type[S], data: Mapping[str, str]) -> S | list[FieldError]:
    """All settings of a ConfigMap, with defaults for what is not in it; unknown keys are left alone."""
    values: dict[str, Any] = {}
    wrong: list[FieldError] = []
    for name, declared in declared_keys(settings).items():
        found = next((each for each in (declared.name, *declared.aliases) if each in data), None)
        if found is None:
            continue
        try:
            values[name] = declared.reader.read(data[found].strip())
        except ValueError as error:
            wrong.append(invalid(found, data[found], str(error) or declared.reader.allowed))
    if wrong:
        return wrong
    result = settings(**values)
    return list(result.problems()) or result


def unknown_keys(settings: type[Settings], data: Mapping[str, str]) -> list[str]:
    """One sentence for every key that nobody reads, with the key it may have meant."""
    known = [name for each in declared_keys(settings).values() for name in (each.name, *each.aliases)]
    sentences = []
    for name in data:
        if name in known or name == EXAMPLE_KEY:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        sentences.append(f"data[{name}]: unknown key, ignored{meant}")
    return sentences


def invalid(name: str, found: object, allowed: str) -> FieldError:
    problem = FieldProblem.NOT_SUPPORTED if allowed.startswith("must be one of") else FieldProblem.INVALID
    return FieldError(f"data[{name}]", f"{name} = {found}, {allowed}", problem)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, inclusive bounds."""

    minimum: int = -(2**31)
    maximum: int = 2**31 - 1

    @property
    def allowed(self) -> str:
        if self.maximum == 2**31 - 1:
            return f"must be a whole number of at least {self.minimum}"
        return f"must be a whole number in [{self.minimum}, {self.maximum}]"

    def read(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            raise ValueError
        value = int(text)
        if not self.minimum <= value <= self.maximum:
            raise ValueError
        return value


@dataclass(frozen=True, slots=True)
class Decimal:
    """A finite number: at least `minimum`, or more than `above`; at most `maximum`."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None

    @property
    def allowed(self) -> str:
        if self.minimum is not None and self.maximum is not None:
            return f"must be in [{self.minimum:g}, {self.maximum:g}] interval"
        if self.above is not None:
            return f"must be greater than {self.above:.1f}"
        return "must be a number" if self.minimum is None else f"must be at least {self.minimum:g}"

    def read(self, text: str) -> float:
        value = _number(text)
        low = self.minimum is not None and value < self.minimum
        high = self.maximum is not None and value > self.maximum
        if low or high or (self.above is not None and value <= self.above):
            raise ValueError
        return value


@dataclass(frozen=True, slots=True)
class Fraction:
    """A percentage; a value of at most 1 is read as a fraction, for upstream's legacy: "1" means all of it."""

    allowed: str = "must be in (0, 100]"

    def read(self, text: str) -> float:
        value = _number(text)
        value = value / 100.0 if value > 1.0 else value
        if not 0.0 < value <= 1.0:
            raise ValueError
        return value


@dataclass(frozen=True, slots=True)
class BurstCapacity:
    """-1 for "without a bound", or a number of at least 0."""

    allowed: str = "must be either non-negative or -1 (for unlimited)"

    def read(self, text: str) -> float:
        value = _number(text)
        if value < 0 and value != -1:
            raise ValueError
        return value


@dataclass(frozen=True, slots=True)
class Seconds:
    """A Go duration, as seconds; `whole` forbids fractions of one, `positive` forbids 0."""

    minimum_s: float = 0.0
    maximum_s: float = math.inf
    whole: bool = False
    positive: bool = False

    @property
    def allowed(self) -> str:
        if self.positive:
            return "must be a positive duration such as 30s"
        if math.isfinite(self.maximum_s):
            return f"must be in [{format_duration(self.minimum_s)}; {format_duration(self.maximum_s)}] range"
        return f"must be a duration of at least {format_duration(self.minimum_s)}"

    def read(self, text: str) -> float:
        try:
            value = parse_duration(text)
        except ValueError:
            raise ValueError(f"{self.allowed} (a number with a unit, such as 90s or 1m30s)") from None
        if not self.minimum_s <= value <= self.maximum_s or (self.positive and value <= 0):
            raise ValueError
        if self.whole and value != round(value):
            raise ValueError("must be specified with at most second precision")
        return value


@dataclass(frozen=True, slots=True)
class Truth:
    """As `strconv.ParseBool`."""

    allowed: str = "must be true or false"

    def read(self, text: str) -> bool:
        if text in ("1", "t", "T", "true", "TRUE", "True"):
            return True
        if text in ("0", "f", "F", "false", "FALSE", "False"):
            return False
        raise ValueError


@dataclass(frozen=True, slots=True)
class TruthOrDefault:
    """true, false, or `default`: what Kubernetes would do by itself (None)."""

    allowed: str = "must be one of true, false, default"

    def read(self, text: str) -> bool | None:
        choices: dict[str, bool | None] = {"true": True, "false": False, "default": None, "": None}
        try:
            return choices[text.lower()]
        except KeyError:
            raise ValueError from None


@dataclass(frozen=True, slots=True)
class Choice:
    """One word of a closed set, in any case; the value is the spelling declared here."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return f"must be one of {', '.join(self.words)}"

    def read(self, text: str) -> str:
        for word in self.words:
            if word.lower() == text.lower():
                return word
        raise ValueError


@dataclass(frozen=True, slots=True)
class Text:
    """Any text; with `required`, not an empty one."""

    required: bool = True

    @property
    def allowed(self) -> str:
        return "must not be empty" if self.required else "may be anything"

    def read(self, text: str) -> str:
        if self.required and not text:
            raise ValueError
        return text


@dataclass(frozen=True, slots=True)
class Quantity:
    """A Kubernetes quantity, kept as written (`250m`, `1Gi`); None where empty."""

    allowed: str = "must be a quantity such as 250m, 128Mi or 1G"

    def read(self, text: str) -> str | None:
        if not text:
            return None
        if not re.fullmatch(r"\+?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?", text, re.ASCII):
            raise ValueError
        return text


@dataclass(frozen=True, slots=True)
class OrDisabled:
    """What another reader allows, or the word `disabled` (None)."""

    reader: Reader

    @property
    def allowed(self) -> str:
        return f"{self.reader.allowed}, or disabled"

    def read(self, text: str) -> Any:
        if text.lower() == "disabled":
            return None
        try:
            return self.reader.read(text)
        except ValueError as error:
            raise ValueError(f"{str(error) or self.reader.allowed}, or disabled") from None


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A name template over these fields (True: a map)."""

    fields: Mapping[str, bool]

    @property
    def allowed(self) -> str:
        return f"must be a template over {', '.join('.' + each for each in self.fields)}"

    def read(self, text: str) -> NameTemplate:
        return parse_template(text, self.fields)


def _number(text: str) -> float:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII) or not math.isfinite(float(text)):
        raise ValueError
    return float(text)
