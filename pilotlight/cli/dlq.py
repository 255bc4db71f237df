"""`pilotlight dlq …`: events that could not be delivered, and another chance for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from core.clients.kubernetes import KubernetesClient
from core.resources.meta import Json
from pilotlight.cli.event_lines import LETTER_HEADER, letter_lines, letter_row
from pilotlight.cli.events import ROOT, subscription_name
from pilotlight.cli.kn.formats import AsJson
from pilotlight.cli.kn.objects import AllNamespaces, Namespace, NoHeaders, namespace_of
from pilotlight.cli.output import print_json, print_table, say
from pilotlight.cli.session import Session, UsageProblem

app = typer.Typer(help="Look at dead letters, redrive or drop them.", no_args_is_help=True)

Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers of dead letters.")]
OfTrigger = Annotated[
    str | None, typer.Option("--trigger", help="All of this trigger; subscription/NAME for a channel's.")
]


@app.command("list")
def list_command(
    context: typer.Context,
    trigger: Annotated[str | None, typer.Argument(help="Only of this trigger.")] = None,
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    as_json: AsJson = False,
    no_headers: NoHeaders = False,
) -> None:
    """List dead letters, the oldest first."""
    session: Session = context.obj
    scope = namespace_of(context, namespace)
    query = {} if all_namespaces else {"namespace": scope}
    if trigger:
        query = {"subscription": subscription_name(trigger, scope)}
    letters = session.run(lambda client: _all(client, query))
    if as_json:
        print_json({"items": letters})
    elif not letters:
        say("No dead letters found.")
    else:
        print_table(LETTER_HEADER, (letter_row(letter) for letter in letters), headers=not no_headers)


@app.command("show")
def show_command(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="Its number.")],
    as_json: AsJson = False,
) -> None:
    """Show one with its event and every attempt."""
    session: Session = context.obj
    letter = session.run(lambda client: client.call("GET", f"{ROOT}/dead-letters/{number}"))
    if as_json:
        print_json(letter)
        return
    for line in letter_lines(letter):
        say(line)


@app.command("redrive")
def redrive_command(
    context: typer.Context,
    numbers: Numbers = None,
    trigger: OfTrigger = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Send them on their way again: to the trigger that failed, and to no other, with all its tries."""
    answer = _ask(context, "redrive", numbers, trigger, namespace)
    if as_json:
        print_json(answer)
    else:
        say(f"{_count(answer['redriven'])} on the way again")
        for refused in answer["refused"]:
            say(f"{refused['number']} stays: {refused['reason']}")
    if answer["refused"]:
        raise typer.Exit(1)


@app.command("drop")
def drop_command(
    context: typer.Context,
    numbers: Numbers = None,
    trigger: OfTrigger = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Delete them, with their events."""
    answer = _ask(context, "drop", numbers, trigger, namespace)
    if as_json:
        print_json(answer)
    else:
        say(f"{_count(answer['dropped'])} dropped")


def _ask(
    context: typer.Context, verb: str, numbers: Sequence[int] | None, trigger: str | None, namespace: str | None
) -> Json:
    if bool(numbers) == bool(trigger):
        raise UsageProblem(f"say which to {verb}: numbers of dead letters, or --trigger NAME for all of one")
    session: Session = context.obj
    body: Json = {"numbers": list(numbers or ())}
    if trigger:
        body = {"subscription": subscription_name(trigger, namespace_of(context, namespace))}
    return session.run(lambda client: client.call("POST", f"{ROOT}/dead-letters/{verb}", body=body))


async def _all(client: KubernetesClient, query: dict[str, str]) -> list[Any]:
    letters: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = await client.call("GET", f"{ROOT}/dead-letters", query={**query, "after": str(after)})
        letters += page["items"]
        after = page["next"]
    return letters


def _count(numbers: Sequence[int]) -> str:
    return "1 dead letter" if len(numbers) == 1 else f"{len(numbers)} dead letters"
