"""What stands between a document and the store: unknown fields, types, defaults, rules, warnings.

The verbs hand in every object that a client wrote, and store what comes back. Driven by the `Kind` alone. One pass of
the model over the document finds all unknown fields and wrong types at once; rules see an object with defaults.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from pydantic import ValidationError

from core.apiserver.metadata_rules import carry_over, validate_metadata
from core.errors import BadRequest, FieldError, FieldProblem, Invalid
from core.resources.knative_errors import sentences
from core.resources.meta import AdmissionContext, Json, Kind
from core.resources.problems import not_supported, required, shown

_WRONG_TYPE = {
    "string_type": "string",
    "int_type": "integer",
    "int_from_float": "integer",
    "int_parsing_size": "integer",
    "float_type": "number",
    "bool_type": "boolean",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "list_type": "array",
    "string_unicode": "string",
}
_JSON_NAMES = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}
_VOLATILE = ("resourceVersion", "managedFields", "generation", "finalizers")


class FieldValidation(StrEnum):
    """The `fieldValidation` parameter of a request: what becomes of unknown fields."""

    STRICT = "Strict"
    WARN = "Warn"
    IGNORE = "Ignore"


@dataclass(frozen=True, slots=True)
class Admitted:
    """The object as it is to be stored, and the sentences for the `Warning` header."""

    obj: Json
    warnings: tuple[str, ...] = ()


def admit_create(kind: Kind[Any], obj: Json, context: AdmissionContext, field_validation: str) -> Admitted:
    """A new object: its status, where that is a subresource, is not the writer's to set. BadRequest, Invalid."""
    checked, warnings = _decode(kind, obj, field_validation)
    if kind.status:
        checked.pop("status", None)
    return _rule(kind, checked, context, warnings)


def admit_update(kind: Kind[Any], old: Json, obj: Json, context: AdmissionContext, field_validation: str) -> Admitted:
    """The object in place of `old`: what the system keeps in its metadata stays. BadRequest, Conflict, Invalid.

    Which of spec and status a write may change is the store's to see to. A write that leaves all but the status as it
    was is not held against the rules again: they may have changed since, and a finalizer must always come off.
    """
    checked, warnings = _decode(kind, obj, field_validation)
    carry_over(old, checked)
    if same_to_the_rules(kind, old, checked):
        return Admitted(checked, tuple(warnings))
    return _rule(kind, checked, dataclasses.replace(context, old=old), warnings)


def _rule(kind: Kind[Any], obj: Json, context: AdmissionContext, warnings: list[str]) -> Admitted:
    """Defaults, what others put in, then rules; `obj` is ours to change."""
    kind.default(obj, context)
    context.mutate(kind, obj)
    name = obj["metadata"].get("name", "")
    metadata_errors, errors = validate_metadata(kind, obj, context.old), kind.validate(obj, context)
    if errors and kind.webhook and not metadata_errors:
        raise denied(kind, name, errors)
    if metadata_errors or errors:
        raise invalid(kind, name, [*metadata_errors, *errors])
    return Admitted(obj, (*warnings, *kind.warn(obj, context)))


def invalid(kind: Kind[Any], name: str, errors: Sequence[FieldError]) -> Invalid:
    """422 with every field at fault, worded as `kubectl` users know it."""
    texts = [str(error) if error.path else error.message for error in errors]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    group_kind = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    refusal = Invalid(f'{group_kind} "{name}" is invalid: {listed}', causes=errors)
    refusal.about = (kind.group, kind.kind, name)
    return refusal


def denied(kind: Kind[Any], name: str, errors: Sequence[FieldError]) -> BadRequest:
    """400 in the words of the webhook that holds the rules upstream; the causes are there all the same."""
    text = f'admission webhook "{kind.webhook}" denied the request: validation failed: {sentences(errors)}'
    refusal = BadRequest(text, causes=errors)
    refusal.about = (kind.group, kind.kind, name)
    return refusal


def _decode(kind: Kind[Any], obj: Json, field_validation: str) -> tuple[Json, list[str]]:
    """A private copy without nulls and unknown fields, spelled as its kind has it; warnings for the last two."""
    try:
        raw = orjson.dumps(obj)
    except orjson.JSONEncodeError as error:
        raise BadRequest(f"{kind.kind} cannot be read: {error}") from None
    copy: Json = orjson.loads(raw)
    if b"null" in raw:
        _strip_nulls(copy)
        raw = orjson.dumps(copy)
    spelled = list(kind.spell(copy))
    if spelled:
        raw = orjson.dumps(copy)
    copy["apiVersion"], copy["kind"] = kind.api_version, kind.kind
    if not isinstance(copy.setdefault("metadata", {}), dict):
        raise _not_handled(kind, 'json: cannot unmarshal into field "metadata" of type object')
    try:
        kind.model.model_validate_json(raw, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        return copy, [*spelled, *_sort_out(kind, copy, error, field_validation)]
    return copy, spelled


def _sort_out(kind: Kind[Any], obj: Json, error: ValidationError, field_validation: str) -> list[str]:
    """Raises for wrong types, then for broken values; prunes what is unknown and tells of it."""
    unknown: list[list[str | int]] = []
    wrong: dict[str, str] = {}
    broken: dict[str, FieldError] = {}
    for detail in error.errors(include_url=False):
        keys = _keys(obj, detail)
        path = path_text(keys)
        if detail["type"] == "extra_forbidden":
            unknown.append(keys)
        elif allowed := _WRONG_TYPE.get(detail["type"]):
            others = f"{wrong[path]} or " if path in wrong and wrong[path] != allowed else ""
            wrong[path] = others + allowed
        else:
            broken[path] = _broken(kind, path, detail)
    if wrong:
        path, allowed = next(iter(wrong.items()))
        raise _not_handled(kind, _unmarshal(kind, obj, error, path, allowed))
    if unknown and field_validation == FieldValidation.STRICT:
        listed = ", ".join(f'unknown field "{path_text(keys)}"' for keys in unknown)
        raise _not_handled(kind, f"strict decoding error: {listed}")
    if broken:
        raise invalid(kind, str(obj["metadata"].get("name", "")), list(broken.values()))
    for keys in unknown:
        _prune(obj, keys)
    if field_validation == FieldValidation.WARN:
        return [f'unknown field "{path_text(keys)}"' for keys in unknown]
    return []


def _broken(kind: Kind[Any], path: str, detail: Any) -> FieldError:
    if detail["type"] == "missing":
        return required(path)
    if kind.confidential:
        return FieldError(path, f"Invalid value: {detail['msg']}", FieldProblem.INVALID)
    if detail["type"] in ("enum", "literal_error"):
        choices = [choice.strip("' ") for choice in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return not_supported(path, detail["input"], choices)
    return FieldError(path, f"Invalid value: {shown(detail['input'])}: {detail['msg']}", FieldProblem.INVALID)


def _unmarshal(kind: Kind[Any], obj: Json, error: ValidationError, path: str, allowed: str) -> str:
    """Names the field, what is allowed and what was found, by its type at least."""
    for detail in error.errors(include_url=False):
        if path_text(_keys(obj, detail)) == path:
            found = _JSON_NAMES.get(type(detail["input"]), "null")
            value = "" if kind.confidential else f": found {shown(detail['input'])}"
            return f"json: cannot unmarshal {found} into field {path} of type {allowed}{value}"
    raise AssertionError(path)


def _not_handled(kind: Kind[Any], why: str) -> BadRequest:
    """Built-in kinds say which they are, custom ones do not, as in Kubernetes."""
    if kind.merge_patch_only and why.startswith("strict"):
        return BadRequest(why)
    return BadRequest(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


def _keys(obj: Json, detail: Any) -> list[str | int]:
    """The place in the document: pydantic also names the branch of a union that it tried, which is no place."""
    loc: Sequence[str | int] = detail["loc"]
    keys: list[str | int] = []
    if detail["type"] == "missing":
        return list(loc)
    holder: Any = None
    value: Any = obj
    for key in loc:
        inside = key in value if isinstance(value, dict) else isinstance(value, list) and isinstance(key, int)
        if not inside:
            return keys
        holder, value = value, value[key]
        keys.append(key)
    return keys[:-1] if value != detail["input"] and holder == detail["input"] else keys


def path_text(keys: Sequence[str | int]) -> str:
    """`spec.containers[0].name`."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def _prune(obj: Json, keys: Sequence[str | int]) -> None:
    holder: Any = obj
    for key in keys[:-1]:
        holder = holder[key]
    holder.pop(keys[-1], None)


def _strip_nulls(value: Any) -> None:
    """Null stands for absence, as in a decoded Go struct: documents that `kubectl create --dry-run` made hold many."""
    if isinstance(value, dict):
        for key in [key for key, item in value.items() if item is None]:
            del value[key]
        for item in value.values():
            _strip_nulls(item)
    elif isinstance(value, list):
        for item in value:
            _strip_nulls(item)


def same_to_the_rules(kind: Kind[Any], old: Json, new: Json) -> bool:
    """Whether the write changes nothing that a rule could look at."""
    apart: Json = {"metadata": None, "status": None} if kind.status else {"metadata": None}
    if {**old, **apart} != {**new, **apart}:
        return False
    before, after = ({k: v for k, v in o["metadata"].items() if k not in _VOLATILE} for o in (old, new))
    return before == after
