"""metrics-api: one number out of any API that answers in JSON, XML, YAML or as Prometheus' targets do
(pkg/scalers/metrics_api_scaler.go).

What the location leads to is a number, or a text that is a quantity (`1k`); anything else is an error, never 0.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

from core.clients.http_reader import Answer
from core.errors import TemporaryError
from core.settings.declaration import Choice, Decimal, Text, Truth
from scalers.base import Definition, World
from scalers.document_values import Read, by_keys, json_reader, number_found, yaml_reader
from scalers.exposition import find_sample, parse_selector
from scalers.http_access import Address, HttpAccess, HttpParameters
from scalers.metric_names import normalize
from scalers.params import param
from scalers.readings import Quality, Reading, Target, Trigger

LARGE_BYTES: Final = 64 * 1024  # from there on it is read beside the event loop
_TOGETHER: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "average": lambda values: math.fsum(values) / len(values),
    "sum": math.fsum,
    "max": max,
    "min": min,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsApiParameters(HttpParameters):
    url: str = param("url", Address(), "What to ask, whole: http://HOST[:PORT]/PATH.")
    format: str = param("format", Choice(("json", "xml", "yaml", "prometheus")), "What it answers in.", "json")
    value_location: str = param(
        "valueLocation",
        Text(),
        "Where the number is: json: a path of GJSON; yaml, xml: keys with dots between; prometheus: a selector.",
        differs="Of GJSON, modifiers and multipaths are not taken. A selector honors !=, =~ and !~.",
    )
    target_value: float = param("targetValue", Decimal(above=0), "So much per replica.", is_target=True)
    activation_target_value: float = param(
        "activationTargetValue", Decimal(), "Active where the value is greater.", 0.0
    )
    aggregate: bool = param(
        "aggregateFromKubeServiceEndpoints",
        Truth(),
        "Ask every ready Pod of the Service that the URL names, and take the values together.",
        False,
    )
    aggregation: str = param(
        "aggregationType", Choice(("average", "sum", "max", "min")), "How values are taken together.", "average"
    )

    def problems(self) -> Sequence[tuple[str, str]]:
        found = list(HttpParameters.problems(self))
        try:
            _READERS[self.format](self.value_location)
        except ValueError as error:
            found.append(("valueLocation", f"is {self.value_location!r}, {error}"))
        return found


class MetricsApiScaler:
    def __init__(self, parameters: MetricsApiParameters, access: HttpAccess) -> None:
        self._parameters = parameters
        self._access = access
        self._read = _READERS[parameters.format](parameters.value_location)
        name = normalize(f"metric-api-{parameters.value_location}")
        self._target = Target(name, parameters.target_value, parameters.activation_target_value)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        if self._parameters.aggregate:
            return (await self._together(),)
        return (Reading(await self._value(await self._access.ask(self._parameters.url))),)

    async def close(self) -> None:
        await self._access.close()

    async def _together(self) -> Reading:
        """Values of those that answered. Where one did not, the whole is not known: upstream leaves it out."""
        answers = await self._access.ask_all(self._parameters.url)
        if isinstance(answers, str):
            raise TemporaryError(f"{answers} names no Service of the platform, whose Pods could be asked")
        values, failed = [], []
        for answer in answers:
            try:
                if isinstance(answer, TemporaryError):
                    raise answer
                values.append(await self._value(answer))
            except TemporaryError as error:
                failed.append(error)
        if not values:
            raise TemporaryError(f"none of {len(answers)} Pods gave a value: {failed[0]}")
        value = _TOGETHER[self._parameters.aggregation](values)
        if failed:
            note = f"{len(values)} of {len(answers)} Pods gave a value: {failed[0]}"
            return Reading(value, quality=Quality.PARTIAL, note=note)
        return Reading(value)

    async def _value(self, answer: Answer) -> float:
        if answer.status != 200:
            hint = ": check authMode and its parameters" if answer.status in (401, 403) else ""
            raise TemporaryError(f"{answer.shown} answered {answer.status}{hint}")
        try:
            if len(answer.body) > LARGE_BYTES:
                return number_found(await asyncio.to_thread(self._read, answer.body))
            return number_found(self._read(answer.body))
        except LookupError:
            why = "leads to nothing"
        except ValueError as error:
            why = str(error)
        raise TemporaryError(f"{answer.shown}: valueLocation {self._parameters.value_location!r} {why}")


def _xml(location: str) -> Read:
    """The path begins at the root element or below it. Upstream's library cannot read XML into what it wants."""
    keys = location.split(".")

    def read(body: bytes) -> Any:
        if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
            raise ValueError("cannot be looked up: the XML declares a document type, which is not read")
        try:
            root = ElementTree.fromstring(body)
        except ElementTree.ParseError:
            raise ValueError("cannot be looked up: the answer is no XML") from None
        return by_keys(_of_element(root), keys[1:] if _local(root) == keys[0] else keys)

    return read


def _prometheus(location: str) -> Read:
    selector = parse_selector(location)

    def read(body: bytes) -> float:
        found = find_sample(body.decode(errors="replace"), selector)
        if found is None:
            raise LookupError
        return found

    return read


_READERS: Final[Mapping[str, Callable[[str], Read]]] = {
    "json": json_reader,
    "yaml": yaml_reader,
    "xml": _xml,
    "prometheus": _prometheus,
}


def _of_element(element: ElementTree.Element) -> Any:
    """Its text, or its children by name: several of one name as a list."""
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(_local(child), []).append(_of_element(child))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()} or (element.text or "")


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _make(parameters: MetricsApiParameters, trigger: Trigger, world: World) -> MetricsApiScaler:
    return MetricsApiScaler(parameters, HttpAccess(parameters, world, trigger.owner.namespace))


DEFINITION = Definition(MetricsApiParameters, _make, "One number out of any API over HTTP.")
