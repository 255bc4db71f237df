"""Waits for an object to be Ready, telling what it waits for; shared by every command that changes something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from core.clients.kubernetes import KubernetesClient
from core.errors import Expired, NotFound
from core.resources.meta import Json, Kind


class NotReady(Exception):
    """It was Ready=False, or not Ready in time; the message is the condition's own. Exit code 1."""


def condition(obj: Json, name: str = "Ready") -> Json:
    for entry in (obj.get("status") or {}).get("conditions") or ():
        if entry["type"] == name:
            return dict(entry)
    return {}


def is_current(obj: Json) -> bool:
    """Whether the status speaks of the spec as it is now."""
    return bool((obj.get("status") or {}).get("observedGeneration") == obj["metadata"].get("generation"))


async def wait_ready(
    client: KubernetesClient, kind: Kind[Any], obj: Json, timeout_s: float, tell: Callable[[str], None]
) -> Json:
    """The object once it is Ready for its own generation. NotReady with the reason, also at once on Ready=False.

    A False that turns up while the platform still works on it (kn's wait window) gets two more seconds to change.
    """
    name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace", "")
    told = ""
    last: Json = obj
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                last = await client.get(kind, name, namespace)
                ready = condition(last)
                if is_current(last):
                    if ready.get("status") == "True":
                        return last
                    if ready.get("status") == "False" and await _stays_false(client, kind, last):
                        raise NotReady(f"{kind.kind} {name}: {ready.get('reason')}: {ready.get('message')}")
                message = ready.get("message") or ready.get("reason") or ""
                if message and message != told:
                    tell(message)
                    told = message
                await _next_change(client, kind, last)
    except TimeoutError:
        ready = condition(last)
        why = ready.get("message") or ready.get("reason") or "it has no status yet"
        raise NotReady(f"{kind.kind} {name} was not ready within {timeout_s:g} s: {why}") from None


async def _stays_false(client: KubernetesClient, kind: Kind[Any], obj: Json, window_s: float = 2.0) -> bool:
    try:
        async with asyncio.timeout(window_s):
            await _next_change(client, kind, obj)
    except TimeoutError:
        return True
    return False


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
