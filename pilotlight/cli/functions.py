"""deploy, invoke: a function from a folder to an answer."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from core.clients.http import HttpClient, HttpRequest, HttpResponse
from core.clients.kubernetes import KubernetesClient
from core.errors import NotFound
from core.resources.meta import Json
from core.resources.serving import SERVICE
from pilotlight.cli.documents import FunctionOptions, make_service, parse_pairs
from pilotlight.cli.output import note, print_json, say
from pilotlight.cli.session import Session, UsageProblem, gateway_url
from pilotlight.cli.waiting import Waiting, failure_of, wait_ready, with_waiting

MANAGER = "pilotlight"
TIMING_REQUEST_HEADER = "Pilotlight-Timing"
_TIMING = re.compile(r"([\w-]+)(?:;desc=\"?[^,;\"]*\"?)?(?:;dur=([\d.]+))?")

Name = Annotated[str, typer.Argument(help="The Service's name.")]
Json_ = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@with_waiting
def deploy_command(
    context: typer.Context,
    name: Name,
    command: Annotated[list[str] | None, typer.Argument(help="A command to run, after `--`.")] = None,
    source: Annotated[Path | None, typer.Option(help="Folder with a Python function.")] = None,
    image: Annotated[str | None, typer.Option(help="Container image.")] = None,
    env: Annotated[list[str] | None, typer.Option("--env", "-e", help="NAME=value; repeatable.")] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", help="Port the function listens on.")] = None,
    concurrency_limit: Annotated[int | None, typer.Option(help="Most requests at once per instance.")] = None,
    timeout: Annotated[int | None, typer.Option(help="Seconds that one request may take.")] = None,
    scale_min: Annotated[int | None, typer.Option(help="Fewest instances.")] = None,
    scale_max: Annotated[int | None, typer.Option(help="Most instances; 0 is no bound.")] = None,
    idle_action: Annotated[str | None, typer.Option(help="At zero: stop | pause.")] = None,
    annotation: Annotated[list[str] | None, typer.Option("--annotation", "-a", help="On the revision.")] = None,
    as_json: Json_ = False,
    *,
    waiting: Waiting,
) -> None:
    """Deploy a function, or a new revision of one: a folder, an image, or a command."""
    session: Session = context.obj
    document = make_service(
        FunctionOptions(
            name=name,
            namespace=session.namespace,
            source=source,
            image=image,
            command=tuple(command or ()),
            env=parse_pairs(env or (), "--env"),
            port=port,
            concurrency_limit=concurrency_limit,
            timeout_s=timeout,
            scale_min=scale_min,
            scale_max=scale_max,
            idle_action=idle_action,
            annotations=parse_pairs(annotation or (), "--annotation"),
            source_digest=_digest(session, source) if source is not None and source.is_dir() else "",
        )
    )
    service = session.run(lambda client: apply_service(client, document, waiting))
    if as_json:
        print_json(service)
    elif waiting.wanted:
        say(f"{name} is ready: revision {service['status']['latestReadyRevisionName']}")
        say(service["status"]["url"])
    else:
        say(f"{name} was accepted; `pilotlight service wait {name}` returns when it is ready")


def _digest(session: Session, source: Path) -> str:
    """Of the folder as the platform will copy it: what it ignores makes no new revision."""
    from deploy.runtimes.base import StartError
    from deploy.runtimes.folders import SCHEME, Folders

    try:
        return Folders(session.data_dir.functions).snapshot(f"{SCHEME}{source.expanduser().absolute()}").digest
    except StartError as error:
        raise UsageProblem(error.message) from None


async def apply_service(client: KubernetesClient, document: Json, waiting: Waiting) -> Json:
    """Server-side apply. What `service create` and `update` wrote of the template counts as applied, too: else a volume
    of theirs would outlive the mount that an apply leaves out, and the API refuse both."""
    metadata = document["metadata"]
    with suppress(NotFound):
        found = await client.get(SERVICE, metadata["name"], metadata["namespace"])
        owners = found["metadata"].get("managedFields") or []
        if (applied := as_applied(owners)) != owners:
            change = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"], "managedFields": applied}}
            await client.patch(SERVICE, metadata["name"], metadata["namespace"], change)
    return await wait_ready(client, SERVICE, await client.apply(SERVICE, document, MANAGER), waiting, note)


def as_applied(owners: Sequence[Json]) -> list[Json]:
    """The `managedFields` with what this command line owns of the template, however it wrote it, in its Apply entry."""
    ours = [entry for entry in owners if entry.get("manager") == MANAGER and not entry.get("subresource")]
    updated = next((entry for entry in ours if entry["operation"] == "Update"), None)
    template = ((updated or {}).get("fieldsV1") or {}).get("f:spec", {}).get("f:template")
    if updated is None or template is None:
        return list(owners)
    applied = next((entry for entry in ours if entry["operation"] == "Apply"), {**updated, "fieldsV1": {}})
    spec = {name: fields for name, fields in updated["fieldsV1"]["f:spec"].items() if name != "f:template"}
    return [
        *(entry for entry in owners if entry is not updated and entry is not applied),
        {**updated, "fieldsV1": {**updated["fieldsV1"], "f:spec": spec}},
        {
            **applied,
            "operation": "Apply",
            "fieldsV1": _united(applied["fieldsV1"], {"f:spec": {"f:template": template}}),
        },
    ]


def _united(a: Json, b: Json) -> Json:
    return {name: _united(a.get(name, {}), b.get(name, {})) for name in {**a, **b}}


def invoke_command(
    context: typer.Context,
    name: Name,
    data: Annotated[str | None, typer.Option("--data", "-d", help="Body; @file reads one, @- standard input.")] = None,
    method: Annotated[str | None, typer.Option("--request", "-X", help="HTTP method (GET, or POST with data).")] = None,
    path: Annotated[str, typer.Option(help="Path and query.")] = "/",
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="Name: value; repeatable.")] = None,
    tag: Annotated[str | None, typer.Option(help="Call a traffic tag's own host.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds.")] = 300.0,
    as_json: Json_ = False,
) -> None:
    """Call a function through the gateway and say where the time went."""
    session: Session = context.obj
    body = read_data(data)
    headers = dict(_parse_header(line) for line in header or ())
    if body is not None and not any(key.lower() == "content-type" for key in headers):
        headers["Content-Type"] = "application/json" if is_json(body) else "text/plain; charset=utf-8"
    request = HttpRequest("", "", method or ("GET" if body is None else "POST"), headers, body, timeout)
    response, elapsed_ms = session.run(lambda client: invoke(client, session, name, request, path=path, tag=tag))
    timing = parse_server_timing(response.headers.get("Server-Timing", ""))
    if as_json:
        content = response.body.decode(errors="replace")
        print_json({"status": response.status, "body": content, "elapsedMs": round(elapsed_ms, 1), "timingMs": timing})
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(response.body)
        if response.body and not response.body.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.flush()
        note(timing_line(response.status, elapsed_ms, timing))
    if response.status >= 400:
        raise typer.Exit(1)


async def invoke(
    client: KubernetesClient, session: Session, name: str, request: HttpRequest, *, path: str, tag: str | None
) -> tuple[HttpResponse, float]:
    """The answer and how long it took, in milliseconds, as this client saw it."""
    service = await client.get(SERVICE, name, session.namespace)
    url = _target_url(service, tag)
    host = urlsplit(url).netloc
    gateway = await gateway_url(client, session, host)
    sent = replace(
        request,
        url=gateway.rstrip("/") + "/" + path.lstrip("/"),
        host=host,
        headers={**(request.headers or {}), TIMING_REQUEST_HEADER: "1"},
    )
    loop = asyncio.get_running_loop()
    async with HttpClient() as http:
        before = loop.time()
        response = await http.send(sent)
        elapsed_ms = (loop.time() - before) * 1000
    if response.status == HTTPStatus.NOT_FOUND and (why := failure_of(service)):
        note(f"service {name} is not ready: {why}")  # without a revision that ever was it has no route
    return response, elapsed_ms


def _target_url(service: Json, tag: str | None) -> str:
    status = service.get("status") or {}
    name = service["metadata"]["name"]
    if tag is not None:
        for target in status.get("traffic") or ():
            if target.get("tag") == tag:
                return str(target["url"])
        raise UsageProblem(f"service {name} has no traffic tag {tag!r}: see `pilotlight service describe {name}`")
    url = status.get("url")
    if not url:
        raise UsageProblem(f"service {name} has no URL yet: see `pilotlight service describe {name}`")
    return str(url)


def parse_server_timing(value: str) -> dict[str, float]:
    """Metric name → milliseconds, in the order of the header (W3C Server Timing); a name alone is 0."""
    metrics = (_TIMING.match(part.strip()) for part in value.split(","))
    return {match[1]: float(match[2] or 0) for match in metrics if match}


def timing_line(status: int, elapsed_ms: float, timing: Mapping[str, float]) -> str:
    """`cold 24 ms: queue 0.3 · decide 0.4 · start 17 · ready 3 · app 3`."""
    parts = [f"{name} {_short(duration)}" for name, duration in timing.items() if name != "cold"]
    temperature = "cold" if "cold" in timing or "start" in timing else "warm"
    line = f"{temperature} {_short(elapsed_ms)} ms"
    if status >= 400:
        line = f"{status}, {line}"
    return f"{line}: {' · '.join(parts)}" if parts else line


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds < 10 else f"{milliseconds:.0f}"


def read_data(data: str | None) -> bytes | None:
    if data is None:
        return None
    if data == "@-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            return Path(data[1:]).read_bytes()
        except OSError as error:
            raise UsageProblem(f"--data {data}: {error.strerror}") from error
    return data.encode()


def is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _parse_header(line: str) -> tuple[str, str]:
    name, separator, value = line.partition(":")
    if not separator:
        raise UsageProblem(f"--header {line!r}: expected `Name: value`")
    return name.strip(), value.strip()
