"""What `kubectl get -l` and `--field-selector` mean: their text, parsed once, matched against many objects.

The verbs parse them for lists, watches and deletions of collections. Label requirements are those of
`core.resources.selectors`; grammar and messages are Kubernetes' (apimachinery/pkg/labels and pkg/fields).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import BadRequest
from core.resources.meta import Json, Kind
from core.resources.names import check_label_value, check_qualified_name
from core.resources.selectors import LabelSelector, Operator, Requirement

_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|[^\s=!,()<>]+)")
_SIGNS = {"=", "==", "!=", "!", ",", "(", ")"}
_FIELD = re.compile(r"((?:[^\\=!]|\\.)*?)(!=|==|=)(.*)", re.DOTALL)
_UNESCAPED_COMMA = re.compile(r"((?:[^\\,]|\\.)*)(?:,|$)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

COMMON_FIELDS = frozenset({"metadata.name", "metadata.namespace"})
SELECTABLE: Mapping[str, Collection[str]] = {
    "pods": {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    },
    "events": {
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    },
    "events.events.k8s.io": {
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    },
    "jobs.batch": {"status.successful"},
    "secrets": {"type"},
    "namespaces": {"status.phase"},
    "services": {"spec.clusterIP", "spec.type"},
}
"""Fields that may be selected by, besides the common ones."""


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    path: tuple[str, ...]
    equal: bool
    value: str

    def matches(self, obj: Json) -> bool:
        return (_field_text(obj, self.path) == self.value) is self.equal


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All requirements must hold; none matches everything. A field that is not there is the empty text."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, obj: Json) -> bool:
        return all(requirement.matches(obj) for requirement in self.requirements)

    def value_of(self, *path: str) -> str:
        """What a field must be; empty where it may be several things."""
        return next((each.value for each in self.requirements if each.path == path and each.equal), "")


def parse_labels(text: str) -> LabelSelector:
    """`app=web,tier in (a, b),!canary`. BadRequest."""
    tokens = _Tokens(text)
    requirements = []
    while tokens.next is not None:
        requirements.append(_requirement(tokens))
        if tokens.next is None:
            break
        if tokens.take() != "," or tokens.next is None:
            raise _not_parsed(f"found '{tokens.last}', expected: ',' or 'end of string'")
    return LabelSelector(tuple(requirements))


def parse_fields(text: str, kind: Kind[Any] | None = None) -> FieldSelector:
    r"""`status.phase!=Running,metadata.name=a`; `\\`, `\,` and `\=` stand for themselves.

    With a kind, fields that Kubernetes does not select it by are refused. BadRequest.
    """
    requirements = []
    for term in _UNESCAPED_COMMA.findall(text):
        if not term:
            continue
        match = _FIELD.fullmatch(term)
        if match is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = match.groups()
        if kind is not None and field not in COMMON_FIELDS and field not in SELECTABLE.get(kind.resource, ()):
            raise BadRequest(f'field label not supported: "{field}"')
        requirements.append(FieldRequirement(tuple(field.split(".")), operator != "!=", _ESCAPE.sub(r"\1", value)))
    return FieldSelector(tuple(requirements))


class _Tokens:
    """The words and signs of a label selector, with the one that comes next in view."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self.last = ""
        self.next: str | None = next(self._tokens, None)

    def _split(self) -> Iterator[str]:
        at = 0
        while at < len(self._text.rstrip()):
            match = _TOKEN.match(self._text, at)
            if match is None:
                raise _not_parsed(f"found '{self._text[at:].strip()}', expected: identifier")
            yield match[1]
            at = match.end()

    def take(self) -> str:
        if self.next is None:
            raise _not_parsed("found '', expected: identifier")
        self.last, self.next = self.next, next(self._tokens, None)
        return self.last

    def word(self) -> str:
        token = self.take()
        if token in _SIGNS:
            raise _not_parsed(f"found '{token}', expected: identifier")
        return token


def _requirement(tokens: _Tokens) -> Requirement:
    if tokens.next == "!":
        tokens.take()
        return Requirement(_key(tokens), Operator.DOES_NOT_EXIST)
    key = _key(tokens)
    if tokens.next in (None, ","):
        return Requirement(key, Operator.EXISTS)
    match tokens.take():
        case "=" | "==":
            return Requirement(key, Operator.IN, frozenset((_exact(tokens, key),)))
        case "!=":
            return Requirement(key, Operator.NOT_IN, frozenset((_exact(tokens, key),)))
        case "in":
            return Requirement(key, Operator.IN, _values(tokens, key))
        case "notin":
            return Requirement(key, Operator.NOT_IN, _values(tokens, key))
        case other:
            raise _not_parsed(f"found '{other}', expected: in, notin, =, ==, !=")


def _key(tokens: _Tokens) -> str:
    key = tokens.word()
    if problem := check_qualified_name(key):
        raise BadRequest(f'unable to parse requirement: <nil>: Invalid value: "{key}": {problem}')
    return key


def _exact(tokens: _Tokens, key: str) -> str:
    value = "" if tokens.next in (None, ",") else tokens.word()
    return _checked(value, key)


def _values(tokens: _Tokens, key: str) -> frozenset[str]:
    """`(a, b)`; a value between two commas, or none at all, is the empty one."""
    if tokens.take() != "(":
        raise _not_parsed(f"found '{tokens.last}', expected: '('")
    values, value = set(), ""
    while (token := tokens.take()) != ")":
        if token == ",":
            values.add(value)
            value = ""
        elif token in _SIGNS or value:
            raise _not_parsed(f"found '{token}', expected: ',', or ')'")
        else:
            value = _checked(token, key)
    return frozenset(values | {value})


def _checked(value: str, key: str) -> str:
    if problem := check_label_value(value):
        raise BadRequest(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": {problem}')
    return value


def _not_parsed(detail: str) -> BadRequest:
    return BadRequest(f"unable to parse requirement: {detail}")


def _field_text(obj: Json, path: tuple[str, ...]) -> str:
    """The field as the text it is compared by; `source` of an Event stands for its component, and `status.successful`
    for how many Pods of a Job have succeeded, which may be 0 (pkg/apis/batch/v1, JobToSelectableFields)."""
    if path == ("status", "successful"):
        return str((obj.get("status") or {}).get("succeeded") or 0)
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, dict):
        value = value.get("component")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
