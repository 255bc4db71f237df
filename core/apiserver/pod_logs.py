"""`GET …/pods/NAME/log`: what a container wrote, as `kubectl logs` asks for it.

Here are the query parameters, the choice of a container, the timestamps and the byte limit; the lines come from the
`LogSource` that the backend has.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.apiserver.backend import Backend, Call, Stream, Write
from core.apiserver.logs import LogLine, LogQuery
from core.apiserver.reading import invalid_options
from core.errors import ApiError, BadRequest
from core.resources.meta import Json, Kind

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


async def read_log(backend: Backend, call: Call, kind: Kind[Any]) -> Stream:
    """A stream that is ready to run. BadRequest and Invalid where there is nothing to read."""
    pod = await backend.store.get(kind, call.target.name, call.target.namespace)
    if backend.logs is None:
        raise BadRequest("this server keeps no logs")
    query = log_query(call, pod, backend.clock.wall())
    stamped, limit = call.flag("timestamps"), call.seconds("limitBytes")
    if limit == 0:
        raise invalid_options("Invalid value: must be greater than 0", "limitBytes", "PodLogOptions")
    lines = await backend.logs.open(pod, query)

    async def run(write: Write) -> None:
        left = limit
        try:
            async for line in lines:
                chunk = write_line(line, stamped)[:left]
                await write(chunk)
                if left is not None:
                    left -= len(chunk)
                    if left <= 0:
                        return
        except ApiError as error:
            await write(f"{error.message}\n".encode())  # the status line has long been sent

    return Stream(run, "text/plain")


def write_line(line: LogLine, stamped: bool) -> bytes:
    """One line of the answer; the timestamp as kubelet writes it, in UTC with nanoseconds."""
    if not stamped:
        return line.text + b"\n"
    at = datetime.fromtimestamp(line.at, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode() + line.text + b"\n"


def log_query(call: Call, pod: Json, now: float) -> LogQuery:
    """BadRequest and Invalid for parameters that make no sense."""
    since_s, since_time = call.seconds("sinceSeconds"), call.query.get("sinceTime", "")
    if since_s is not None and since_time:
        raise invalid_options(
            "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified", "sinceSeconds", "PodLogOptions"
        )
    since = now - since_s if since_s is not None else None
    if since_time:
        try:
            since = datetime.fromisoformat(since_time).timestamp()
        except (ValueError, OverflowError):
            raise BadRequest(f'sinceTime is not an RFC 3339 time: "{since_time}"') from None
    return LogQuery(
        container=choose_container(pod, call.query.get("container", "")),
        follow=call.flag("follow"),
        previous=call.flag("previous"),
        since=since,
        tail_lines=call.seconds("tailLines"),
    )


def choose_container(pod: Json, asked: str) -> str:
    """The container asked for, or the only one, or the one that an annotation names. BadRequest."""
    name, spec = pod["metadata"]["name"], pod.get("spec") or {}
    every = [container["name"] for field in CONTAINER_LISTS for container in spec.get(field) or ()]
    if asked:
        if asked not in every:
            raise BadRequest(f"container {asked} is not valid for pod {name}")
        return asked
    usual = [container["name"] for container in spec.get("containers") or ()]
    if len(usual) == 1:
        return str(usual[0])
    named = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if named in every:
        return str(named)
    raise BadRequest(f"a container name must be specified for pod {name}, choose one of: [{' '.join(every)}]")
