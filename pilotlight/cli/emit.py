"""emit: one event, or a batch of them, to a broker, a channel or a URL."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import urlsplit

import orjson
import typer

from core.clients.http import HttpClient, HttpRequest, HttpResponse
from core.clients.kubernetes import KubernetesClient
from core.resources.eventing import BROKER
from core.resources.messaging import CHANNEL
from core.resources.meta import Json
from eventing.codec import encode_batch, encode_binary, encode_structured
from eventing.event import Event, Value
from pilotlight.cli.documents import parse_pairs
from pilotlight.cli.functions import is_json, read_data
from pilotlight.cli.kn.formats import AsJson
from pilotlight.cli.kn.objects import Namespace, namespace_of
from pilotlight.cli.output import note, print_json, say
from pilotlight.cli.session import Session, UsageProblem, gateway_url

SOURCE: Final = "/pilotlight/emit"
TIMEOUT_S: Final = 30.0


class Mode(StrEnum):
    BINARY = "binary"
    STRUCTURED = "structured"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The attributes that were typed."""

    type: str
    source: str = SOURCE
    id: str | None = None
    subject: str | None = None
    time: str | None = None
    content_type: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)


def emit_command(
    context: typer.Context,
    type: Annotated[str, typer.Argument(help="Type of the event, as com.example.order.")],
    data: Annotated[str | None, typer.Option("--data", "-d", help="Data; @file reads one, @- standard input.")] = None,
    source: Annotated[str, typer.Option(help="Source of the event.")] = SOURCE,
    id: Annotated[str | None, typer.Option(help="Its id; one by chance.")] = None,
    subject: Annotated[str | None, typer.Option(help="Its subject.")] = None,
    time: Annotated[str | None, typer.Option(help="Its time, in RFC 3339.")] = None,
    content_type: Annotated[str | None, typer.Option(help="Media type of the data; by looking at it.")] = None,
    extension: Annotated[list[str] | None, typer.Option("--extension", "-x", help="name=value; repeatable.")] = None,
    broker: Annotated[str | None, typer.Option(help="[NAMESPACE/]NAME; default.")] = None,
    channel: Annotated[str | None, typer.Option(help="[NAMESPACE/]NAME of a Channel instead.")] = None,
    url: Annotated[str | None, typer.Option(help="A URL instead.")] = None,
    mode: Annotated[Mode, typer.Option("--format", help="How it is sent; batch: an event for each item of data.")] = (
        Mode.BINARY
    ),
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Send an event, and say what was answered."""
    session: Session = context.obj
    if sum(given is not None for given in (broker, channel, url)) > 1:
        raise UsageProblem("--broker, --channel and --url each say where it goes: give one of them")
    wanted = Wanted(type, source, id, subject, time, content_type, parse_pairs(extension or (), "--extension"))
    events = make_events(wanted, read_data(data), mode)
    scope = namespace_of(context, namespace)

    async def work(client: KubernetesClient) -> HttpResponse:
        address = url or await _address(client, broker, channel, scope)
        return await send(await _reachable(client, session, address), address, events, mode)

    response = session.run(work)
    ids = [event.id for event in events]
    if as_json:
        print_json({"status": response.status, "ids": ids, "answer": response.body.decode(errors="replace")})
    else:
        _tell(response, ids)
    if response.status >= 400:
        raise typer.Exit(1)


def make_events(wanted: Wanted, data: bytes | None, mode: Mode) -> Sequence[Event]:
    """One event; in a batch, one for each item of data that is a JSON list. UsageProblem."""
    if mode is not Mode.BATCH:
        return [_event(wanted, data, wanted.id)]
    try:
        items = orjson.loads(data or b"null")
    except orjson.JSONDecodeError as error:
        raise UsageProblem(f"--format batch takes a JSON list as data: {error}") from None
    if not isinstance(items, list):
        raise UsageProblem("--format batch takes a JSON list as data, an item for each event")
    return [
        _event(wanted, orjson.dumps(item), None if wanted.id is None else f"{wanted.id}-{number}")
        for number, item in enumerate(items, 1)
    ]


async def send(server: str, address: str, events: Sequence[Event], mode: Mode) -> HttpResponse:
    """`server` is where to connect; the rest of the address is what is asked for there."""
    if mode is Mode.BATCH:
        fields, body = encode_batch(events)
    else:
        fields, body = (encode_binary if mode is Mode.BINARY else encode_structured)(events[0])
    headers = {name.decode(): value.decode("latin-1") for name, value in fields}
    parts = urlsplit(address)
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    async with HttpClient() as http:
        return await http.send(HttpRequest(server.rstrip("/") + path, parts.netloc, "POST", headers, body, TIMEOUT_S))


def _event(wanted: Wanted, data: bytes | None, id: str | None) -> Event:
    optional = {"subject": wanted.subject, "time": wanted.time}
    attributes: dict[str, Value] = {
        "specversion": "1.0",
        "id": id or str(uuid.uuid4()),
        "source": wanted.source,
        "type": wanted.type,
        **wanted.extensions,
        **{name: value for name, value in optional.items() if value is not None},
    }
    if data is not None:
        sort = "application/json" if is_json(data) else "text/plain; charset=utf-8"
        attributes["datacontenttype"] = wanted.content_type or sort
    return Event(attributes, data)


async def _address(client: KubernetesClient, broker: str | None, channel: str | None, namespace: str) -> str:
    kind, text = (BROKER, broker or "default") if channel is None else (CHANNEL, channel)
    where, _, name = text.rpartition("/")
    obj = await client.get(kind, name, where or namespace)
    status: Json = obj.get("status") or {}
    public = next((each["url"] for each in status.get("addresses") or () if each.get("name") == "public"), None)
    url = public or (status.get("address") or {}).get("url")
    if not url:
        raise UsageProblem(f"{kind.kind} {name} has no address yet: see `pilotlight {kind.singular} describe {name}`")
    return str(url)


async def _reachable(client: KubernetesClient, session: Session, address: str) -> str:
    """Where to connect: our gateway for hosts of ours, the host itself for all others."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if host.endswith((".localhost", ".cluster.local")) or host.startswith("broker-ingress."):
        return await gateway_url(client, session, parts.netloc)
    return f"{parts.scheme}://{parts.netloc}"


def _tell(response: HttpResponse, ids: Sequence[str]) -> None:
    count = f"{len(ids)} events" if len(ids) > 1 else f"id {ids[0]}" if ids else "no event"
    say(f"{response.status}, {count}")
    if response.body:
        note(response.body.decode(errors="replace"))
