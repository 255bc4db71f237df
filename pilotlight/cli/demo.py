"""demo: a function's whole life and an event's in a minute, on a platform of its own that is gone afterwards."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.progress import BarColumn, Progress, TextColumn

from core.clients.http import HttpClient, HttpRequest
from core.clients.kubernetes import KubernetesClient
from core.errors import NotFound
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json
from core.settings.config_maps import AUTOSCALER, SYSTEM_NAMESPACE
from pilotlight.cli.demo_shop import open_shop, order, until_asleep
from pilotlight.cli.documents import FunctionOptions, make_service
from pilotlight.cli.functions import apply_service, invoke, parse_server_timing, timing_line
from pilotlight.cli.output import console, say
from pilotlight.cli.platform import start_detached, stop
from pilotlight.cli.session import NotReady, Session, UsageProblem
from pilotlight.cli.waiting import Waiting
from pilotlight.datadir import DataDir, Running
from pilotlight.options import PlatformOptions

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SHOP = EXAMPLES / "shop"
NAME = "hello"
BURST = 200
BURST_SECONDS = 4  # how long each request of the burst takes: long enough to see replicas rise
TO_ZERO_TIMEOUT_S = 45.0
INSTANCES_MAX = 10


class Story(StrEnum):
    LIFE = "life"
    LAG = "lag"


Draw: TypeAlias = Callable[[int, int], None]


def demo_command(
    context: typer.Context,
    story: Annotated[
        Story, typer.Argument(help="What to show: functions and events, or consumers of queues.")
    ] = Story.LIFE,
    source: Annotated[Path | None, typer.Option(help="The function to show.")] = None,
) -> None:
    """Start a platform, call a sleeping function, send a burst, watch it go back to zero; then order at a shop.

    `demo lag` lets consumers of a real Kafka and RabbitMQ follow their lag instead.
    """
    if story is Story.LAG:
        from pilotlight.cli.demo_lag import run_demo_lag  # here, for it brings the clients of both along

        run_demo_lag(EXAMPLES, step)
        return
    folder = source or _example()
    root = Path(tempfile.mkdtemp(prefix="pilotlight-demo-"))
    session = Session(DataDir(root))
    began = time.perf_counter()
    try:
        running = start_detached(PlatformOptions(session.data_dir, gateway_port=0, api_port=0))
        step(f"platform up in {time.perf_counter() - began:.1f} s: {running.gateway}")
        try:
            session.run(lambda client: show(client, session, running, folder))
        finally:
            stop(running)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    step("platform stopped, its folder removed")


async def show(client: KubernetesClient, session: Session, running: Running, folder: Path) -> None:
    """The story, once the platform runs."""
    await client.patch(CONFIG_MAP, AUTOSCALER, SYSTEM_NAMESPACE, {"data": {"scale-to-zero-grace-period": "2s"}})
    options = FunctionOptions(
        NAME,
        source=folder,
        scale_max=INSTANCES_MAX,
        annotations={"autoscaling.knative.dev/window": "6s", "autoscaling.knative.dev/target": "20"},
    )
    service = await apply_service(client, make_service(options), Waiting(timeout_s=60.0))
    revision = service["status"]["latestReadyRevisionName"]
    step(f"deployed {folder.name} as revision {revision}: {service['status']['url']}")

    if SHOP.is_dir():
        await open_shop(client, SHOP)
        step("opened a shop for later: a broker, two triggers, two functions")

    step("waiting for it to fall asleep")
    await follow_scale(client, revision, until_zero=True)

    request = HttpRequest("", "", "POST", {"Content-Type": "application/json"}, b'{"name": "Ada"}')
    response, elapsed_ms = await invoke(client, session, NAME, request, path="/", tag=None)
    timing = parse_server_timing(response.headers.get("Server-Timing", ""))
    step(f"a request from zero: {response.body.decode().strip()}")
    say(f"    {timing_line(response.status, elapsed_ms, timing)}")

    step(f"a burst of {BURST} concurrent requests, {BURST_SECONDS} s each")
    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow_scale(client, revision, until_zero=False), name="demo:scale")
        answers = await send_burst(running.gateway, service["status"]["url"])
        following.cancel()
    counted = ", ".join(f"{count} answered {status}" for status, count in sorted(answers.items()))
    step(f"answers: {counted}")
    if set(answers) != {200}:
        raise NotReady(f"the burst was not answered in full: {counted}")

    step("silence: back to zero")
    await follow_scale(client, revision, until_zero=True)
    if SHOP.is_dir():
        await until_asleep(client)
        step("an order for the shop, where everybody sleeps")
        elapsed_s = await order(client, running)
        step(f"from order to shipping in {elapsed_s * 1000:.0f} ms: two functions woken, one reply")


async def send_burst(gateway: str, url: str) -> Counter[int]:
    """How many answers of each status a burst got."""
    target = HttpRequest(f"{gateway}/?sleep={BURST_SECONDS}", url.partition("://")[2].rstrip("/"))
    async with HttpClient(connections_max=BURST) as http:
        responses = await asyncio.gather(*(http.send(replace(target)) for _ in range(BURST)))
    return Counter(response.status for response in responses)


async def follow_scale(client: KubernetesClient, revision: str, *, until_zero: bool) -> None:
    """Draws the replicas as they change; returns at zero if asked to. NotReady if that takes too long."""
    with _bar() as draw:
        try:
            async with asyncio.timeout(TO_ZERO_TIMEOUT_S if until_zero else None):
                while True:
                    desired, actual = _scale_of(await _autoscaler(client, revision))
                    draw(desired, actual)
                    if until_zero and desired == 0 and actual == 0:
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise NotReady(f"{revision} did not reach zero within {TO_ZERO_TIMEOUT_S:g} s") from None


async def _autoscaler(client: KubernetesClient, revision: str) -> Json:
    try:
        return await client.get(POD_AUTOSCALER, revision, "default")
    except NotFound:
        return {}


def _scale_of(autoscaler: Json) -> tuple[int, int]:
    status = autoscaler.get("status") or {}
    return max(0, status.get("desiredScale") or 0), status.get("actualScale") or 0  # -1: nothing was decided yet


@contextmanager
def _bar() -> Iterator[Draw]:
    """A bar that moves on a terminal; elsewhere one line for each change."""
    if not console.is_terminal:
        yield PlainDraw()
        return
    columns = (TextColumn("    replicas"), BarColumn(40), TextColumn("{task.completed:.0f} of {task.fields[desired]}"))
    with Progress(*columns, console=console, transient=False) as progress:
        task = progress.add_task("replicas", total=INSTANCES_MAX, desired=0)
        yield lambda desired, actual: progress.update(task, completed=actual, desired=desired)


class PlainDraw:
    """Remembers what it printed last."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def __call__(self, desired: int, actual: int) -> None:
        if (desired, actual) != self._last:
            say(f"    replicas {actual} of {desired}")
            self._last = (desired, actual)


def step(text: str) -> None:
    console.print(f"• {text}", markup=False)


def _example() -> Path:
    """examples/hello of the checkout. UsageProblem where this is an installed package without one."""
    folder = EXAMPLES / "hello"
    if not folder.is_dir():
        raise UsageProblem(
            "examples/hello is not here: run `make demo` in a checkout, or give a function with --source"
        )
    return folder
