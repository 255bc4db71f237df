"""Kubernetes' JSONPath templates: `{.status.url}{"\\n"}`, `{range .items[*]}…{end}`, `[?(@.type=="Ready")]`.

A dialect that no library speaks (https://kubernetes.io/docs/reference/kubectl/jsonpath/, client-go/util/jsonpath): text
with paths in braces, names with escaped dots, absent fields that print nothing. For `-o jsonpath=…`. Pure.

    template = (text | "{" action* "}")*      action = string | "range" path | "end" | path
    path     = ("$" | "@")? step*             step   = "." name | ".." name | "[" selector "]"
    selector = "*" | slice | names | indices | "?(" path (operator value)? ")"
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Values: TypeAlias = list[Any]
Step: TypeAlias = Callable[[Values], Values]
COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_STRING: Final = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_NAME: Final = re.compile(r"(?:\\.|[^\s.,\[\]$@{}()=!<>'\"\\])+")
_SLICE: Final = re.compile(r"\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?(?::\s*(-?\d*)\s*)?\]")
_INDICES: Final = re.compile(r"\s*-?\d+\s*(?:,\s*-?\d+\s*)+\]")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


class TemplateError(ValueError):
    """What is wrong with a template, and where."""


@dataclass(frozen=True, slots=True)
class Path:
    """From where it stands: the document, or the item of a range, where `$` is the item for kubectl, too."""

    steps: tuple[Step, ...]

    def find(self, here: Any) -> Values:
        values = [here]
        for step in self.steps:
            values = step(values)
        return values


@dataclass(frozen=True, slots=True)
class Range:
    over: Path
    body: tuple[Node, ...]


Node: TypeAlias = str | Path | Range


def parse_template(text: str) -> tuple[Node, ...]:
    """TemplateError."""
    reader = _Reader(text)
    nodes = reader.nodes(nested=False)
    return tuple(nodes)


def render(template: Sequence[Node], document: Any) -> str:
    """As kubectl prints it, without a newline at its end."""
    return "".join(_rendered(template, document))


def find(template: Sequence[Node], document: Any) -> Values:
    """The values of all paths, for `jsonpath-as-json`."""
    return [value for node in template if isinstance(node, Path) for value in node.find(document)]


def _rendered(template: Sequence[Node], here: Any) -> Iterator[str]:
    for node in template:
        match node:
            case str():
                yield node
            case Path():
                yield " ".join(_text(value) for value in node.find(here))
            case Range():
                for value in node.over.find(here):
                    yield from _rendered(node.body, value)


def _text(value: Any) -> str:
    """As Go prints it: strings bare, the rest as JSON."""
    if isinstance(value, str):
        return value
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


class _Reader:
    """Reads a template from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._inside = False  # of braces

    def nodes(self, *, nested: bool) -> Iterator[Node]:
        """Up to the end, or to the `end` of a range."""
        while self._at < len(self._text):
            if self._take("{}"):
                yield Path(())
            elif self._take("}" if self._inside else "{", skip=self._inside):
                self._inside = not self._inside
            elif not self._inside:
                yield self._verbatim()
            elif not self._word("end"):
                yield self._action()
            elif nested:
                return
            else:
                raise self._problem("not in range, nothing to end")
        if nested or self._inside:
            raise self._problem("unclosed range" if nested else "unclosed action")

    def _verbatim(self) -> str:
        brace = self._text.find("{", self._at)
        stop = len(self._text) if brace < 0 else brace
        text, self._at = self._text[self._at : stop], stop
        return text

    def _action(self) -> Node:
        if self._word("range"):
            self._take("", skip=True)
            return Range(self._path(), tuple(self.nodes(nested=True)))
        literal = self._string()
        return self._path() if literal is None else literal

    def _path(self) -> Path:
        rooted = self._take("$") or self._take("@")
        steps: list[Step] = []
        while True:
            if self._take(".."):
                steps += [_descend] if self._peek() == "[" else [_descend, _field(self._name())]
            elif self._take("."):
                steps += [] if self._peek() in ("[", "") else [_field(self._name())]
            elif self._take("["):
                steps.append(self._selector())
            else:
                break
        if not steps and not rooted:
            raise self._problem("expected a path such as .metadata.name")
        return Path(tuple(steps))

    def _name(self) -> str:
        if self._take("*"):
            return "*"
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise self._problem("expected the name of a field")
        self._at = match.end()
        return re.sub(r"\\(.)", r"\1", match[0])

    def _selector(self) -> Step:
        self._take("", skip=True)
        if self._take("*"):
            self._expect("]")
            return _children
        if self._take("?("):
            return self._filter()
        if self._peek() in ("'", '"'):
            names = [self._required_string()]
            while self._take(",", skip=True):
                self._take("", skip=True)
                names.append(self._required_string())
            self._expect("]")
            return lambda values: [found for name in names for found in _field(name)(values)]
        if match := _INDICES.match(self._text, self._at):
            self._at = match.end()
            indices = [int(each) for each in match[0][:-1].split(",")]
            return lambda values: [each[i] for each in values for i in indices if _has(each, i)]
        match = _SLICE.match(self._text, self._at)
        if match is None or match[0].strip() == "]":
            raise self._problem("invalid array index")
        self._at = match.end()
        start, stop, step = (int(each) if each else None for each in match.groups())
        return _slice(start, stop, step) if match[2] is not None or start is None else _index(start)

    def _filter(self) -> Step:
        self._take("", skip=True)
        left = self._operand()
        self._take("", skip=True)
        sign = next((each for each in COMPARISONS if self._take(each)), None)
        self._take("", skip=True)
        right = self._operand() if sign is not None else None
        self._expect(")")
        self._expect("]")
        return lambda values: [each for value in values for each in _members(value) if _holds(each, left, sign, right)]

    def _operand(self) -> Path | Values:
        """A path, or one value."""
        if (text := self._string()) is not None:
            return [text]
        if match := re.compile(r"-?\d+(\.\d+)?|true|false|null").match(self._text, self._at):
            self._at = match.end()
            return [json.loads(match[0])]
        return self._path()

    def _string(self) -> str | None:
        match = _STRING.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        text = match[1] if match[1] is not None else match[2]
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text)

    def _required_string(self) -> str:
        text = self._string()
        if text is None:
            raise self._problem("expected a name in quotes")
        return text

    def _word(self, word: str) -> bool:
        match = re.compile(rf"\s*{word}(?![\w\\-])").match(self._text, self._at)
        if match is None:
            return False
        self._at = match.end()
        return True

    def _take(self, sign: str, *, skip: bool = False) -> bool:
        while skip and self._peek().isspace():
            self._at += 1
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _expect(self, sign: str) -> None:
        if not self._take(sign, skip=True):
            raise self._problem(f'expected "{sign}"')

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _problem(self, message: str) -> TemplateError:
        return TemplateError(f"{message} at character {self._at + 1} of {self._text!r}")


def _field(name: str) -> Step:
    if name == "*":
        return _children
    return lambda values: [each[name] for each in values if isinstance(each, dict) and name in each]


def _index(index: int) -> Step:
    return lambda values: [each[index] for each in values if _has(each, index)]


def _slice(start: int | None, stop: int | None, step: int | None) -> Step:
    return lambda values: [item for each in values if isinstance(each, list) for item in each[start:stop:step]]


def _has(value: Any, index: int) -> bool:
    return isinstance(value, list) and -len(value) <= index < len(value)


def _children(values: Values) -> Values:
    return [child for value in values for child in _members(value)]


def _members(value: Any) -> Values:
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    return list(value) if isinstance(value, list) else []


def _descend(values: Values) -> Values:
    """Each and all below it."""
    found: Values = []
    for value in values:
        found += [value, *_descend(_members(value))]
    return found


def _holds(value: Any, left: Path | Values, sign: str | None, right: Path | Values | None) -> bool:
    """A comparison of what is absent, or of different types, holds for none."""
    first = left.find(value) if isinstance(left, Path) else left
    if sign is None or right is None:
        return bool(first)
    second = right.find(value) if isinstance(right, Path) else right
    if not first or not second:
        return False
    try:
        return COMPARISONS[sign](first[0], second[0])
    except TypeError:
        return False
