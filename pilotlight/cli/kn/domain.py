"""`pilotlight domain …`: kn's commands for DomainMappings."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clients.kubernetes import KubernetesClient
from core.resources.meta import Json
from core.resources.serving import DOMAIN_MAPPING
from pilotlight.cli.kn.describe import DOMAIN_HEADER, describe_plain, domain_row
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
from pilotlight.cli.output import note, print_json, say
from pilotlight.cli.session import Session, UsageProblem
from pilotlight.cli.waiting import Waiting, wait_ready

app = typer.Typer(help="Manage DomainMappings.", no_args_is_help=True)
add_list(app, DOMAIN_MAPPING, DOMAIN_HEADER, domain_row)
add_describe(app, DOMAIN_MAPPING, describe_plain)

Reference = Annotated[str, typer.Option("--ref", help="ksvc:NAME[:NAMESPACE], kroute:NAME, or a service's name.")]
Certificate = Annotated[str | None, typer.Option("--tls", help="Secret with the domain's certificate.")]
_KINDS = {
    "ksvc": ("serving.knative.dev/v1", "Service"),
    "kroute": ("serving.knative.dev/v1", "Route"),
    "svc": ("v1", "Service"),
}


@app.command("create")
def create_command(
    context: typer.Context,
    name: TargetName,
    ref: Reference,
    tls: Certificate = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Map a domain to a service or a route."""
    session: Session = context.obj
    scope = namespace_of(context, namespace)
    spec: Json = {"ref": parse_reference(ref, scope)}
    if tls:
        spec["tls"] = {"secretName": tls}
    document = {
        "apiVersion": DOMAIN_MAPPING.api_version,
        "kind": DOMAIN_MAPPING.kind,
        "metadata": {"name": name, "namespace": scope},
        "spec": spec,
    }

    async def work(client: KubernetesClient) -> Json:
        created = await client.create(DOMAIN_MAPPING, document, fieldManager="pilotlight")
        return await wait_ready(client, DOMAIN_MAPPING, created, Waiting(timeout_s=60.0), note)

    _tell(session.run(work), "created", as_json=as_json)


@app.command("update")
def update_command(
    context: typer.Context,
    name: TargetName,
    ref: Reference,
    tls: Certificate = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Map the domain to another service or route."""
    session: Session = context.obj
    scope = namespace_of(context, namespace)
    change: Json = {"spec": {"ref": parse_reference(ref, scope)}}
    if tls:
        change["spec"]["tls"] = {"secretName": tls}
    updated = session.run(lambda client: client.patch(DOMAIN_MAPPING, name, scope, change))
    _tell(updated, "updated", as_json=as_json)


@app.command("delete")
@with_deleting
def delete_command(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Domains.")],
    namespace: Namespace = None,
    *,
    deleting: Deleting,
) -> None:
    """Delete domain mappings."""
    session: Session = context.obj
    delete_objects(session, DOMAIN_MAPPING, namespace_of(context, namespace), names, deleting)


def parse_reference(text: str, namespace: str) -> Json:
    """`ksvc:NAME[:NAMESPACE]`, `kroute:…`, `svc:…`, or a Knative Service's bare name."""
    parts = text.split(":")
    if len(parts) == 1:
        parts = ["ksvc", *parts]
    if parts[0] not in _KINDS or len(parts) > 3 or not parts[1]:
        raise UsageProblem(f"--ref {text!r}: expected ksvc:NAME[:NAMESPACE] or kroute:NAME[:NAMESPACE]")
    api_version, kind = _KINDS[parts[0]]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": parts[1],
        "namespace": parts[2] if len(parts) == 3 else namespace,
    }


def _tell(mapping: Json, verb: str, *, as_json: bool) -> None:
    if as_json:
        print_json(mapping)
        return
    metadata = mapping["metadata"]
    say(f"Domain mapping '{metadata['name']}' {verb} in namespace '{metadata['namespace']}'.")
