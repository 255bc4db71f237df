"""What `describe` and `list` say of a Service, Revision, Route or DomainMapping: objects in, lines out. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.resources.ages import age_of
from core.resources.conditions import find_condition
from core.resources.meta import Json

SERVICE_HEADER = ("NAME", "URL", "LATEST", "AGE", "CONDITIONS", "READY", "REASON")
REVISION_HEADER = ("NAME", "SERVICE", "TRAFFIC", "TAGS", "GENERATION", "AGE", "CONDITIONS", "READY", "REASON")
ROUTE_HEADER = ("NAME", "URL", "AGE", "READY")
DOMAIN_HEADER = ("NAME", "URL", "AGE", "READY", "KSVC")
LATEST_NOTE = "@latest"


def conditions(obj: Json) -> list[Json]:
    return list((obj.get("status") or {}).get("conditions") or ())


def ready(obj: Json) -> Json:
    return find_condition(obj) or {}


def count_ok(obj: Json) -> str:
    found = conditions(obj)
    return f"{sum(entry['status'] == 'True' for entry in found)} OK / {len(found)}"


def service_row(service: Json, now: float) -> Sequence[str]:
    status = service.get("status") or {}
    state = ready(service)
    return (
        service["metadata"]["name"],
        status.get("url") or "",
        status.get("latestReadyRevisionName") or "",
        age_of(service["metadata"].get("creationTimestamp"), now),
        count_ok(service),
        state.get("status", "Unknown"),
        state.get("reason") or "",
    )


def revision_row(revision: Json, service: Json | None, now: float) -> Sequence[str]:
    metadata = revision["metadata"]
    labels = metadata.get("labels") or {}
    targets = [
        target
        for target in ((service or {}).get("status") or {}).get("traffic") or ()
        if target.get("revisionName") == metadata["name"]
    ]
    percent = sum(target.get("percent") or 0 for target in targets)
    state = ready(revision)
    return (
        metadata["name"],
        labels.get("serving.knative.dev/service", ""),
        f"{percent}%" if percent else "",
        ",".join(target["tag"] for target in targets if target.get("tag")),
        labels.get("serving.knative.dev/configurationGeneration", ""),
        age_of(metadata.get("creationTimestamp"), now),
        count_ok(revision),
        state.get("status", "Unknown"),
        state.get("reason") or "",
    )


def route_row(route: Json, now: float) -> Sequence[str]:
    return (
        route["metadata"]["name"],
        (route.get("status") or {}).get("url") or "",
        age_of(route["metadata"].get("creationTimestamp"), now),
        ready(route).get("status", "Unknown"),
    )


def domain_row(domain: Json, now: float) -> Sequence[str]:
    reference = domain["spec"]["ref"]
    return (
        domain["metadata"]["name"],
        (domain.get("status") or {}).get("url") or "",
        age_of(domain["metadata"].get("creationTimestamp"), now),
        ready(domain).get("status", "Unknown"),
        reference["name"] if reference["kind"] == "Service" else f"{reference['kind']}:{reference['name']}",
    )


def describe_service(service: Json, now: float) -> Iterator[str]:
    status = service.get("status") or {}
    yield from head_lines(service, now)
    yield f"URL:        {status.get('url') or ''}"
    if address := (status.get("address") or {}).get("url"):
        yield f"Address:    {address}"
    yield ""
    yield "Revisions:"
    for target in status.get("traffic") or ():
        yield f"  {target.get('percent') or 0:>3}%  {_target_name(target, status)}"
        if tag := target.get("tag"):
            yield f"        tag {tag}: {target.get('url') or ''}"
    yield ""
    yield from condition_lines(service, now)


def describe_metadata(obj: Json, now: float) -> Iterator[str]:
    """What `--verbose` adds to every kind."""
    for field in ("labels", "annotations"):
        if found := obj["metadata"].get(field):
            yield from ("", f"{field.capitalize()}:", *(f"  {key}: {found[key]}" for key in sorted(found)))


def describe_template(service: Json, now: float) -> Iterator[str]:
    """What `--verbose` adds to a Service: what its next Revision runs."""
    template = service["spec"]["template"]
    yield from ("", "Template:")
    for key, value in sorted((template.get("metadata") or {}).get("annotations", {}).items()):
        yield f"  {key}: {value}"
    yield from (f"  {line}" for line in _container_lines(template["spec"]))


def describe_revision(revision: Json, now: float) -> Iterator[str]:
    yield from head_lines(revision, now)
    status = revision.get("status") or {}
    yield from _container_lines(revision["spec"])
    yield f"Replicas:   {status.get('actualReplicas') or 0} of {status.get('desiredReplicas') or 0}"
    yield ""
    yield from condition_lines(revision, now)


def describe_plain(obj: Json, now: float) -> Iterator[str]:
    """A Route or a DomainMapping."""
    yield from head_lines(obj, now)
    yield f"URL:        {(obj.get('status') or {}).get('url') or ''}"
    if reference := obj.get("spec", {}).get("ref"):
        yield f"Reference:  {reference['kind']} {reference.get('namespace', '')}/{reference['name']}"
    for target in (obj.get("status") or {}).get("traffic") or ():
        share = f"{target.get('percent') or 0:>3}%"
        yield f"Traffic:    {share}  {target.get('revisionName')} {target.get('tag') or ''}".rstrip()
    yield ""
    yield from condition_lines(obj, now)


def _container_lines(spec: Json) -> Iterator[str]:
    for container in spec["containers"]:
        yield f"Image:      {container.get('image') or ''}"
        for key, label in (("command", "Command:"), ("args", "Arguments:")):
            if container.get(key):
                yield f"{label:<11} {' '.join(container[key])}"
        if container.get("env"):
            yield f"Env:        {', '.join(entry['name'] for entry in container['env'])}"
        for entry in container.get("envFrom") or ():
            source, reference = next((key, entry[key]) for key in ("configMapRef", "secretRef") if key in entry)
            yield f"EnvFrom:    {'cm' if source == 'configMapRef' else 'secret'}:{reference.get('name', '')}"
        for mount in container.get("volumeMounts") or ():
            yield f"Mount:      {mount['mountPath']} ({mount['name']})"
        for kind, amounts in (container.get("resources") or {}).items():
            if amounts:
                yield f"{kind.capitalize() + ':':<11} {', '.join(f'{key}={amounts[key]}' for key in sorted(amounts))}"
    if spec.get("containerConcurrency"):
        yield f"At a time:  {spec['containerConcurrency']} requests"
    yield f"Timeout:    {spec.get('timeoutSeconds')} s"


def _target_name(target: Json, status: Json) -> str:
    name = str(target.get("revisionName") or status.get("latestReadyRevisionName") or "")
    return f"{LATEST_NOTE} ({name})" if target.get("latestRevision") else name


def head_lines(obj: Json, now: float) -> Iterator[str]:
    metadata = obj["metadata"]
    yield f"Name:       {metadata['name']}"
    if metadata.get("namespace"):
        yield f"Namespace:  {metadata['namespace']}"
    yield f"Age:        {age_of(metadata.get('creationTimestamp'), now)}"


def condition_lines(obj: Json, now: float) -> Iterator[str]:
    yield "Conditions:"
    yield "  OK  TYPE                      AGE    REASON"
    marks = {"True": "++", "False": "!!", "Unknown": "??"}
    for entry in conditions(obj):
        since = age_of(entry.get("lastTransitionTime"), now)
        reason = entry.get("reason") or ""
        message = f": {entry['message']}" if entry.get("message") else ""
        yield f"  {marks[entry['status']]}  {entry['type']:<25} {since:<6} {reason}{message}".rstrip()
