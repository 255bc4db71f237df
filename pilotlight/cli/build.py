"""build: a function's folder as a container image."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from core.clients.engine import Engine, EngineDown, EngineRefused
from deploy.function_image import DEFAULT_BASE, ImagePlan, build_function_image
from deploy.runtimes.base import StartError
from deploy.runtimes.folders import SCHEME, Folders
from pilotlight.cli.output import note, print_json, say
from pilotlight.cli.session import Session, UsageProblem


def build_command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The function's name.")],
    source: Annotated[Path, typer.Option(help="Folder with a Python function.")] = Path(),
    image: Annotated[str | None, typer.Option(help="Image reference; localhost/NAME:DIGEST unless given.")] = None,
    base: Annotated[str, typer.Option(help="Image to build upon; it needs this Python version.")] = DEFAULT_BASE,
    entry: Annotated[str, typer.Option(help="MODULE[:NAME] of the function, where it cannot be guessed.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a container image of a function with the engine at hand."""
    session: Session = context.obj
    try:
        folder = source.expanduser().absolute()
        reference = asyncio.run(_build(session, name, folder, ImagePlan(image or "", base, entry)))
    except (StartError, EngineDown, EngineRefused) as error:
        raise UsageProblem(str(error)) from error
    if as_json:
        print_json({"image": reference})
        return
    say(reference)
    note(f"run it with: pilotlight deploy {name} --image {reference}")


async def _build(session: Session, name: str, folder: Path, plan: ImagePlan) -> str:
    folders = Folders(session.data_dir.functions)
    snapshot = await asyncio.to_thread(folders.snapshot, f"{SCHEME}{folder}")
    tag = plan.tag or f"localhost/{name}:{snapshot.digest[:12]}"
    engine = Engine(os.environ)
    try:
        await engine.connect()
        await build_function_image(engine, ImagePlan(tag, plan.base, plan.entry), snapshot, note)
    finally:
        await engine.close()
    return tag
