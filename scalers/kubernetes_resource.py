"""kubernetes-resource: a number in a ConfigMap or a Secret (pkg/scalers/kubernetes_resource_scaler.go).

Here it also hears of it: when the object changes, it says so at once. No error shows what a Secret holds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.errors import Expired, NotFound, TemporaryError
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.meta import Json, Kind
from core.settings.declaration import Choice, Decimal, Text
from core.store.base import EventType
from scalers.base import Definition, Tell, World
from scalers.document_values import Read, json_reader, number_found, yaml_reader
from scalers.metric_names import normalize
from scalers.params import Parameters, param
from scalers.readings import Reading, Target, Trigger

NUMBER, INT64, QUANTITY = "number", "int64", "quantity"
_KINDS: Final[Mapping[str, Kind[Any]]] = {kind.kind: kind for kind in (CONFIG_MAP, SECRET)}
_READERS: Final[Mapping[str, Callable[[str], Read]]] = {"json": json_reader, "yaml": yaml_reader}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceParameters(Parameters):
    resource_kind: str = param("resourceKind", Choice(tuple(_KINDS)), "What holds the number.")
    resource_name: str = param("resourceName", Text(), "Its name; it is in the object's own namespace.")
    key: str = param("key", Text(), "Under which key.")
    format: str = param("format", Choice((NUMBER, *_READERS)), "What stands there.", NUMBER)
    value_location: str = param(
        "valueLocation",
        Text(),
        "Where in it: json: a path of GJSON; yaml: keys with dots between.",
        "",
        differs="Of GJSON, modifiers and multipaths are not taken.",
    )
    value_type: str = param("valueType", Choice(("float64", INT64, QUANTITY)), "What sort of number it is.", "float64")
    target_value: float = param("targetValue", Decimal(above=0), "So much per replica.", is_target=True)
    activation_target_value: float = param(
        "activationTargetValue", Decimal(), "Active where the value is greater.", 0.0
    )

    def problems(self) -> Sequence[tuple[str, str]]:
        if self.format == NUMBER:
            return [("valueLocation", "is for the formats json and yaml")] if self.value_location else []
        if not self.value_location:
            return [("valueLocation", f"is missing: it says where the number is in {self.format}")]
        try:
            _READERS[self.format](self.value_location)
        except ValueError as error:
            return [("valueLocation", f"is {self.value_location!r}, {error}")]
        return []


class ResourceScaler:
    def __init__(self, parameters: ResourceParameters, trigger: Trigger, world: World) -> None:
        self._parameters, self._store = parameters, world.store
        self._kind, self._namespace = _KINDS[parameters.resource_kind], trigger.owner.namespace
        self._look = _READERS[parameters.format](parameters.value_location) if parameters.format != NUMBER else None
        name = f"{parameters.resource_kind.lower()}-{parameters.resource_name}-{parameters.key}"
        self._target = Target(normalize(name), parameters.target_value, parameters.activation_target_value)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        try:
            obj = await self._store.get(self._kind, self._parameters.resource_name, self._namespace)
        except NotFound:
            raise TemporaryError(f"there is no {self._where}") from None
        return (Reading(self._value(obj)),)

    async def run(self, tell: Tell) -> None:
        while True:
            since = (await self._store.list(self._kind, self._namespace)).resource_version
            try:
                async with self._store.watch(self._kind, self._namespace, since=since) as changes:
                    async for event in changes:
                        is_it = event.type is not EventType.BOOKMARK
                        if is_it and event.object["metadata"]["name"] == self._parameters.resource_name:
                            tell(event.type is not EventType.DELETED and self._is_active(event.object))
                return  # the store is closed
            except Expired:
                continue

    async def close(self) -> None:
        """Holds nothing."""

    @property
    def _where(self) -> str:
        return f"{self._kind.kind} {self._namespace}/{self._parameters.resource_name}"

    def _is_active(self, obj: Json) -> bool:
        try:
            return self._value(obj) > self._target.activation
        except TemporaryError:
            return False  # the reading that follows says so

    def _value(self, obj: Json) -> float:
        parameters, text = self._parameters, (obj.get("data") or {}).get(self._parameters.key)
        if text is None:
            raise TemporaryError(f"{self._where} has no key {parameters.key}")
        at = f" at {parameters.value_location}" if parameters.value_location else ""
        try:
            body = base64.b64decode(text, validate=True) if self._kind is SECRET else text.encode()
            found = number_found(self._look(body) if self._look is not None else body.decode())
            if parameters.value_type == INT64 and not found.is_integer():
                raise ValueError("leads to a number that is not whole")
        except LookupError:
            why = "leads to nothing"
        except (UnicodeDecodeError, binascii.Error):
            why = "is no text"
        except ValueError as error:
            why = str(error)
        else:
            return found
        raise TemporaryError(f"{self._where}: key {parameters.key}{at} {why}")


DEFINITION = Definition(ResourceParameters, ResourceScaler, "A number in a ConfigMap or a Secret.", inside=True)
