"""The tree of commands, and how any of them ends: an answer, or one sentence about what is wrong.

Exit codes: 0 done, 1 the platform refused or a thing is not ready, 2 the command was typed wrongly, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from core.errors import ApiError, PermanentError, TemporaryError
from deploy.runtimes.base import StartError
from pilotlight.cli import build, demo, dev, doctor, functions, insight, logs, platform
from pilotlight.cli.kn import domain, revision, route, service
from pilotlight.cli.output import problems
from pilotlight.cli.session import Session, UsageProblem
from pilotlight.cli.waiting import NotReady
from pilotlight.datadir import DataDir, default_data_dir
from pilotlight.listeners import PortProblem

app = typer.Typer(
    name="pilotlight",
    help="A serverless event platform: Knative's own documents, no cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    context: typer.Context,
    data_dir: Annotated[
        Path | None, typer.Option(help="The platform's data folder.", envvar="PILOTLIGHT_DATA_DIR")
    ] = None,
    kubeconfig: Annotated[Path | None, typer.Option(help="Reach the API by this kubeconfig instead.")] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace.")] = "default",
) -> None:
    """Global options: they go before the command's name."""
    folder = data_dir.expanduser().absolute() if data_dir else default_data_dir()
    context.obj = Session(DataDir(folder), kubeconfig, namespace)


app.command("up")(platform.up_command)
app.command("down")(platform.down_command)
app.command("doctor")(doctor.doctor_command)
app.command("demo")(demo.demo_command)
app.command("deploy")(functions.deploy_command)
app.command("invoke")(functions.invoke_command)
app.command("logs")(logs.logs_command)
app.command("build")(build.build_command)
app.command("dev")(dev.dev_command)
app.command("top")(insight.top_command)
app.command("explain")(insight.explain_command)
app.add_typer(service.app, name="service")
app.add_typer(revision.app, name="revision")
app.add_typer(route.app, name="route")
app.add_typer(domain.app, name="domain")


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code."""
    try:
        result = app(list(arguments), prog_name="pilotlight", standalone_mode=False)
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
        case TemporaryError() | PermanentError() | NotReady() | PortProblem() | StartError():
            return 1, str(error)
        case OSError(strerror=str() as why):
            return 1, f"{error.filename}: {why}" if error.filename else why
    raise error
