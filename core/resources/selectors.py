"""Matching of labels by a `metav1.LabelSelector` object (matchLabels, matchExpressions), as in a Deployment's spec.

The text form of `kubectl get -l` is parsed in `core.apiserver.selectors` into the same `Requirement`s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import Field

from core.errors import FieldError, FieldProblem
from core.resources.fields import doc
from core.resources.meta import Json, Model
from core.resources.names import check_label_value, check_qualified_name


class LabelRequirement(Model):
    key: str = Field(default="", description="Label that the requirement is about.")
    operator: str = Field(default="", description="In, NotIn, Exists or DoesNotExist.")
    values: list[str] | None = doc("Values for In and NotIn.")


class LabelSelectorModel(Model):
    """Both parts must hold; an empty selector matches everything."""

    match_labels: dict[str, str] | None = doc("Labels that must be there with these values.")
    match_expressions: list[LabelRequirement] | None = doc("Further requirements.")


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. NotIn holds for objects without the label, as in Kubernetes."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case Operator.IN:
                return self.key in labels and labels[self.key] in self.values
            case Operator.NOT_IN:
                return self.key not in labels or labels[self.key] not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        present = labels or {}
        return all(requirement.matches(present) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(_text(requirement) for requirement in self.requirements)


def selector_of(obj: Json | None) -> LabelSelector:
    """The selector that a metav1.LabelSelector object stands for. ValueError on an unknown operator."""
    selector = obj or {}
    equal = [
        Requirement(k, Operator.IN, frozenset((v,))) for k, v in sorted((selector.get("matchLabels") or {}).items())
    ]
    others = [
        Requirement(e["key"], Operator(e["operator"]), frozenset(e.get("values") or ()))
        for e in selector.get("matchExpressions") or ()
    ]
    return LabelSelector((*equal, *others))


def check_selector(obj: Json, path: str) -> list[FieldError]:
    """What is wrong with a metav1.LabelSelector object."""
    errors = check_labels(obj.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, expression in enumerate(obj.get("matchExpressions") or ()):
        errors += _check_expression(expression, f"{path}.matchExpressions[{index}]")
    return errors


def check_labels(labels: Mapping[str, Any], path: str) -> list[FieldError]:
    """What is wrong with a map of labels: keys are qualified names, values short words."""
    errors = []
    for key, value in labels.items():
        if problem := check_qualified_name(key):
            errors.append(FieldError(path, f'Invalid value: "{key}": {problem}'))
        if problem := check_label_value(value):
            errors.append(FieldError(path, f'Invalid value: "{value}": {problem}'))
    return errors


def _check_expression(expression: Json, path: str) -> list[FieldError]:
    errors = []
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in (Operator.IN, Operator.NOT_IN):
        if not values:
            message = "Required value: must be specified when `operator` is 'In' or 'NotIn'"
            errors.append(FieldError(f"{path}.values", message, FieldProblem.REQUIRED))
    elif operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST):
        if values:
            message = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(FieldError(f"{path}.values", message, FieldProblem.FORBIDDEN))
    else:
        message = f'Invalid value: "{operator}": not a valid selector operator'
        errors.append(FieldError(f"{path}.operator", message))
    if problem := check_qualified_name(expression.get("key", "")):
        errors.append(FieldError(f"{path}.key", f'Invalid value: "{expression.get("key", "")}": {problem}'))
    return errors


def _text(requirement: Requirement) -> str:
    values = ",".join(sorted(requirement.values))
    match requirement.operator:
        case Operator.IN if len(requirement.values) == 1:
            return f"{requirement.key}={values}"
        case Operator.IN:
            return f"{requirement.key} in ({values})"
        case Operator.NOT_IN if len(requirement.values) == 1:
            return f"{requirement.key}!={values}"
        case Operator.NOT_IN:
            return f"{requirement.key} notin ({values})"
        case Operator.EXISTS:
            return requirement.key
        case Operator.DOES_NOT_EXIST:
            return f"!{requirement.key}"
