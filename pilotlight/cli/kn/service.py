"""`pilotlight service …`: kn's commands for Knative Services."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from core.clients.kubernetes import KubernetesClient
from core.errors import AlreadyExists
from core.resources.meta import Json
from core.resources.serving import REVISION, SERVICE
from core.resources.serving_labels import CREATOR_ANNOTATION, LAST_MODIFIER_ANNOTATION
from pilotlight.cli.functions import apply_service
from pilotlight.cli.kn.changing import WRITE, change_object
from pilotlight.cli.kn.describe import SERVICE_HEADER, describe_service, describe_template, service_row
from pilotlight.cli.kn.edits import edit_image_lock
from pilotlight.cli.kn.formats import AsJson
from pilotlight.cli.kn.objects import (
    Deleting,
    Namespace,
    TargetName,
    add_describe,
    add_list,
    delete_objects,
    namespace_of,
    with_deleting,
)
from pilotlight.cli.kn.options import apply_flags, read_text, with_options
from pilotlight.cli.kn.traffic import plan_traffic
from pilotlight.cli.kn.transfer import export_command, import_command
from pilotlight.cli.output import note, print_json, say
from pilotlight.cli.session import Session, UsageProblem
from pilotlight.cli.waiting import Waiting, wait_ready, with_waiting

app = typer.Typer(help="Manage Knative Services.", no_args_is_help=True)
add_list(app, SERVICE, SERVICE_HEADER, service_row)
add_describe(app, SERVICE, describe_service, more=describe_template)

Tags = Annotated[list[str] | None, typer.Option("--tag", help="REVISION=TAG or @latest=TAG.")]
LockToDigest = Annotated[
    bool,
    typer.Option("--lock-to-digest/--no-lock-to-digest", help="Keep the image that runs, whatever its tag says now."),
]
RevisionName = Annotated[
    str | None, typer.Option(help="Name of the new revision; {{.Service}}, {{.Generation}}, {{.Random 5}} work.")
]
File = Annotated[Path | None, typer.Option("--filename", "-f", help="A Service document to start from.")]
_CONSONANTS = "bcdfghjklmnpqrstvwxyz"


@app.command("create")
@with_waiting
@with_options
def create_command(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Name; may come from the file.")] = None,
    filename: File = None,
    revision_name: RevisionName = None,
    force: Annotated[bool, typer.Option(help="Replace a service of that name.")] = False,
    target: Annotated[Path | None, typer.Option(help="Write the document to this folder or file instead.")] = None,
    tag: Tags = None,
    lock_to_digest: LockToDigest = False,
    namespace: Namespace = None,
    as_json: AsJson = False,
    *,
    waiting: Waiting,
    flags: Mapping[str, Any],
) -> None:
    """Create a service."""
    session: Session = context.obj
    document = start_document(name, namespace_of(context, namespace), filename)
    apply_flags(document, flags)
    _name_revision(document, revision_name, generation=1)
    if tag:
        document["spec"]["traffic"] = plan_traffic(document["spec"].get("traffic") or (), (), tag)
    if target is not None:
        _write_document(document, target)
        return

    async def work(client: KubernetesClient) -> Json:
        try:
            created = await client.create(SERVICE, document, **WRITE)
        except AlreadyExists:
            if not force:
                raise
            metadata = document["metadata"]
            replaced = partial(_in_place_of, document)
            created = await change_object(client, SERVICE, metadata["name"], metadata["namespace"], replaced)
        return await wait_ready(client, SERVICE, created, waiting, note)

    _tell(session.run(work), "created", waiting, as_json=as_json)


@app.command("update")
@with_waiting
@with_options
def update_command(
    context: typer.Context,
    name: TargetName,
    revision_name: RevisionName = None,
    traffic: Annotated[list[str] | None, typer.Option(help="REVISION, TAG or @latest=PERCENT.")] = None,
    tag: Tags = None,
    untag: Annotated[list[str] | None, typer.Option(help="Tag to remove.")] = None,
    lock_to_digest: LockToDigest = False,
    namespace: Namespace = None,
    as_json: AsJson = False,
    *,
    waiting: Waiting,
    flags: Mapping[str, Any],
) -> None:
    """Change what is named; all else stays as it is."""
    session: Session = context.obj
    scope = namespace_of(context, namespace)

    def change(running: Json | None, service: Json) -> Json:
        before = deepcopy(service["spec"].get("template"))
        apply_flags(service, flags)
        if traffic or tag or untag:
            current = service["spec"].get("traffic") or ()
            service["spec"]["traffic"] = plan_traffic(current, traffic or (), tag or (), untag or ())
        if revision_name or service["spec"].get("template") != before:
            if running is not None:
                edit_image_lock(service, running)
            _name_revision(service, revision_name, generation=service["metadata"]["generation"] + 1)
        return service

    async def work(client: KubernetesClient) -> Json:
        locked = lock_to_digest and "image" not in flags
        running = await _running_revision(client, name, scope) if locked else None
        updated = await change_object(client, SERVICE, name, scope, partial(change, running))
        return await wait_ready(client, SERVICE, updated, waiting, note)

    _tell(session.run(work), "updated", waiting, as_json=as_json)


@app.command("apply")
@with_waiting
@with_options
def apply_command(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Name; may come from the file.")] = None,
    filename: File = None,
    revision_name: RevisionName = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
    *,
    waiting: Waiting,
    flags: Mapping[str, Any],
) -> None:
    """Create the service, or make it what these options say: all of them each time."""
    session: Session = context.obj
    document = start_document(name, namespace_of(context, namespace), filename)
    apply_flags(document, flags)
    _name_revision(document, revision_name, generation=1)
    service = session.run(lambda client: apply_service(client, document, waiting))
    _tell(service, "applied", waiting, as_json=as_json)


@app.command("delete")
@with_deleting
def delete_command(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Names.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of the namespace.")] = False,
    namespace: Namespace = None,
    *,
    deleting: Deleting,
) -> None:
    """Delete services and all that belongs to them."""
    session: Session = context.obj
    scope = namespace_of(context, namespace)
    chosen = list(names or ())
    if bool(chosen) == everything:
        raise UsageProblem("name the services to delete, or give --all")
    if everything:
        listing = session.run(lambda client: client.list(SERVICE, scope))
        chosen = [item["metadata"]["name"] for item in listing["items"]]
    delete_objects(session, SERVICE, scope, chosen, deleting)


@app.command("wait")
@with_waiting
def wait_command(
    context: typer.Context, name: TargetName, namespace: Namespace = None, as_json: AsJson = False, *, waiting: Waiting
) -> None:
    """Return when the service is Ready."""
    session: Session = context.obj

    async def work(client: KubernetesClient) -> Json:
        service = await client.get(SERVICE, name, namespace_of(context, namespace))
        return await wait_ready(client, SERVICE, service, waiting, note)

    _tell(session.run(work), "ready", waiting, as_json=as_json)


app.command("export")(export_command)
app.command("import")(import_command)


def start_document(name: str | None, namespace: str, filename: Path | None) -> Json:
    """The document to edit: from the file, or empty. UsageProblem where the two disagree or neither has a name."""
    document: Json = {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind, "metadata": {}}
    if filename is not None:
        try:
            loaded = yaml.safe_load(read_text(filename))
        except (OSError, yaml.YAMLError) as error:
            raise UsageProblem(f"--filename {filename}: {error}") from error
        if not isinstance(loaded, dict) or loaded.get("kind") != SERVICE.kind:
            raise UsageProblem(f"--filename {filename}: expected one Service document")
        document |= loaded
    metadata = document["metadata"]
    if name and metadata.get("name", name) != name:
        raise UsageProblem(f"the file is of service {metadata['name']}, the command of {name}")
    metadata["name"] = name or metadata.get("name")
    if not metadata["name"]:
        raise UsageProblem("give the service's name, or a file that has one")
    metadata.setdefault("namespace", namespace)
    return document


def expand_revision_name(text: str, service: str, generation: int, choose: Callable[[str], str]) -> str:
    """kn's template: {{.Service}}, {{.Generation}}, {{.Random N}} (N consonants)."""
    text = re.sub(r"\{\{\s*\.Service\s*\}\}", service, text)
    text = re.sub(r"\{\{\s*\.Generation\s*\}\}", str(generation), text)
    pattern = r"\{\{\s*\.Random\s+(\d+)\s*\}\}"
    text = re.sub(pattern, lambda match: "".join(choose(_CONSONANTS) for _ in range(int(match[1]))), text)
    return text if text.startswith(f"{service}-") else f"{service}-{text}"


def _name_revision(service: Json, revision_name: str | None, generation: int) -> None:
    """A template that changes may not keep the name of the revision it made before."""
    metadata = service.setdefault("spec", {}).setdefault("template", {}).setdefault("metadata", {})
    if revision_name:
        name = expand_revision_name(revision_name, service["metadata"]["name"], generation, random.choice)
        metadata["name"] = name
    elif generation > 1:
        metadata.pop("name", None)


def _in_place_of(document: Json, existing: Json) -> Json:
    """A replacement keeps who made the service: the API refuses another one."""
    metadata, old = document["metadata"], existing["metadata"]
    kept = {k: v for k, v in old.get("annotations", {}).items() if k in (CREATOR_ANNOTATION, LAST_MODIFIER_ANNOTATION)}
    annotations = {**metadata.get("annotations", {}), **kept}
    return {**document, "metadata": {**metadata, "resourceVersion": old["resourceVersion"], "annotations": annotations}}


async def _running_revision(client: KubernetesClient, name: str, namespace: str) -> Json | None:
    service = await client.get(SERVICE, name, namespace)
    latest = (service.get("status") or {}).get("latestReadyRevisionName")
    return await client.get(REVISION, latest, namespace) if latest else None


def _write_document(document: Json, target: Path) -> None:
    """GitOps: `<target>/<namespace>/ksvc/<name>.yaml`, or the file named."""
    metadata = document["metadata"]
    if target.suffix in (".yaml", ".yml", ".json"):
        path = target
    else:
        path = target / metadata["namespace"] / "ksvc" / f"{metadata['name']}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    say(f"wrote {path}")


def _tell(service: Json, verb: str, waiting: Waiting, *, as_json: bool) -> None:
    if as_json:
        print_json(service)
        return
    metadata = service["metadata"]
    say(f"Service '{metadata['name']}' {verb} in namespace '{metadata['namespace']}'.")
    if waiting.wanted:
        status = service["status"]
        say(f"Latest revision '{status.get('latestReadyRevisionName')}' is available at URL:\n{status.get('url')}")
