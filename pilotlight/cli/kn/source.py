"""`pilotlight source …`: kn's commands for sources, a group for each kind of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import typer

from core.clients.kubernetes import KubernetesClient
from core.resources.meta import Json, Kind
from core.resources.sources import API_SERVER_SOURCE, CONTAINER_SOURCE, PING_SOURCE, SINK_BINDING
from core.resources.sources_kafka import KAFKA_SOURCE
from core.resources.sources_rabbitmq import RABBITMQ_SOURCE
from pilotlight.cli.kn import eventing_options as options
from pilotlight.cli.kn.changing import add_changes, add_delete
from pilotlight.cli.kn.eventing_describe import (
    PING_HEADER,
    SOURCE_HEADER,
    SOURCES_HEADER,
    describe_source,
    ping_row,
    source_row,
    sources_row,
)
from pilotlight.cli.kn.formats import AsJson
from pilotlight.cli.kn.objects import (
    AllNamespaces,
    Namespace,
    NoHeaders,
    Row,
    add_describe,
    add_list,
    namespace_of,
    print_types,
)
from pilotlight.cli.kn.options import Flag
from pilotlight.cli.output import print_json, print_table, say
from pilotlight.cli.session import Session


@dataclass(frozen=True, slots=True)
class _Group:
    """The commands of one kind; without flags it is made by documents alone."""

    name: str
    kind: Kind[Any]
    flags: Sequence[Flag] = ()
    required: Sequence[str] = ("--sink",)
    header: Sequence[str] = SOURCE_HEADER
    row: Row = source_row


_GROUPS: Final = (
    _Group("ping", PING_SOURCE, options.PING_FLAGS, header=PING_HEADER, row=ping_row),
    _Group("binding", SINK_BINDING, options.BINDING_FLAGS, ("--subject", "--sink")),
    _Group("container", CONTAINER_SOURCE, options.CONTAINER_FLAGS, ("--image", "--sink")),
    _Group("apiserver", API_SERVER_SOURCE, options.API_SERVER_FLAGS, ("--resource", "--sink")),
    _Group("kafka", KAFKA_SOURCE, options.KAFKA_FLAGS, ("--servers", "--topics", "--sink")),
    _Group("rabbitmq", RABBITMQ_SOURCE),
)
app = typer.Typer(help="Manage event sources.", no_args_is_help=True)


def _group_app(group: _Group) -> typer.Typer:
    of_kind = typer.Typer(help=f"Manage {group.kind.kind}s.", no_args_is_help=True)
    if group.flags:
        add_changes(of_kind, group.kind, group.flags, group.required)
    else:
        add_delete(of_kind, group.kind)
    add_list(of_kind, group.kind, group.header, group.row)
    add_describe(of_kind, group.kind, describe_source)
    return of_kind


for each in _GROUPS:
    app.add_typer(_group_app(each), name=each.name)


@app.command("list")
def list_command(
    context: typer.Context,
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    as_json: AsJson = False,
    no_headers: NoHeaders = False,
) -> None:
    """List sources of every kind."""
    session: Session = context.obj
    scope = None if all_namespaces else namespace_of(context, namespace)

    async def work(client: KubernetesClient) -> list[tuple[Kind[Any], Json]]:
        found = []
        for group in _GROUPS:
            items = (await client.list(group.kind, scope))["items"]
            found += [(group.kind, {"apiVersion": group.kind.api_version, "kind": group.kind.kind} | i) for i in items]
        return found

    found = session.run(work)
    if as_json:
        print_json({"apiVersion": "v1", "kind": "List", "items": [source for _, source in found]})
    elif not found:
        say("No sources found.")
    else:
        print_table(SOURCES_HEADER, (sources_row(kind, source) for kind, source in found), headers=not no_headers)


@app.command("list-types")
def list_types_command(as_json: AsJson = False) -> None:
    """List the kinds of sources there are."""
    print_types([group.kind for group in _GROUPS], as_json=as_json)
