"""prometheus: one number that a query gives (pkg/scalers/prometheus_scaler.go).

Where the query gives nothing, or no number, KEDA reads 0 unless `ignoreNullValues` is false; so does this, and says so.
An answer that its server calls partial is at least so much: it may raise replicas, and is no proof of emptiness.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from core.clients.http_reader import Answer
from core.errors import PermanentError, TemporaryError
from core.settings.declaration import Decimal, Text, Truth
from scalers.base import Definition, World
from scalers.http_access import Address, HttpAccess, HttpParameters, Pairs
from scalers.params import param
from scalers.readings import Quality, Reading, Target, Trigger

METRIC: Final = "prometheus"
_REMARK: Final = "PromQL warning"  # about the query, not about what it was asked of


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusParameters(HttpParameters):
    server_address: str = param("serverAddress", Address(), "Where Prometheus answers: http://HOST[:PORT][/PREFIX].")
    query: str = param(
        "query",
        Text(),
        "What to ask, in PromQL; it must give one number.",
        differs="A query that gives a scalar works, too.",
    )
    threshold: float = param("threshold", Decimal(above=0), "So much per replica.", is_target=True)
    activation_threshold: float = param("activationThreshold", Decimal(), "Active where the value is greater.", 0.0)
    namespace: str = param("namespace", Text(), "The parameter `namespace` of Thanos and others.", "")
    query_parameters: tuple[tuple[str, str], ...] = param(
        "queryParameters", Pairs(), "Further parameters of the request: key=value,key2=value2.", ()
    )
    custom_headers: tuple[tuple[str, str], ...] = param(
        "customHeaders", Pairs(), "Further headers: name=value,name2=value2.", ()
    )
    ignore_null_values: bool = param(
        "ignoreNullValues",
        Truth(),
        "Read 0 where the query gives nothing, NaN or an infinity; false: an error.",
        True,
        differs="Not where the server says that its answer is partial: then the value is unknown.",
    )


class PrometheusScaler:
    def __init__(self, parameters: PrometheusParameters, access: HttpAccess) -> None:
        self._parameters = parameters
        self._access = access
        self._target = Target(METRIC, parameters.threshold, parameters.activation_threshold)
        self._url = query_url(parameters)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        answer = await self._access.ask(self._url, dict(self._parameters.custom_headers))
        return (reading_of(_checked(answer), answer.shown, self._parameters.ignore_null_values),)

    async def close(self) -> None:
        await self._access.close()


def query_url(parameters: PrometheusParameters) -> str:
    """Upstream adds its own time; here the server answers for its own now, whatever this machine's clock says."""
    asked = {"query": parameters.query, "namespace": parameters.namespace}
    pairs = [(name, value) for name, value in asked.items() if value]
    query = urlencode([*pairs, *parameters.query_parameters], quote_via=quote)
    return f"{parameters.server_address.rstrip('/')}/api/v1/query?{query}"


def reading_of(found: Mapping[str, Any], shown: str, ignore_null_values: bool) -> Reading:
    """Of a whole answer. TemporaryError: it has no number, or more than one."""
    lacking = [each for each in found.get("warnings") or () if not str(each).startswith(_REMARK)]
    quality = Quality.PARTIAL if lacking else Quality.WHOLE
    value, why = _number(found, shown)
    if value is not None:
        return Reading(value, quality=quality, note="the server calls its answer partial" if lacking else "")
    if lacking:
        raise TemporaryError(f"{shown}: {why}, and the server calls its answer partial")
    if not ignore_null_values:
        raise TemporaryError(f"{shown}: {why} (ignoreNullValues is false)")
    return Reading(0.0, note=f"{why}; read as 0 (ignoreNullValues)")


def _number(found: Mapping[str, Any], shown: str) -> tuple[float | None, str]:
    """The one finite number of an answer, or why there is none."""
    data = found.get("data") or {}
    result = data.get("result") or []
    if data.get("resultType") not in (None, "vector", "scalar"):
        raise TemporaryError(f"{shown}: the query gives a {data['resultType']}, and must give one number")
    if data.get("resultType") != "scalar":
        if not result:
            return None, "the query gave nothing"
        if len(result) > 1:
            raise TemporaryError(f"{shown}: the query gives {len(result)} numbers, and must give one: use sum(…)")
        result = result[0].get("value") or []
        if not result:
            return None, "the query gave an element without a value"
    try:
        value = float(result[1])
    except (IndexError, TypeError, ValueError):
        raise TemporaryError(f"{shown}: the query gives an element without a number") from None
    return (value, "") if math.isfinite(value) else (None, f"the query gave {result[1]}")


def _checked(answer: Answer) -> Mapping[str, Any]:
    """TemporaryError, or PermanentError where the query itself is refused. Its words are shown only where they are
    about the query."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        found = None
    said: Mapping[str, Any] = found if isinstance(found, dict) else {}
    if answer.status == 400 and said.get("errorType") == "bad_data":
        raise PermanentError(f"query: {answer.shown} refuses it: {str(said.get('error'))[:300]}", "QueryRefused")
    if not 200 <= answer.status < 300:
        hint = ": check authModes and its parameters" if answer.status in (401, 403) else ""
        raise TemporaryError(f"{answer.shown} answered {answer.status}{hint}")
    if not isinstance(found, dict) or said.get("status") == "error":
        raise TemporaryError(f"{answer.shown} did not answer as Prometheus does")
    return said


def _make(parameters: PrometheusParameters, trigger: Trigger, world: World) -> PrometheusScaler:
    return PrometheusScaler(parameters, HttpAccess(parameters, world, trigger.owner.namespace))


DEFINITION = Definition(PrometheusParameters, _make, "One number that a query of Prometheus gives.")
