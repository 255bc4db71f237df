"""up, down: a platform's life from the command line."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from pilotlight.cli.output import note, print_json, say
from pilotlight.cli.session import NotReady, Session, UsageProblem
from pilotlight.datadir import DataDir, Running, is_alive
from pilotlight.options import PlatformOptions

DETACH_TIMEOUT_S = 30.0
DOWN_TIMEOUT_S = 90.0


def up_command(
    context: typer.Context,
    gateway_port: Annotated[int, typer.Option(help="Port for functions; 0 picks a free one.")] = 8080,
    api_port: Annotated[int, typer.Option(help="Port for the API; 0 picks a free one.")] = 7443,
    workers: Annotated[int, typer.Option(help="Gateway processes.")] = 1,
    detach: Annotated[bool, typer.Option(help="Return once it is up; `pilotlight down` stops it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line once everything answers.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
) -> None:
    """Start the platform; ends with SIGTERM or Ctrl-C, after running requests have ended."""
    session: Session = context.obj
    folder = DataDir(data_dir.expanduser().absolute()) if data_dir else session.data_dir
    options = PlatformOptions(folder, gateway_port=gateway_port, api_port=api_port, workers=workers)
    if running := folder.running():
        raise UsageProblem(
            f"a platform (pid {running.pid}) already runs on {folder.root}: {running.gateway}. "
            "Stop it with `pilotlight down`, or give this one another --data-dir."
        )
    if detach:
        announce(start_detached(options), as_json=as_json)
        return
    gc.disable()  # what is loaded now stays: to look for garbage in it takes a tenth of the time
    from pilotlight.serve import run_platform  # the whole platform: not loaded by any other command

    run_platform(options, lambda running: announce(running, as_json=as_json))


def announce(running: Running, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(running.line() + "\n")
        sys.stdout.flush()
        return
    say(f"gateway     {running.gateway}")
    say(f"api         {running.api}")
    say(f"kubeconfig  {running.kubeconfig}")
    say(f"data        {running.data_dir}")
    say(f"\nexport KUBECONFIG={running.kubeconfig}")


def start_detached(options: PlatformOptions) -> Running:
    """Starts a platform that outlives this command, and returns once it answers. NotReady with its last words."""
    options.data_dir.make()
    command = [sys.executable, "-P", "-m", "pilotlight", "up", "--json", *options.arguments()]
    with options.data_dir.platform_log.open("ab") as log:
        began = log.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    deadline = time.perf_counter() + DETACH_TIMEOUT_S
    while time.perf_counter() < deadline:
        if (running := options.data_dir.running()) and running.pid == process.pid:
            return running
        if process.poll() is not None:
            raise NotReady(last_words(options.data_dir.platform_log, began))
        time.sleep(0.02)
    process.terminate()
    raise NotReady(f"the platform did not answer within {DETACH_TIMEOUT_S:g} s: see {options.data_dir.platform_log}")


def last_words(log: Path, began: int) -> str:
    """The error that it ended with, whatever was written behind that."""
    with log.open("rb") as file:
        file.seek(began)
        lines = file.read().decode(errors="replace").strip().splitlines()
    for line in reversed(lines):
        if line.startswith('{"error"'):
            return str(json.loads(line)["error"]["message"])
    return lines[-1] if lines else f"the platform ended at once: see {log}"


def down_command(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Stop the platform: running requests end first."""
    session: Session = context.obj
    running = session.data_dir.running()
    if running is not None:
        note(f"stopping the platform (pid {running.pid})")
        stop(running)
    if as_json:
        print_json({"stopped": running.pid if running else None, "data_dir": str(session.data_dir.root)})
    else:
        say("stopped" if running else f"no platform is running on {session.data_dir.root}")


def stop(running: Running) -> None:
    """Asks a platform to drain and end, and returns once it has. UsageProblem when it takes too long."""
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.perf_counter() + DOWN_TIMEOUT_S
    while is_alive(running.pid):
        if time.perf_counter() > deadline:
            raise UsageProblem(
                f"pid {running.pid} still drains after {DOWN_TIMEOUT_S:g} s; its log is in {running.data_dir}"
            )
        time.sleep(0.02)
