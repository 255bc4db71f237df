"""Waits for an object to be Ready, telling what it waits for; shared by every command that changes something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from core.clients.kubernetes import KubernetesClient
from core.errors import Expired, NotFound
from core.resources.conditions import find_condition
from core.resources.meta import Json, Kind
from pilotlight.cli.expansion import Command, expand, option
from pilotlight.cli.session import NotReady

_WINDOW_HELP = "Seconds that a failure may take to mend itself."


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether a command waits for what it changed, for how long, and how long a Ready=False may take to mend itself."""

    wanted: bool = True
    timeout_s: float = 600.0
    window_s: float = 2.0


def with_waiting(command: Command, *, wanted: bool = True) -> Command:
    """Adds kn's options to a command that has a parameter `waiting: Waiting`; `wanted` where nothing is typed."""
    options = [
        option("wait", Annotated[bool, typer.Option("--wait/--no-wait", help="Return when it is Ready.")], wanted),
        option("at_once", Annotated[bool, typer.Option("--async", hidden=True, help="Former --no-wait.")], False),
        option("timeout_s", Annotated[float, typer.Option("--wait-timeout", help="Seconds to wait.")], 600.0),
        option("window_s", Annotated[float, typer.Option("--wait-window", help=_WINDOW_HELP)], 2.0),
    ]
    return expand(
        command,
        "waiting",
        options,
        lambda given: Waiting(given["wait"] and not given["at_once"], given["timeout_s"], given["window_s"]),
    )


def is_current(obj: Json) -> bool:
    """Whether the status speaks of the spec as it is now."""
    return bool((obj.get("status") or {}).get("observedGeneration") == obj["metadata"].get("generation"))


def failure_of(obj: Json) -> str:
    """Why it is not Ready, where that is known: `RevisionFailed: …`; else empty."""
    ready = find_condition(obj) or {}
    return f"{ready.get('reason')}: {ready.get('message')}" if ready.get("status") == "False" else ""


async def wait_ready(
    client: KubernetesClient, kind: Kind[Any], obj: Json, waiting: Waiting, tell: Callable[[str], None]
) -> Json:
    """The object once it is Ready for its own generation; as it is where no waiting is wanted. NotReady.

    A Ready=False ends the wait when it has stood for the window: the platform may still be working on it.
    """
    if not waiting.wanted:
        return obj
    name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace", "")
    told = ""
    last: Json = obj
    try:
        async with asyncio.timeout(waiting.timeout_s):
            while True:
                last = await client.get(kind, name, namespace)
                ready = find_condition(last) or {}
                if is_current(last):
                    if ready.get("status") == "True":
                        return last
                    if ready.get("status") == "False" and await _stays_false(client, kind, last, waiting.window_s):
                        raise NotReady(f"{kind.kind} {name}: {failure_of(last)}")
                message = ready.get("message") or ready.get("reason") or ""
                if message and message != told:
                    tell(message)
                    told = message
                await _next_change(client, kind, last)
    except TimeoutError:
        ready = find_condition(last) or {}
        why = ready.get("message") or ready.get("reason") or "it has no status yet"
        raise NotReady(f"{kind.kind} {name} was not ready within {waiting.timeout_s:g} s: {why}") from None


async def _stays_false(client: KubernetesClient, kind: Kind[Any], obj: Json, window_s: float) -> bool:
    try:
        async with asyncio.timeout(window_s):
            await _next_change(client, kind, obj)
    except TimeoutError:
        return True
    return False


async def wait_gone(client: KubernetesClient, kind: Kind[Any], name: str, namespace: str, timeout_s: float) -> None:
    """Returns when no object of that name is left. NotReady names what holds it."""
    obj: Json = {}
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                obj = await client.get(kind, name, namespace)
                await _next_change(client, kind, obj)
    except NotFound:
        return
    except TimeoutError:
        held = ", ".join(obj.get("metadata", {}).get("finalizers") or ()) or "its grace period"
        raise NotReady(f"{kind.kind} {name} was not gone within {timeout_s:g} s: held by {held}") from None


async def _next_change(client: KubernetesClient, kind: Kind[Any], obj: Json) -> None:
    """Returns when the object has changed since `obj`, or the stream ended."""
    metadata = obj["metadata"]
    query = {"fieldSelector": f"metadata.name={metadata['name']}"}
    try:
        async for event, changed in client.watch(
            kind, metadata.get("namespace"), since=metadata["resourceVersion"], **query
        ):
            if event == "DELETED":
                raise NotFound(f"{kind.kind} {metadata['name']} was deleted while waiting for it")
            if changed["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
                return
    except Expired:
        return
