"""list, describe and delete: the same for every kind that has kn commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from core.clients.kubernetes import KubernetesClient
from core.clock import SystemClock
from core.errors import ApiError
from core.resources.meta import Json, Kind
from pilotlight.cli.expansion import Command, expand, option
from pilotlight.cli.kn.describe import describe_metadata
from pilotlight.cli.kn.formats import JSON_OUTPUT, AsJson, Output, emit
from pilotlight.cli.output import print_json, print_table, say
from pilotlight.cli.session import Session
from pilotlight.cli.waiting import wait_gone

AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")]
Selector = Annotated[str, typer.Option("--selector", "-l", help="Only with these labels, as app=x,tier!=y.")]
NoHeaders = Annotated[bool, typer.Option("--no-headers", help="Leave the header line out.")]
TargetName = Annotated[str, typer.Argument(help="Name.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Namespace.")]


def namespace_of(context: typer.Context, given: str | None) -> str:
    """`-n` after the command's name wins over the global one."""
    session: Session = context.obj
    return given or session.namespace


def print_objects(
    kind: Kind[Any], listing: Json, header: Sequence[str], row: Callable[[Json], Sequence[str]], *, headers: bool
) -> None:
    """A table, or the sentence that there is nothing to put in one."""
    if not listing["items"]:
        say(f"No {kind.plural} found.")
        return
    print_table(header, (row(item) for item in listing["items"]), headers=headers)


Row = Callable[[Json, float], Sequence[str]]
Lines = Callable[[Json, float], Iterable[str]]


def add_list(app: typer.Typer, kind: Kind[Any], header: Sequence[str], row: Row) -> None:
    """`list` for a kind whose row needs nothing but the object."""

    @app.command("list", help=f"List {kind.plural}.")
    def list_command(
        context: typer.Context,
        name: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
        namespace: Namespace = None,
        all_namespaces: AllNamespaces = False,
        output: Output = None,
        as_json: AsJson = False,
        selector: Selector = "",
        no_headers: NoHeaders = False,
    ) -> None:
        session: Session = context.obj
        scope = None if all_namespaces else namespace_of(context, namespace)
        query = {"labelSelector": selector} if selector else {}
        if name:
            query["fieldSelector"] = f"metadata.name={name}"
        listing = session.run(lambda client: client.list(kind, scope, **query))
        if chosen := JSON_OUTPUT if as_json else output:
            emit(kind, listing, chosen)
            return
        now = SystemClock().wall()
        print_objects(kind, listing, header, lambda item: row(item, now), headers=not no_headers)


def add_describe(app: typer.Typer, kind: Kind[Any], lines: Lines, more: Lines | None = None) -> None:
    """`describe` for any kind; `more` is what `--verbose` adds to labels and annotations."""

    @app.command("describe", help=f"Show one {kind.singular}.")
    def describe_command(
        context: typer.Context,
        name: TargetName,
        namespace: Namespace = None,
        output: Output = None,
        as_json: AsJson = False,
        verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
    ) -> None:
        session: Session = context.obj
        obj = session.run(lambda client: client.get(kind, name, namespace_of(context, namespace)))
        if chosen := JSON_OUTPUT if as_json else output:
            emit(kind, obj, chosen)
            return
        parts = [lines, *([describe_metadata, *([more] if more else [])] if verbose else [])]
        for line in (line for part in parts for line in part(obj, SystemClock().wall())):
            say(line)


def print_types(kinds: Sequence[Kind[Any]], *, as_json: bool) -> None:
    """`list-types`: kinds with what they are for."""
    names = [(kind.kind, f"{kind.plural}.{kind.group}", (kind.model.__doc__ or "").splitlines()[0]) for kind in kinds]
    if as_json:
        print_json([{"type": kind, "name": name, "description": text} for kind, name, text in names])
    else:
        print_table(("TYPE", "NAME", "DESCRIPTION"), names)


@dataclass(frozen=True, slots=True)
class Deleting:
    """How a delete command goes about it."""

    wait: bool
    timeout_s: float
    as_json: bool


def with_deleting(command: Command) -> Command:
    """Adds the options of a delete command, which has a parameter `deleting: Deleting`."""
    options = [
        option("wait", Annotated[bool, typer.Option("--wait/--no-wait", help="Return when it is gone.")], False),
        option("timeout_s", Annotated[float, typer.Option("--wait-timeout", help="Seconds to wait.")], 600.0),
        option("as_json", Annotated[bool, typer.Option("--json", help="Print JSON.")], False),
    ]
    return expand(command, "deleting", options, lambda given: Deleting(**given))


def delete_objects(session: Session, kind: Kind[Any], namespace: str, names: Sequence[str], deleting: Deleting) -> None:
    """Deletes each and what it owns. One that is refused does not keep the others; all refusals are told at the end."""
    refused: list[ApiError] = []
    deleted: list[str] = []

    async def work(client: KubernetesClient) -> None:
        for name in names:
            try:
                await client.delete(kind, name, namespace, {"propagationPolicy": "Background"})
            except ApiError as error:
                refused.append(error)
                continue
            if deleting.wait:
                await wait_gone(client, kind, name, namespace, deleting.timeout_s)
            deleted.append(name)
            if not deleting.as_json:
                say(f"{kind.kind} '{name}' successfully deleted in namespace '{namespace}'.")

    session.run(work)
    if deleting.as_json:
        print_json({"deleted": deleted})
    if refused:
        raise type(refused[0])("\n".join(error.message for error in refused))
