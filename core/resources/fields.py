"""How a field of a model says what a client must know: its text, and how patch and apply merge its list.

Every module in this package that declares models calls these in place of `pydantic.Field`. The marks are those of
Kubernetes' own OpenAPI documents (`x-kubernetes-*`), so the schema that clients fetch carries them unchanged;
`core.resources.schema` reads them back for strategic merge patch and server-side apply.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

NOT_HONORED = "Accepted, not honored on one machine."


def doc(text: str, alias: str | None = None) -> Any:
    """An optional field with its line for `kubectl explain`; `alias` where camelCase alone does not give the name."""
    if alias is None:
        return Field(default=None, description=text)
    return Field(default=None, description=text, alias=alias)


def unhonored(text: str = "", alias: str | None = None) -> Any:
    """An optional field that real documents carry and that has no meaning on one machine."""
    return doc(f"{text} {NOT_HONORED}".strip(), alias)


def keyed(text: str, *keys: str, merge_key: str | None = None, strategy: str = "merge") -> Any:
    """An optional list of objects told apart by `keys`; strategic merge patch uses `merge_key` (the first key)."""
    return Field(
        default=None, description=text, json_schema_extra=list_map(*keys, merge_key=merge_key, strategy=strategy)
    )


def list_map(*keys: str, merge_key: str | None = None, strategy: str = "merge") -> dict[str, Any]:
    """The marks of `keyed`, for fields that are declared with `Field` itself."""
    return {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": list(keys),
        "x-kubernetes-patch-strategy": strategy,
        "x-kubernetes-patch-merge-key": merge_key or keys[0],
    }


def unique(text: str, alias: str | None = None) -> Any:
    """An optional list of scalars that is a set: appliers own its members one by one, patches add to it."""
    extra: dict[str, Any] = {"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"}
    if alias is None:
        return Field(default=None, description=text, json_schema_extra=extra)
    return Field(default=None, description=text, alias=alias, json_schema_extra=extra)


def patched(text: str, merge_key: str) -> Any:
    """An optional list that apply owns as a whole, although strategic merge patch merges it by `merge_key`."""
    extra = {"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": merge_key}
    return Field(default=None, description=text, json_schema_extra={"x-kubernetes-list-type": "atomic", **extra})


def whole(text: str, alias: str | None = None) -> Any:
    """An optional object that is owned and replaced as one value (`x-kubernetes-map-type: atomic`)."""
    extra: dict[str, Any] = {"x-kubernetes-map-type": "atomic"}
    if alias is None:
        return Field(default=None, description=text, json_schema_extra=extra)
    return Field(default=None, description=text, alias=alias, json_schema_extra=extra)


def key_default(text: str, default: str) -> Any:
    """An optional field that is part of a list's key and stands for `default` where it is left out."""
    return Field(default=None, description=text, json_schema_extra={"default": default})
