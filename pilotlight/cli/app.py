"""The tree of commands, and how any of them ends: an answer, or one sentence about what is wrong.

Only the modules of the commands that a line names are loaded (all, where it names none): `up` must start fast.

Exit codes: 0 done, 1 the platform refused or a thing is not ready, 2 the command was typed wrongly, 130 interrupted.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.exceptions import TyperException

from core.errors import ApiError, PermanentError, TemporaryError
from deploy.runtimes.base import StartError
from pilotlight import VERSION
from pilotlight.cli.output import problems, say
from pilotlight.cli.session import NotReady, Session, UsageProblem
from pilotlight.datadir import DataDir, default_data_dir
from pilotlight.listeners import PortProblem

COMMANDS: Final[Mapping[str, str]] = {
    "up": "platform",
    "down": "platform",
    "doctor": "doctor",
    "demo": "demo",
    "deploy": "functions",
    "invoke": "functions",
    "emit": "emit",
    "logs": "logs",
    "build": "build",
    "dev": "dev",
    "top": "insight",
    "explain": "insight",
}
"""Command → its module in `pilotlight.cli`, whose `<command>_command` it is."""
GROUPS: Final[Mapping[str, str]] = {
    **{name: f"kn.{name}" for name in ("service", "revision", "route", "domain")},
    **{name: f"kn.{name}" for name in ("broker", "trigger", "channel", "subscription", "source", "eventtype")},
    "events": "events",
    "dlq": "dlq",
    "scaler": "scaler",
}
"""Group → its module in `pilotlight.cli`, with an `app` of its own."""


def make_app(words: Collection[str]) -> typer.Typer:
    """The commands whose names are among `words`, or all."""
    app = typer.Typer(
        name="pilotlight",
        help="A serverless event platform: Knative's own documents, no cluster.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    named = {*COMMANDS, *GROUPS} & set(words)
    for name, module in COMMANDS.items():
        if not named or name in named:
            commands = importlib.import_module(f"pilotlight.cli.{module}")
            app.command(name)(getattr(commands, f"{name}_command"))
    for name, module in GROUPS.items():
        if not named or name in named:
            app.add_typer(importlib.import_module(f"pilotlight.cli.{module}").app, name=name)
    return app


def tell_version(wanted: bool) -> None:
    if wanted:
        say(VERSION)
        raise typer.Exit


def options(
    context: typer.Context,
    data_dir: Annotated[
        Path | None, typer.Option(help="The platform's data folder.", envvar="PILOTLIGHT_DATA_DIR")
    ] = None,
    kubeconfig: Annotated[Path | None, typer.Option(help="Reach the API by this kubeconfig instead.")] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace.")] = "default",
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=tell_version, is_eager=True)
    ] = False,
) -> None:
    """Global options: they go before the command's name."""
    folder = data_dir.expanduser().absolute() if data_dir else default_data_dir()
    context.obj = Session(DataDir(folder), kubeconfig, namespace)


TOLD = (ApiError, TemporaryError, PermanentError, NotReady, PortProblem, StartError, UsageProblem)
"""What is raised to be read by a person: its message is the sentence."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code."""
    try:
        result = make_app(arguments)(list(arguments), prog_name="pilotlight", standalone_mode=False)
        sys.stdout.flush()
    except typer.Exit as ended:
        return ended.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # whoever read the answer has had enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _fail(error, as_json="--json" in arguments)
    return result if isinstance(result, int) else 0


def _fail(error: Exception, *, as_json: bool) -> int:
    """Tells what went wrong in one sentence, on standard error. Our own mistakes keep their trace."""
    if isinstance(error, ExceptionGroup):
        _, ours = error.split(TOLD)
        if ours is not None:
            raise error  # of a running platform, say: a ValueError in it is not one of the command line
        return _fail(error.exceptions[0], as_json=as_json)
    code, message = _ending(error)
    if as_json:
        reason = error.reason if isinstance(error, ApiError | PermanentError) else type(error).__name__
        problems.print(json.dumps({"error": {"message": message, "reason": reason}}), markup=False)
    else:
        # A group without a command is no mistake worth the word: its help is what was wanted.
        problems.print(message if message.startswith("Usage:") else f"error: {message}", markup=False)
    return code


def _ending(error: Exception) -> tuple[int, str]:
    """The exit code and the sentence."""
    match error:
        case TyperException():
            return 2, error.format_message()
        case UsageProblem() | ValueError():
            return 2, str(error)
        case ApiError():
            return 1, error.message
        case _ if isinstance(error, TOLD):
            return 1, str(error)
        case OSError(strerror=str() as why):
            return 1, f"{error.filename}: {why}" if error.filename else why
    raise error
