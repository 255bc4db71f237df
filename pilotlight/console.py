"""What the platform tells about itself beside the Kubernetes API: decisions, loads, metrics. Under the same token.

`explain` and `top` of the command line read it, a Prometheus server scrapes `/metrics`. Events have
pages of their own (`event_console`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from core.apiserver.auth import authenticate
from core.apiserver.status import failure
from core.errors import ApiError
from core.resources.meta import Json
from pilotlight.event_console import EventConsole
from pilotlight.scaling_console import ScalingConsole

Decisions = Callable[[str, str], list[Json]]
Loads = Callable[[], Awaitable[list[Json]]]
Metrics = Callable[[], Mapping[str, float]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Console:
    """Three pages over three functions that the roof hands in, and the pages about events and ScaledObjects."""

    def __init__(
        self,
        token: str,
        decisions: Decisions,
        loads: Loads,
        metrics: Metrics,
        events: EventConsole | None = None,
        scaling: ScalingConsole | None = None,
    ) -> None:
        self._token = token
        self._decisions = decisions
        self._loads = loads
        self._metrics = metrics
        self._events = events
        self._scaling = scaling
        self._version = ""

    def above(self, api: Starlette, version: str = "") -> Starlette:
        """One application: these pages, and the API for everything else. `version` is the platform's."""
        self._version = version
        return Starlette(
            routes=[
                Route("/metrics", self._guarded(self._show_metrics)),
                Route("/pilotlight/v1/top", self._guarded(self._show_loads)),
                Route("/pilotlight/v1/namespaces/{namespace}/decisions/{name}", self._guarded(self._show_decisions)),
                *(self._scaling_routes(self._scaling) if self._scaling is not None else ()),
                *(self._event_routes(self._events) if self._events is not None else ()),
                Mount("", app=api),
            ]
        )

    def _scaling_routes(self, scaling: ScalingConsole) -> Iterator[Route]:
        path = "/pilotlight/v1/namespaces/{namespace}"
        yield Route("/pilotlight/v1/scaledobjects", self._guarded(scaling.objects))
        yield Route(f"{path}/scaledobjects/{{name}}/decisions", self._guarded(scaling.decisions))
        yield Route(f"{path}/scaledjobs/{{name}}/decisions", self._guarded(scaling.job_decisions))

    def _event_routes(self, events: EventConsole) -> Iterator[Route]:
        pages = (
            ("GET", "/events/tail", events.tail),
            ("GET", "/events/why", events.why),
            ("POST", "/events/replay", events.replay),
            ("GET", "/subscriptions", events.subscriptions),
            ("GET", "/dead-letters", events.letters),
            ("GET", "/dead-letters/{number:int}", events.letter),
            ("POST", "/dead-letters/redrive", events.redrive),
            ("POST", "/dead-letters/drop", events.drop),
        )
        for method, path, endpoint in pages:
            yield Route(f"/pilotlight/v1{path}", self._guarded(endpoint), methods=[method])

    async def _show_metrics(self, request: Request) -> Response:
        text = exposition(self._metrics())
        if self._scaling is not None:
            text += await self._scaling.metrics(self._version)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def _show_loads(self, request: Request) -> Response:
        return _json({"items": await self._loads()})

    async def _show_decisions(self, request: Request) -> Response:
        name, namespace = request.path_params["name"], request.path_params["namespace"]
        return _json({"items": self._decisions(namespace, name)})

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            try:
                authenticate(request.url.path, request.headers, self._token)
                return await endpoint(request)
            except ApiError as error:
                return Response(orjson.dumps(failure(error)), error.code, media_type="application/json")

        return answer


def exposition(metrics: Mapping[str, float]) -> str:
    """The Prometheus text format (version 0.0.4) of plain counters and gauges."""
    lines = []
    for name, value in sorted(metrics.items()):
        kind = "counter" if name.endswith("_total") else "gauge"
        lines.append(f"# TYPE pilotlight_{name} {kind}\npilotlight_{name} {value:g}\n")
    return "".join(lines)


def _json(document: Json) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
