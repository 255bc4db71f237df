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

import orjson
import yaml

from core.clients.http_reader import Answer
from core.errors import TemporaryError
from core.resources.quantities import parse_quantity
from core.settings.declaration import Choice, Decimal, Text, Truth
from scalers.base import Definition, World
from scalers.exposition import find_sample, parse_selector
from scalers.gjson_paths import look, parse_path
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
                return _number(await asyncio.to_thread(self._read, answer.body))
            return _number(self._read(answer.body))
        except LookupError:
            why = "leads to nothing"
        except ValueError as error:
            why = str(error)
        raise TemporaryError(f"{answer.shown}: valueLocation {self._parameters.value_location!r} {why}")


Read = Callable[[bytes], Any]


def _json(location: str) -> Read:
    path = parse_path(location)

    def read(body: bytes) -> Any:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ValueError("cannot be looked up: the answer is no JSON") from None
        return look(document, path)

    return read


def _yaml(location: str) -> Read:
    def read(body: bytes) -> Any:
        try:
            document = yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError:
            raise ValueError("cannot be looked up: the answer is no YAML") from None
        return _by_keys(document, location.split("."))

    return read


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
        return _by_keys(_of_element(root), keys[1:] if _local(root) == keys[0] else keys)

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
    "json": _json,
    "yaml": _yaml,
    "xml": _xml,
    "prometheus": _prometheus,
}


def _by_keys(document: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if isinstance(document, list):
            document = {str(index): value for index, value in enumerate(document)}
        if not isinstance(document, dict):
            raise LookupError
        document = {str(name): value for name, value in document.items()}[key]
    return document


def _of_element(element: ElementTree.Element) -> Any:
    """Its text, or its children by name: several of one name as a list."""
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(_local(child), []).append(_of_element(child))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()} or (element.text or "")


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _number(found: Any) -> float:
    """ValueError says what was found instead."""
    if isinstance(found, str):
        try:
            return float(parse_quantity(found.strip()))
        except ValueError:
            raise ValueError("leads to a text that is neither a number nor a quantity such as 1k") from None
    if isinstance(found, bool) or not isinstance(found, int | float):
        sorts = {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
        raise ValueError(f"leads to {sorts.get(type(found), 'something else')}, must lead to a number")
    if not math.isfinite(found):
        raise ValueError(f"leads to {found}, which is no number")
    return float(found)


def _make(parameters: MetricsApiParameters, trigger: Trigger, world: World) -> MetricsApiScaler:
    return MetricsApiScaler(parameters, HttpAccess(parameters, world, trigger.owner.namespace))


DEFINITION = Definition(MetricsApiParameters, _make, "One number out of any API over HTTP.")
