"""`service export` and `service import`: a Service and its Revisions as a document, and back.

The document is kn's own (`Export` of client.knative.dev/v1alpha1), or, with `--mode replay`, a List of Services that
`kubectl apply` makes one Revision after another of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import deepcopy
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml

from core.clients.kubernetes import KubernetesClient
from core.errors import NotFound
from core.resources.meta import Json, owner_reference
from core.resources.serving import CONFIGURATION, REVISION, SERVICE
from core.resources.serving_labels import (
    CONFIGURATION_GENERATION_LABEL,
    CREATOR_ANNOTATION,
    GROUP,
    LAST_MODIFIER_ANNOTATION,
    ROUTING_STATE_MODIFIED_ANNOTATION,
    SERVICE_LABEL,
)
from pilotlight.cli.kn.formats import JSON_OUTPUT, AsJson, Chosen, Format, Output, emit
from pilotlight.cli.kn.objects import Namespace, TargetName, namespace_of
from pilotlight.cli.kn.options import read_text
from pilotlight.cli.output import note, print_json, say
from pilotlight.cli.session import Session, UsageProblem
from pilotlight.cli.waiting import Waiting, wait_ready, with_waiting

EXPORT = {"apiVersion": "client.knative.dev/v1alpha1", "kind": "Export"}
CONFIGURATION_TRIES = 50
CONFIGURATION_WAIT_S = 0.1
_LEFT_OUT = frozenset(
    {
        CREATOR_ANNOTATION,
        LAST_MODIFIER_ANNOTATION,
        ROUTING_STATE_MODIFIED_ANNOTATION,
        "kubectl.kubernetes.io/last-applied-configuration",
        "client.knative.dev/updateTimestamp",
        "serving.knative.dev/configurationUID",
        "serving.knative.dev/lastPinned",
        "serving.knative.dev/serviceUID",
    }
)


class Mode(StrEnum):
    EXPORT = "export"
    REPLAY = "replay"


def export_command(
    context: typer.Context,
    name: TargetName,
    with_revisions: Annotated[bool, typer.Option(help="With the revisions that get traffic.")] = False,
    mode: Annotated[Mode, typer.Option(help="For `service import`, or for `kubectl apply`.")] = Mode.EXPORT,
    output: Output = None,
    as_json: AsJson = False,
    namespace: Namespace = None,
) -> None:
    """Print a service, and its revisions, as a document to keep or to move."""
    chosen = JSON_OUTPUT if as_json else output or Chosen(Format.YAML)
    if chosen.format not in (Format.JSON, Format.YAML):
        raise UsageProblem(f"--output {chosen.format}: expected json or yaml")
    session: Session = context.obj
    scope = namespace_of(context, namespace)

    async def work(client: KubernetesClient) -> tuple[Json, list[Json]]:
        service = await client.get(SERVICE, name, scope)
        if not with_revisions:
            return service, []
        return service, (await client.list(REVISION, scope, labelSelector=f"{SERVICE_LABEL}={name}"))["items"]

    service, revisions = session.run(work)
    document = make_replay(service, revisions) if mode is Mode.REPLAY else make_export(service, revisions)
    emit(SERVICE, document, chosen)


@with_waiting
def import_command(
    context: typer.Context,
    filename: Annotated[Path, typer.Argument(help="What `service export` wrote; - reads standard input.")],
    namespace: Namespace = None,
    as_json: AsJson = False,
    *,
    waiting: Waiting,
) -> None:
    """Make the service, and the revisions, of an exported document."""
    session: Session = context.obj
    scope = namespace_of(context, namespace)
    service, revisions = read_export(filename)
    imported = session.run(lambda client: _import(client, scope, service, revisions, waiting))
    if as_json:
        print_json(imported)
        return
    say(f"Service '{imported['metadata']['name']}' imported in namespace '{scope}'.")


async def _import(
    client: KubernetesClient, namespace: str, service: Json, revisions: Sequence[Json], waiting: Waiting
) -> Json:
    service["metadata"]["namespace"] = namespace
    created = await client.create(SERVICE, service, fieldManager="pilotlight", fieldValidation="Strict")
    if revisions:
        owner = owner_reference(CONFIGURATION, await _configuration(client, created)).to_json()
        for revision in revisions:
            revision["metadata"] |= {"namespace": namespace, "ownerReferences": [owner]}
            await client.create(REVISION, revision, fieldManager="pilotlight", fieldValidation="Strict")
    return await wait_ready(client, SERVICE, created, waiting, note)


async def _configuration(client: KubernetesClient, service: Json) -> Json:
    metadata = service["metadata"]
    for _ in range(CONFIGURATION_TRIES):
        try:
            return await client.get(CONFIGURATION, metadata["name"], metadata["namespace"])
        except NotFound:
            await asyncio.sleep(CONFIGURATION_WAIT_S)
    return await client.get(CONFIGURATION, metadata["name"], metadata["namespace"])


def read_export(path: Path) -> tuple[Json, list[Json]]:
    """The Service and the Revisions of a document. UsageProblem where it is none that `export` writes."""
    try:
        document = yaml.safe_load(read_text(path))
    except (OSError, yaml.YAMLError) as error:
        raise UsageProblem(f"{path}: {error}") from error
    if not isinstance(document, dict) or any(document.get(key) != value for key, value in EXPORT.items()):
        raise UsageProblem(
            f"{path}: expected one {EXPORT['kind']} of {EXPORT['apiVersion']}, as `service export` writes"
        )
    spec = document.get("spec") or {}
    if not isinstance(spec.get("service"), dict) or not spec["service"].get("metadata", {}).get("name"):
        raise UsageProblem(f"{path}: spec.service has no metadata.name")
    return spec["service"], list(spec.get("revisions") or ())


def make_export(service: Json, revisions: Sequence[Json]) -> Json:
    """The Service, and apart from it the older Revisions that its traffic names."""
    older = [_document(revision, spec=revision["spec"]) for revision in _older(service, revisions)]
    return {**EXPORT, "spec": {"service": _latest(service, revisions), **({"revisions": older} if older else {})}}


def make_replay(service: Json, revisions: Sequence[Json]) -> Json:
    """A Service for each Revision, oldest first: applied one after another they make the same history."""
    if not revisions:
        return _latest(service, ())
    replayed = []
    for revision in _older(service, revisions):
        document = _document(revision, spec=revision["spec"])
        for field in ("labels", "annotations"):  # a template may not say what the platform notes on a Revision
            marks = document["metadata"].pop(field, {})
            if kept := {key: value for key, value in marks.items() if not key.startswith(f"{GROUP}/")}:
                document["metadata"][field] = kept
        template = {"metadata": document["metadata"], "spec": document["spec"]}
        replayed.append(_document(service, spec={"template": template}))
    return {"apiVersion": "v1", "kind": "List", "items": [*replayed, _latest(service, revisions)]}


def _latest(service: Json, revisions: Sequence[Json]) -> Json:
    """The Service without what the platform added. With Revisions, its template bears the name of the one it made."""
    spec = deepcopy(service["spec"])
    if revisions:
        metadata = spec["template"].setdefault("metadata", {})
        metadata["name"] = service["status"]["latestCreatedRevisionName"]
    else:
        spec.pop("traffic", None)
    return _document(service, spec=spec)


def _older(service: Json, revisions: Sequence[Json]) -> list[Json]:
    """The Revisions that traffic names, less the latest, by generation."""
    named = {target.get("revisionName") for target in service["spec"].get("traffic") or ()}
    named.discard(service["status"]["latestCreatedRevisionName"])
    chosen = [revision for revision in revisions if revision["metadata"]["name"] in named]
    return sorted(chosen, key=_generation)


def _generation(revision: Json) -> int:
    return int((revision["metadata"].get("labels") or {}).get(CONFIGURATION_GENERATION_LABEL, "0"))


def _document(obj: Json, spec: Json) -> Json:
    """What a user wrote of an object: its name, labels, annotations, and this spec."""
    metadata: Json = {"name": obj["metadata"]["name"]}
    for field in ("labels", "annotations"):
        kept = {key: value for key, value in (obj["metadata"].get(field) or {}).items() if key not in _LEFT_OUT}
        if kept:
            metadata[field] = kept
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata, "spec": spec}
