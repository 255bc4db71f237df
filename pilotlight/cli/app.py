"""The tree of commands, and how any of them ends: an answer, or one sentence about what is wrong.

Exit codes: 0 done, 1 the platform refused or a thing is not ready, 2 the command was typed wrongly, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from core.errors import ApiError, TemporaryError
from pilotlight.cli import build, demo, dev, doctor, functions, insight, logs, platform
from pilotlight.cli.kn import domain, revision, route, service
from pilotlight.cli.output import problems
from pilotlight.cli.session import Session, UsageProblem
from pilotlight.cli.waiting import NotReady
from pilotlight.datadir import DataDir, default_data_dir

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
        result = app(list(arguments), standalone_mode=False)
    except ApiError as error:
        return _fail(_describe(error), 1)
    except (TemporaryError, NotReady) as error:
        return _fail(str(error), 1)
    except (UsageProblem, ValueError) as error:
        return _fail(str(error), 2)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except TyperException as error:
        return _fail(error.format_message(), 2)
    return result if isinstance(result, int) else 0


def _fail(message: str, code: int) -> int:
    problems.print(f"error: {message}", markup=False)
    return code


def _describe(error: ApiError) -> str:
    if len(error.causes) < 2:
        return error.message
    lines = (f"  {cause}" for cause in error.causes)
    return "\n".join([error.message, *lines])
