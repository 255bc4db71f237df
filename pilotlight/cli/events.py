"""`pilotlight events …`: what happens to events, what became of one, and the past once more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Final

import orjson
import typer

from core.clients.kubernetes import KubernetesClient
from core.clock import SystemClock
from core.errors import NotFound
from core.resources.meta import Json
from core.resources.timestamps import rfc3339
from pilotlight.cli.event_lines import event_text, happening_line, progress_text, why_lines
from pilotlight.cli.kn.eventing_edits import parse_sink
from pilotlight.cli.kn.formats import AsJson
from pilotlight.cli.kn.objects import Namespace, namespace_of
from pilotlight.cli.logs import parse_duration_s
from pilotlight.cli.output import note, print_json, print_json_line, problems, say
from pilotlight.cli.session import NotReady, Session
from pilotlight.cli.sinks import url_of

ROOT: Final = "/pilotlight/v1"
app = typer.Typer(help="See what happens to events, ask why, replay.", no_args_is_help=True)
Trigger = Annotated[str, typer.Argument(help="A trigger; subscription/NAME for a channel's.")]


def subscription_name(text: str, namespace: str) -> str:
    """`NAME` of a trigger, `subscription/NAME`, or a whole name with its namespace."""
    parts = text.split("/")
    if len(parts) == 1:
        return f"trigger/{namespace}/{text}"
    if len(parts) == 2:
        return f"{parts[0]}/{namespace}/{parts[1]}"
    return text


async def lines_of(
    client: KubernetesClient, method: str, path: str, query: dict[str, str] | None = None, body: Json | None = None
) -> AsyncIterator[Json]:
    """The documents of a stream. NotReady where the platform failed in the middle."""
    async for line in client.stream(method, f"{ROOT}{path}", query, body):
        document: Json = orjson.loads(line)
        if document["what"] == "error":
            raise NotReady(document["text"])
        yield document


@app.command("tail")
def tail_command(
    context: typer.Context,
    broker: Annotated[str | None, typer.Option(help="Only of this broker and its triggers.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel and its subscriptions.")] = None,
    trigger: Annotated[
        str | None, typer.Option(help="Only of this trigger; subscription/NAME for a channel's.")
    ] = None,
    data: Annotated[bool, typer.Option("--data", help="With the events' data, as JSON.")] = False,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Show what happens to events, from now until Ctrl-C: accepted, delivered, tried again, dead."""
    session: Session = context.obj
    scope = namespace_of(context, namespace)
    query = {"data": "1"} if data else {}
    if broker or channel:
        query["stream"] = f"broker/{scope}/{broker}" if broker else f"channel/{scope}/{channel}"
    if trigger:
        query["subscription"] = subscription_name(trigger, scope)

    async def work(client: KubernetesClient) -> None:
        async for happening in lines_of(client, "GET", "/events/tail", query):
            if as_json or data:
                print_json_line(happening)
            elif happening["what"] == "listening":
                note("listening; Ctrl-C ends it")
            else:
                say(happening_line(happening))

    session.run(work)


@app.command("why")
def why_command(
    context: typer.Context, id: Annotated[str, typer.Argument(help="The event's id.")], as_json: AsJson = False
) -> None:
    """Say what became of an event, for each trigger that could have got it, and why."""
    session: Session = context.obj
    answer = session.run(lambda client: client.call("GET", f"{ROOT}/events/why", query={"id": id}))
    if not answer["found"] and not answer["deadLetters"]:
        raise NotFound(f"no broker or channel has an event with the id {id!r} (any more), and no dead letter")
    if as_json:
        print_json(answer)
        return
    for line in why_lines(answer):
        say(line)


@app.command("replay")
def replay_command(
    context: typer.Context,
    trigger: Trigger,
    start: Annotated[
        str, typer.Option("--from", help="earliest, an offset, a time (RFC 3339), or how long ago, as 30m or 2h.")
    ],
    cesql: Annotated[str | None, typer.Option("--filter", help="Only events for which this CESQL is true.")] = None,
    sink: Annotated[str | None, typer.Option(help="Send to this instead: NAME, ksvc:NAME, broker:NAME, a URL.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be sent.")] = False,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Send what its broker still has once more, up to now. Ctrl-C ends it; the trigger itself is not touched."""
    session: Session = context.obj
    scope = namespace_of(context, namespace)
    wish: Json = {
        "subscription": subscription_name(trigger, scope),
        "from": _start(start),
        "filter": cesql,
        "dryRun": dry_run,
    }

    async def work(client: KubernetesClient) -> Json:
        if sink:
            wish["sink"] = await url_of(client, parse_sink(sink, scope))
        last: Json = {}
        async for line in lines_of(client, "POST", "/events/replay", body=wish):
            last = line
            if as_json:
                print_json_line(line)
            else:
                _show(line)
        return last

    last = session.run(work)
    if last.get("what") != "end":
        raise NotReady(f"the replay was cut off; it goes on with `--from {last.get('next', wish['from'])}`")
    if last["failed"] or last["lost"]:
        raise typer.Exit(1)


def _show(line: Json) -> None:
    match line["what"]:
        case "replay":
            note(f"offsets {line['from']} to before {line['to']}")
        case "would-send":
            say(f"{line['offset']:>8}  {event_text(line['event'])}")
        case "failed":
            say(f"failed: offset {line['offset']}, {event_text(line['event'])}: {line['reason']}")
        case "progress":
            if problems.is_terminal:
                problems.print(f"{progress_text(line)}, at offset {line['next']}", end="\r", markup=False, style="dim")
        case "end":
            say(progress_text(line) if line["delivered"] or line["failed"] else f"{line['matched']} match")


def _start(text: str) -> str:
    """A time that is said as how long ago becomes one."""
    if not re.fullmatch(r"\d+[smhd]", text):
        return text
    seconds = int(text[:-1]) * 86400 if text.endswith("d") else parse_duration_s(text)
    return rfc3339(SystemClock().wall() - seconds)
