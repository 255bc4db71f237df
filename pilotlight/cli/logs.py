"""logs: what a function's instances write, those that come later included."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from core.clients.kubernetes import KubernetesClient, path_of
from core.errors import ApiError, NotFound
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.serving import SERVICE
from core.resources.serving_labels import REVISION_LABEL, SERVICE_LABEL
from pilotlight.cli.output import note, print_json_line, say
from pilotlight.cli.session import Session, UsageProblem
from pilotlight.cli.waiting import failure_of


def logs_command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The Service's name.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new lines and instances come.")] = False,
    tail: Annotated[int | None, typer.Option(help="Only the last so many lines of each instance.")] = None,
    since: Annotated[str | None, typer.Option(help="Only newer than, as 30s, 5m, 2h.")] = None,
    revision: Annotated[str | None, typer.Option(help="Only of this revision.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each line.")] = False,
) -> None:
    """Print what a function's instances wrote."""
    session: Session = context.obj
    query = {"follow": str(follow).lower()}
    if tail is not None:
        query["tailLines"] = str(tail)
    if since is not None:
        query["sinceSeconds"] = str(parse_duration_s(since))
    selector = f"{SERVICE_LABEL}={name}" + (f",{REVISION_LABEL}={revision}" if revision else "")

    async def work(client: KubernetesClient) -> None:
        service = await client.get(SERVICE, name, session.namespace)
        listing = await client.list(POD, session.namespace, labelSelector=selector)
        if not listing["items"] and not follow:
            note(f"{name} has no instance now{idle_words(service)}")
        await print_logs(client, Wanted(session.namespace, selector, query, as_json), listing)

    session.run(work)


def idle_words(service: Json) -> str:
    """What becomes of a Service without instances: it failed, or its next request starts one."""
    why = failure_of(service)
    return f": {why}" if why else " (it sleeps): its logs begin with its next request"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose lines, which of them (the query of `GET …/log`), and whether as JSON."""

    namespace: str
    selector: str
    query: Mapping[str, str]
    as_json: bool = False

    @property
    def follow(self) -> bool:
        return self.query["follow"] == "true"


async def print_logs(client: KubernetesClient, wanted: Wanted, listing: Json) -> None:
    """The lines of every Pod in the listing and, when following, of every later one; ends when all have ended."""
    known = {pod["metadata"]["name"] for pod in listing["items"]}
    prefixed = len(known) > 1 or wanted.follow
    async with asyncio.TaskGroup() as group:
        for pod in sorted(known):
            group.create_task(_print_one(client, wanted, pod, prefixed=prefixed), name=f"logs:{pod}")
        if not wanted.follow:
            return
        since = listing["metadata"]["resourceVersion"]
        async for event, pod in client.watch(POD, wanted.namespace, since=since, labelSelector=wanted.selector):
            name = pod["metadata"]["name"]
            if event != "DELETED" and name not in known and _has_started(pod):
                known.add(name)
                group.create_task(_print_one(client, wanted, name, prefixed=True), name=f"logs:{name}")


async def _print_one(client: KubernetesClient, wanted: Wanted, pod: str, *, prefixed: bool) -> None:
    try:
        async for line in client.stream("GET", path_of(POD, wanted.namespace, pod) + "/log", wanted.query):
            text = line.decode(errors="replace").rstrip("\n")
            if wanted.as_json:
                print_json_line({"pod": pod, "line": text})
            else:
                say(f"[{pod}] {text}" if prefixed else text)
    except NotFound:
        return  # it went away before its first line
    except ApiError as error:
        note(f"[{pod}] {error.message}")


def _has_started(pod: Json) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any("waiting" not in (status.get("state") or {}) for status in statuses)


def parse_duration_s(text: str) -> int:
    """`90`, `90s`, `5m`, `2h` in seconds. UsageProblem otherwise."""
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if not match:
        raise UsageProblem(f"{text!r} is no duration: expected a number with s, m or h, such as 30s")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
