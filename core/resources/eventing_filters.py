"""A Trigger's filters as they stand in a document: fields, and the rules of their syntax.

(knative.dev/eventing/pkg/apis/eventing/v1/trigger_validation.go.) Expressions in `cesql` are not looked into here: they
are compiled by `eventing/filters`, and one that does not compile keeps its Trigger from becoming ready. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from core.resources.fields import doc
from core.resources.knative_errors import Errors, generic, invalid_key, via, via_index
from core.resources.meta import Json, Model

DIALECTS: Final = ("exact", "prefix", "suffix", "all", "any", "not", "cesql")
ATTRIBUTE_NAME: Final = re.compile(r"[a-z][a-z0-9]*", re.ASCII)
_ATTRIBUTE_RULE: Final = "Attribute name must start with a letter and can only contain lowercase alphanumeric"


class SubscriptionsAPIFilter(Model):
    """One dialect of the CloudEvents Subscriptions API, or CloudEvents SQL."""

    exact: dict[str, str] | None = doc("Attributes that must have these values.")
    prefix: dict[str, str] | None = doc("Attributes that must begin with these values.")
    suffix: dict[str, str] | None = doc("Attributes that must end with these values.")
    all: list[SubscriptionsAPIFilter] | None = doc("Filters that must all hold.")
    any: list[SubscriptionsAPIFilter] | None = doc("Filters one of which must hold.")
    not_: SubscriptionsAPIFilter | None = doc("A filter that must not hold.", alias="not")
    cesql: str | None = doc("An expression in CloudEvents SQL that must be true.")


class TriggerFilter(Model):
    attributes: dict[str, str] | None = doc("Attributes that must have these values; an empty one, that must be there.")


def validate_attributes(attributes: Mapping[str, str]) -> Errors:
    """The names; any value will do."""
    errors: Errors = []
    for name in attributes:
        if not ATTRIBUTE_NAME.fullmatch(name):
            errors += invalid_key(name, f"[{name}]", _ATTRIBUTE_RULE)
    return errors


def validate_filters(field: str, filters: Sequence[Json]) -> Errors:
    errors: Errors = []
    for index, entry in enumerate(filters):
        errors += via_index(field, index, validate_filter(entry))
    return errors


def validate_filter(entry: Json) -> Errors:
    errors: Errors = []
    if sum(1 for dialect in DIALECTS if entry.get(dialect)) > 1:
        errors += generic("multiple dialects found, filters can have only one dialect set")
    for dialect in ("exact", "prefix", "suffix"):
        errors += via(dialect, validate_attributes(entry.get(dialect) or {}))
    for dialect in ("all", "any"):
        errors += validate_filters(dialect, entry.get(dialect) or ())
    if entry.get("not"):
        errors += via("not", validate_filter(entry["not"]))
    return errors
