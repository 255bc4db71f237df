"""create, update and delete: the same for every kind whose flags are a table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from core.clients.kubernetes import KubernetesClient
from core.errors import Conflict
from core.resources.meta import Json, Kind
from pilotlight.cli.kn.formats import AsJson
from pilotlight.cli.kn.objects import Deleting, Namespace, TargetName, delete_objects, namespace_of, with_deleting
from pilotlight.cli.kn.options import Flag, apply_flags, with_flags
from pilotlight.cli.output import note, print_json, say
from pilotlight.cli.session import Session, UsageProblem
from pilotlight.cli.waiting import Waiting, wait_ready, with_waiting

WRITE = {"fieldManager": "pilotlight", "fieldValidation": "Strict"}
CONFLICTS_MAX = 8  # the platform writes statuses in bursts, each some milliseconds long
CONFLICT_PAUSE_S = 0.02  # doubled each time


def add_changes(app: typer.Typer, kind: Kind[Any], flags: Sequence[Flag], required: Sequence[str] = ()) -> None:
    """`create`, `update` and `delete` for a kind. `required` are the flags without which there is nothing to create."""
    add_create(app, kind, flags, required)
    add_update(app, kind, flags)
    add_delete(app, kind)


def add_create(app: typer.Typer, kind: Kind[Any], flags: Sequence[Flag], required: Sequence[str] = ()) -> None:
    def create_command(
        context: typer.Context,
        name: TargetName,
        namespace: Namespace = None,
        as_json: AsJson = False,
        *,
        waiting: Waiting,
        flags: Mapping[str, Any],
    ) -> None:
        for flag in table:
            if flag.name in required and flag.parameter not in flags:
                raise UsageProblem(f"{kind.kind} {name} needs {flag.name}: {flag.help}")
        document = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name, "namespace": namespace_of(context, namespace)},
            "spec": {},
        }
        apply_flags(document, flags, table)

        async def work(client: KubernetesClient) -> Json:
            created = await client.create(kind, document, **WRITE)
            return await wait_ready(client, kind, created, waiting, note)

        session: Session = context.obj
        _tell(kind, session.run(work), "created", as_json=as_json)

    table = flags
    command = with_waiting(with_flags(create_command, table), wanted=False)
    app.command("create", help=f"Create a {kind.singular}.")(command)


def add_update(app: typer.Typer, kind: Kind[Any], flags: Sequence[Flag]) -> None:
    def update_command(
        context: typer.Context,
        name: TargetName,
        namespace: Namespace = None,
        as_json: AsJson = False,
        *,
        waiting: Waiting,
        flags: Mapping[str, Any],
    ) -> None:
        change = partial(apply_flags, values=flags, flags=table)

        async def work(client: KubernetesClient) -> Json:
            updated = await change_object(client, kind, name, namespace_of(context, namespace), change)
            return await wait_ready(client, kind, updated, waiting, note)

        session: Session = context.obj
        _tell(kind, session.run(work), "updated", as_json=as_json)

    table = flags
    command = with_waiting(with_flags(update_command, table), wanted=False)
    app.command("update", help=f"Change what is named of a {kind.singular}.")(command)


def add_delete(app: typer.Typer, kind: Kind[Any]) -> None:
    @app.command("delete", help=f"Delete {kind.plural}.")
    @with_deleting
    def delete_command(
        context: typer.Context,
        names: Annotated[list[str], typer.Argument(help="Names.")],
        namespace: Namespace = None,
        *,
        deleting: Deleting,
    ) -> None:
        session: Session = context.obj
        delete_objects(session, kind, namespace_of(context, namespace), names, deleting)


async def change_object(
    client: KubernetesClient, kind: Kind[Any], name: str, namespace: str, change: Callable[[Json], Json]
) -> Json:
    """Reads, changes, replaces; again where the platform wrote in between (a status, mostly)."""
    for attempt in range(CONFLICTS_MAX):
        obj = await client.get(kind, name, namespace)
        obj.pop("status", None)
        try:
            return await client.replace(kind, change(obj), **WRITE)
        except Conflict:
            if attempt == CONFLICTS_MAX - 1:
                raise
            await asyncio.sleep(CONFLICT_PAUSE_S * 2**attempt)
    raise AssertionError("unreachable")


def _tell(kind: Kind[Any], obj: Json, verb: str, *, as_json: bool) -> None:
    if as_json:
        print_json(obj)
        return
    metadata = obj["metadata"]
    say(f"{kind.kind} '{metadata['name']}' {verb} in namespace '{metadata['namespace']}'.")
