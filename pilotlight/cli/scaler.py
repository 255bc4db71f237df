"""scaler …: what can count work, whether a document works, and our scalers for a KEDA elsewhere."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import yaml

from core.clients.loading import load_client
from core.clock import SystemClock
from core.resources.kinds import KINDS
from core.resources.meta import Json, Kind, ObjectKey
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from pilotlight.cli.kn.objects import Namespace, namespace_of
from pilotlight.cli.output import note, print_json, print_table, print_text, say
from pilotlight.cli.session import Session, UsageProblem
from pilotlight.scaler_check import Beside, Checker, MetricReport, ObjectReport, as_json
from pilotlight.scaler_service import ScalerService
from scalers.base import AnyDefinition, World
from scalers.pools import Pools
from scalers.registry import SCALERS, definition_of
from scalers.tables import Row, markdown, rows_of

if TYPE_CHECKING:
    from core.clients.external_scaler_server import ServerTls
    from core.clients.kubernetes import KubernetesClient

app = typer.Typer(help="Check triggers, list scalers, serve them to a KEDA.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_ADDRESS: Final = "127.0.0.1:9090"
PARAMETERS_HEADER: Final = ("PARAMETER", "FROM", "DEFAULT", "WHAT")


@app.command("check")
def check_command(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="Documents of YAML or JSON; - reads standard input.")],
    offline: Annotated[bool, typer.Option("--offline", help="Read no trigger, and ask no platform.")] = False,
    namespace: Namespace = None,
    as_json_: AsJson = False,
) -> None:
    """Judge ScaledObjects and ScaledJobs as the platform would, and read each of their triggers once."""
    session: Session = context.obj
    documents = read_documents(file)
    reports = asyncio.run(_check(session, documents, namespace_of(context, namespace), offline=offline))
    if not reports:
        raise UsageProblem(f"{file} has no ScaledObject or ScaledJob in it")
    if as_json_:
        print_json([as_json(report) for report in reports])
    else:
        for report in reports:
            print_text("\n".join(lines_of(report)) + "\n")
    if any(report.is_wrong for report in reports):
        raise typer.Exit(1)


async def _check(session: Session, documents: Sequence[Json], namespace: str, *, offline: bool) -> list[ObjectReport]:
    clock = SystemClock()
    running = session.kubeconfig is not None or session.data_dir.running() is not None
    if offline or not running:
        if not offline:
            note("no platform is running: what documents refer to is looked for in the file alone")
        return await Checker(clock, namespace, reads=not offline).check(documents)
    from core.clients.kubernetes import KubernetesClient  # here: only this needs one

    async with KubernetesClient(session.connection()) as client:
        return await Checker(clock, namespace, _beside(client)).check(documents)


def _beside(client: KubernetesClient) -> Beside:
    async def find(kind: Kind[Any], key: ObjectKey) -> Json:
        return await client.get(kind, key.name, key.namespace)

    return find


def read_documents(file: str) -> list[Json]:
    """Every object in it; those of a List, too. UsageProblem."""
    text = sys.stdin.read() if file == "-" else Path(file).read_text()
    try:
        found = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise UsageProblem(f"{file} is not YAML: {_problem(error)}") from None
    documents: list[Json] = []
    for each in found:
        if not isinstance(each, dict):
            raise UsageProblem(f"{file} has a document that is no object")
        documents += each.get("items") or () if each.get("kind") == "List" else [each]
    return documents


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong and where, without the lines around it: a Secret may stand there."""
    mark, said = getattr(error, "problem_mark", None), getattr(error, "problem", None) or type(error).__name__
    return f"{said}, line {mark.line + 1}, column {mark.column + 1}" if mark is not None else str(said)


def lines_of(report: ObjectReport) -> list[str]:
    """What a person reads of one object."""
    lines = [f"{report.kind} {report.key}"]
    lines += [f"  error: {error}" for error in report.errors]
    lines += [f"  warning: {warning}" for warning in report.warnings]
    for trigger in report.triggers:
        lines.append(f"  {trigger.path} {trigger.type}")
        lines += [f"    error: {error}" for error in trigger.errors]
        if trigger.note:
            lines.append(f"    {trigger.note}")
        lines += [f"    {_metric_line(metric)}" for metric in trigger.metrics]
    if report.replicas is not None:
        lines.append(f"  from none it would go to {report.replicas} replicas (of {report.least} to {report.most})")
    return lines


def _metric_line(metric: MetricReport) -> str:
    active = {True: "active", False: "not active", None: "activity unknown"}[metric.active]
    replicas = "unknown" if metric.replicas is None else f"{metric.replicas} replicas"
    said = f" ({metric.note})" if metric.note else ""
    return f"{metric.name}: {metric.value:g}, {metric.metric_type} {metric.target:g}, {active}: {replicas}{said}"


@app.command("list")
def list_command(
    type_: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="All that one takes.")] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", hidden=True)] = False,
    as_json_: AsJson = False,
) -> None:
    """List the types of triggers, or the parameters of one."""
    if as_markdown:
        print_text(markdown(all_definitions()))
    elif type_ is None:
        _list_types(as_json=as_json_)
    else:
        _list_parameters(type_, definition_of(type_), as_json=as_json_)


def all_definitions() -> dict[str, AnyDefinition]:
    return {type_: definition_of(type_) for type_ in sorted(SCALERS)}


def _list_types(*, as_json: bool) -> None:
    definitions = all_definitions()
    if as_json:
        print_json([{"type": t, "summary": d.summary, "extra": d.extra} for t, d in definitions.items()])
        return
    rows = [(t, f"pilotlight[{d.extra}]" if d.extra else "", d.summary) for t, d in definitions.items()]
    print_table(("TYPE", "NEEDS", "COUNTS"), rows)


def _list_parameters(type_: str, definition: AnyDefinition, *, as_json: bool) -> None:
    rows = rows_of(definition.parameters)
    if as_json:
        parameters = [
            {"name": row.name, "from": row.places, "required": row.required, "default": row.default, "help": row.help}
            for row in rows
        ]
        print_json({"type": type_, "summary": definition.summary, "parameters": parameters})
        return
    say(f"{type_}: {definition.summary}")
    if definition.extra:
        say(f"Its client comes with: pip install 'pilotlight[{definition.extra}]'")
    print_table(PARAMETERS_HEADER, map(_cells, rows))


def _cells(row: Row) -> tuple[str, ...]:
    words = f" One of {', '.join(row.allowed)}." if row.allowed else ""
    return row.name, ", ".join(row.places), "required" if row.required else row.default, row.help + words


@app.command("serve")
def serve_command(
    context: typer.Context,
    address: Annotated[str, typer.Option(help="HOST:PORT to listen on.")] = DEFAULT_ADDRESS,
    tls_certificate: Annotated[Path | None, typer.Option(help="Our certificate (PEM): speak TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    tls_client_ca: Annotated[Path | None, typer.Option(help="Authority (PEM) of the clients that are let in.")] = None,
    secrets: Annotated[
        Path | None, typer.Option(help="Folder of folders of files: credentials that metadata may name.")
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between looks while a KEDA listens.")] = 1.0,
) -> None:
    """Serve our scalers over KEDA's gRPC protocol, as an external scaler for KEDAs elsewhere."""
    if (tls_certificate is None) is not (tls_key is None) or (tls_client_ca is not None and tls_key is None):
        raise UsageProblem("--tls-certificate and --tls-key belong together, and --tls-client-ca needs both")
    asyncio.run(_serve(address, (tls_certificate, tls_key, tls_client_ca), secrets, interval))


async def _serve(
    address: str, tls: tuple[Path | None, Path | None, Path | None], secrets: Path | None, interval_s: float
) -> None:
    module = await load_client("core.clients.external_scaler_server", "external scalers", "external")
    certificate, key, client_ca = (None if path is None else path.read_text() for path in tls)
    terms: ServerTls | None = None
    if certificate is not None:
        terms = module.ServerTls(certificate, key, client_ca)
    clock = SystemClock()
    world = World(clock, MemoryStore(KINDS, clock), StatisticBus(), Pools())
    service = ScalerService(world, secrets, interval_s)
    host = address.rpartition(":")[0]

    def started(port: int) -> None:
        say(f"serving {len(SCALERS)} types of triggers on {host}:{port}{' with TLS' if terms else ''}")

    with suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(service.run(lambda: None)),
                group.create_task(module.serve(service, address, terms, started)),
            ]
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, lambda: [task.cancel() for task in reversed(tasks)])
