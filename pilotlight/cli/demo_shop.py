"""The demo's second half: an order through a broker to a function, whose reply goes back through it to another one.

Both functions sleep when the order comes. Everything is as in `examples/shop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from core.clients.kubernetes import KubernetesClient
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.eventing import BROKER, TRIGGER
from core.resources.meta import Json, Kind
from core.resources.serving import SERVICE
from pilotlight.cli.emit import Mode, Wanted, make_events, send
from pilotlight.cli.events import lines_of
from pilotlight.cli.output import say
from pilotlight.cli.session import NotReady
from pilotlight.cli.waiting import Waiting, wait_ready
from pilotlight.datadir import Running

KINDS: Final[Mapping[str, Kind[Any]]] = {kind.kind: kind for kind in (SERVICE, BROKER, TRIGGER)}
ORDER: Final = Wanted("com.example.order", "/demo", "order-1")
DATA: Final = b'{"items": ["lamp", "bulb"]}'
LAST: Final = "trigger/default/shipping"
TIMEOUT_S: Final = 45.0


def documents(folder: Path) -> list[Json]:
    """The example's, with the functions where they are and quick to fall asleep."""
    texts = [(folder / name).read_text() for name in ("functions.yaml", "broker.yaml")]
    found: list[Json] = []
    for document in yaml.safe_load_all("\n---\n".join(texts).replace("/path/to/examples/shop", str(folder))):
        document["metadata"]["namespace"] = "default"
        if document["kind"] == SERVICE.kind:
            window = {"autoscaling.knative.dev/window": "6s"}
            document["spec"]["template"].setdefault("metadata", {})["annotations"] = window
        found.append(document)
    return found


async def open_shop(client: KubernetesClient, folder: Path) -> None:
    """Returns when all of it is ready."""
    applied = [await client.apply(KINDS[each["kind"]], each, "pilotlight") for each in documents(folder)]
    for each in applied:
        await wait_ready(client, KINDS[each["kind"]], each, Waiting(timeout_s=TIMEOUT_S), lambda text: None)


async def until_asleep(client: KubernetesClient) -> None:
    """NotReady where some function stays awake."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                autoscalers = (await client.list(POD_AUTOSCALER, "default"))["items"]
                if not any((each.get("status") or {}).get("actualScale") for each in autoscalers):
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise NotReady(f"the functions did not fall asleep within {TIMEOUT_S:g} s") from None


async def order(client: KubernetesClient, running: Running) -> float:
    """Sends one and tells what happens to it; the seconds from its acceptance to the last delivery."""
    broker = await client.get(BROKER, "shop", "default")
    address = next(each["url"] for each in broker["status"]["addresses"] if each["name"] == "public")
    began = 0.0
    try:
        async with asyncio.timeout(TIMEOUT_S):
            async for happening in lines_of(client, "GET", "/events/tail", {"stream": "broker/default/shop"}):
                if happening["what"] == "listening":
                    answer = await send(running.gateway, address, make_events(ORDER, DATA, Mode.BINARY), Mode.BINARY)
                    say(f"    {answer.status} to its producer: the order is on disk")
                    continue
                began = began or happening["time"]
                say(f"    {_line(happening, happening['time'] - began)}")
                if happening["what"] == "delivered" and happening["about"] == LAST:
                    return float(happening["time"] - began)
    except TimeoutError:
        raise NotReady(f"the order was not shipped within {TIMEOUT_S:g} s") from None
    raise NotReady("the platform went away before the order was shipped")


def _line(happening: Json, since: float) -> str:
    sort, _, rest = happening["about"].partition("/")
    name = rest.rpartition("/")[2]
    said = " ".join(str(part) for part in (happening["code"], happening["text"]) if part not in (None, ""))
    return f"{since * 1000:>4.0f} ms  {happening['what']:<9}  {happening['event']['type']}  {sort} {name}: {said}"
