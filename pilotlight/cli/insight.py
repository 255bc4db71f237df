"""explain, top: why the platform did what it did, and what it is doing now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from core.clients.kubernetes import KubernetesClient
from core.errors import NotFound
from core.resources.meta import Json
from core.resources.serving import REVISION, SERVICE
from pilotlight.cli.event_lines import STANDING_HEADER, standing_row
from pilotlight.cli.output import console, print_json, print_table, say
from pilotlight.cli.scaling_lines import (
    SCALED_HEADER,
    clock_time,
    scaled_explanation,
    scaled_named,
    scaled_row,
)
from pilotlight.cli.session import Session

DECISIONS_PATH = "/pilotlight/v1/namespaces/{namespace}/decisions/{revision}"
TOP_PATH = "/pilotlight/v1/top"
SCALED_PATH = "/pilotlight/v1/scaledobjects"
SCALED_DECISIONS_PATH = "/pilotlight/v1/namespaces/{namespace}/{plural}/{name}/decisions"
SUBSCRIPTIONS_PATH = "/pilotlight/v1/subscriptions"
TOP_HEADER = ("NAMESPACE", "REVISION", "READY", "DESIRED", "IN FLIGHT", "WAITING", "REQUESTS/S", "STATE")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def explain_command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A service, a revision, scaledobject/NAME or scaledjob/NAME.")],
    last: Annotated[int, typer.Option(help="How many decisions.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Say why there are as many instances as there are: the autoscaler's last decisions in plain words."""
    session: Session = context.obj
    scaled = scaled_named(name)
    if scaled is not None:
        plural, own_name = scaled
        path = SCALED_DECISIONS_PATH.format(namespace=session.namespace, plural=plural, name=own_name)
        answer = session.run(lambda client: client.call("GET", path))
        if as_json:
            print_json({**answer, "items": answer["items"][-last:]})
            return
        say(f"{plural.removesuffix('s')}/{own_name}:")
        for line in scaled_explanation(answer, last):
            say(f"  {line}")
        return
    found = session.run(lambda client: _decisions(client, session.namespace, name))
    if as_json:
        print_json({revision: decisions[-last:] for revision, decisions in found.items()})
        return
    for revision, decisions in found.items():
        say(f"{revision}:")
        for decision in decisions[-last:]:
            say(f"  {clock_time(decision['until'])}  {decision['words']}")
        if not decisions:
            say("  no decision yet")


async def _decisions(client: KubernetesClient, namespace: str, name: str) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for revision in await _revisions(client, namespace, name):
        answer = await client.call("GET", DECISIONS_PATH.format(namespace=namespace, revision=revision))
        found[revision] = answer["items"]
    return found


async def _revisions(client: KubernetesClient, namespace: str, name: str) -> Sequence[str]:
    """The revisions that a service sends traffic to, or the revision of that name."""
    try:
        service = await client.get(SERVICE, name, namespace)
    except NotFound:
        try:
            await client.get(REVISION, name, namespace)
        except NotFound:
            raise NotFound(f"namespace {namespace} has no service and no revision named {name!r}") from None
        return [name]
    traffic = (service.get("status") or {}).get("traffic") or ()
    names = dict.fromkeys(target["revisionName"] for target in traffic)
    latest = (service.get("status") or {}).get("latestCreatedRevisionName")
    if latest:
        names[latest] = None
    return list(names)


def top_command(
    context: typer.Context,
    once: Annotated[bool, typer.Option(help="Print once and return.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what each function is doing now, what is scaled by triggers, and what waits for each subscription; on a
    terminal until Ctrl-C."""
    session: Session = context.obj
    if as_json:
        print_json(session.run(_top))
        return
    session.run(lambda client: _show_top(client, once=once or not console.is_terminal))


async def _show_top(client: KubernetesClient, *, once: bool) -> None:
    while True:
        answer = await _top(client)
        if not once:
            console.clear()
        print_table(TOP_HEADER, (_top_row(entry) for entry in answer["items"]))
        if answer["scaledObjects"]:
            say()
            print_table(SCALED_HEADER, (scaled_row(entry) for entry in answer["scaledObjects"]))
        if answer["subscriptions"]:
            say()
            print_table(STANDING_HEADER, (standing_row(entry) for entry in answer["subscriptions"]))
        if once:
            return
        await asyncio.sleep(1.0)


async def _top(client: KubernetesClient) -> Json:
    loads = await client.call("GET", TOP_PATH)
    return {
        **loads,
        "scaledObjects": (await client.call("GET", SCALED_PATH))["items"],
        "subscriptions": (await client.call("GET", SUBSCRIPTIONS_PATH))["items"],
    }


def _top_row(entry: Json) -> Sequence[str]:
    return (
        entry["namespace"],
        entry["revision"],
        str(entry["ready"]),
        str(entry["desired"]),
        str(entry["inFlight"]),
        str(entry["waiting"]),
        f"{entry['requestsPerSecond']:.1f}",
        entry["state"],
    )
