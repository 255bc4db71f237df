"""dev: a folder, redeployed whenever a file in it changes, with its output on the screen."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from watchfiles import awatch

from core.clients.kubernetes import KubernetesClient
from core.errors import ApiError
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.serving_labels import SERVICE_LABEL
from deploy.runtimes.base import StartError
from deploy.runtimes.folders import SCHEME, Folders
from pilotlight.cli.documents import FunctionOptions, make_service
from pilotlight.cli.functions import apply_service
from pilotlight.cli.logs import Wanted, print_logs
from pilotlight.cli.output import note, say
from pilotlight.cli.platform import start_detached, stop
from pilotlight.cli.session import NotReady, Session, UsageProblem
from pilotlight.cli.waiting import Waiting
from pilotlight.datadir import DataDir
from pilotlight.options import PlatformOptions


def dev_command(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="Folder with a Python function.")] = Path(),
    name: Annotated[str | None, typer.Option(help="The Service's name; the folder's unless given.")] = None,
) -> None:
    """Serve a folder, redeploy it at every change, show its output; until Ctrl-C."""
    session: Session = context.obj
    folder = source.expanduser().absolute()
    if not folder.is_dir():
        raise UsageProblem(f"{source}: no such folder")
    with _platform(session) as own:
        own.run(lambda client: develop(client, own, folder, name or folder.name.lower().replace("_", "-")))


async def develop(client: KubernetesClient, session: Session, folder: Path, name: str) -> None:
    """Until cancelled."""
    wanted = Wanted(session.namespace, f"{SERVICE_LABEL}={name}", {"follow": "true"})
    folders = Folders(session.data_dir.functions)
    async with asyncio.TaskGroup() as group:
        listing = await client.list(POD, session.namespace, labelSelector=wanted.selector)
        group.create_task(print_logs(client, wanted, listing), name="dev:logs")
        changed = asyncio.Event()
        group.create_task(_watch(folder, changed), name="dev:watch")
        while True:
            await asyncio.sleep(0)  # the watch begins before the first look at the folder
            changed.clear()
            await _deploy(client, session, folders, folder, name)
            await changed.wait()


async def _watch(folder: Path, changed: asyncio.Event) -> None:
    async for _ in awatch(folder):
        changed.set()


async def _deploy(client: KubernetesClient, session: Session, folders: Folders, folder: Path, name: str) -> None:
    """A content that is deployed already is no new revision; a mistake in it is told, and the next change awaited."""
    try:
        snapshot = await asyncio.to_thread(folders.snapshot, f"{SCHEME}{folder}")
        document = make_document(session.namespace, folder, name, snapshot.digest)
        service = await apply_service(client, document, Waiting())
    except (ApiError, NotReady, StartError) as error:
        note(f"✗ {_brief(str(error))}")
        return
    status = service["status"]
    say(f"✓ {status['latestReadyRevisionName']}  {status['url']}")


def _brief(message: str) -> str:
    """Of a traceback only what it ends with: all of it stands in the function's own output, just above."""
    lines = message.splitlines()
    return message if len(lines) < 3 else f"{lines[0].partition(' with message: ')[0]}: {lines[-1]}"


def make_document(namespace: str, folder: Path, name: str, digest: str) -> Json:
    return make_service(FunctionOptions(name, namespace, source=folder, source_digest=digest))


@contextmanager
def _platform(session: Session) -> Iterator[Session]:
    """The running one, or one of our own for as long as this lasts."""
    if session.kubeconfig is not None or session.data_dir.running() is not None:
        yield session
        return
    root = Path(tempfile.mkdtemp(prefix="pilotlight-dev-"))
    running = start_detached(PlatformOptions(DataDir(root), gateway_port=0, api_port=0))
    note(f"started a platform for this session: {running.gateway}")
    try:
        yield Session(DataDir(root), None, session.namespace)
    finally:
        stop(running)
        shutil.rmtree(root, ignore_errors=True)
