"""`pilotlight revision …`: kn's commands for Revisions."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clients.kubernetes import KubernetesClient
from core.clock import SystemClock
from core.resources.meta import Json
from core.resources.serving import REVISION, SERVICE
from core.resources.serving_labels import ROUTING_STATE_LABEL, SERVICE_LABEL
from pilotlight.cli.kn.describe import REVISION_HEADER, describe_revision, revision_row
from pilotlight.cli.kn.formats import JSON_OUTPUT, AsJson, Output, emit
from pilotlight.cli.kn.objects import (
    AllNamespaces,
    Deleting,
    Namespace,
    NoHeaders,
    Selector,
    add_describe,
    delete_objects,
    namespace_of,
    print_objects,
    with_deleting,
)
from pilotlight.cli.session import Session, UsageProblem

app = typer.Typer(help="Manage Revisions.", no_args_is_help=True)
add_describe(app, REVISION, describe_revision)

OfService = Annotated[str | None, typer.Option("--service", "-s", help="Only of this service.")]


@app.command("list")
def list_command(
    context: typer.Context,
    service: OfService = None,
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    output: Output = None,
    as_json: AsJson = False,
    selector: Selector = "",
    no_headers: NoHeaders = False,
) -> None:
    """List revisions, newest first."""
    session: Session = context.obj
    scope = None if all_namespaces else namespace_of(context, namespace)
    labels = [*([f"{SERVICE_LABEL}={service}"] if service else []), *([selector] if selector else [])]
    query = {"labelSelector": ",".join(labels)} if labels else {}

    async def work(client: KubernetesClient) -> tuple[Json, list[Json]]:
        return await client.list(REVISION, scope, **query), (await client.list(SERVICE, scope))["items"]

    listing, services = session.run(work)
    listing["items"].sort(key=lambda item: item["metadata"]["creationTimestamp"], reverse=True)
    if chosen := JSON_OUTPUT if as_json else output:
        emit(REVISION, listing, chosen)
        return
    owners = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in services}
    now = SystemClock().wall()

    def row(revision: Json) -> tuple[str, ...]:
        metadata = revision["metadata"]
        owner = owners.get((metadata["namespace"], (metadata.get("labels") or {}).get(SERVICE_LABEL, "")))
        return tuple(revision_row(revision, owner, now))

    print_objects(REVISION, listing, REVISION_HEADER, row, headers=not no_headers)


@app.command("delete")
@with_deleting
def delete_command(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Names.")] = None,
    prune: Annotated[str | None, typer.Option(help="All of this service that get no traffic.")] = None,
    prune_all: Annotated[bool, typer.Option(help="All of the namespace that get no traffic.")] = False,
    namespace: Namespace = None,
    *,
    deleting: Deleting,
) -> None:
    """Delete revisions."""
    session: Session = context.obj
    scope = namespace_of(context, namespace)
    if sum((bool(names), prune is not None, prune_all)) != 1:
        raise UsageProblem("name the revisions to delete, or give one of --prune SERVICE and --prune-all")
    chosen = list(names or ())
    if not chosen:
        selector = f"{ROUTING_STATE_LABEL}=reserve" + (f",{SERVICE_LABEL}={prune}" if prune else "")
        listing = session.run(lambda client: client.list(REVISION, scope, labelSelector=selector))
        chosen = [item["metadata"]["name"] for item in listing["items"]]
    delete_objects(session, REVISION, scope, chosen, deleting)
