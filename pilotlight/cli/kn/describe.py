"""What `describe` and `list` say of a Service, Revision, Route or DomainMapping: objects in, lines out. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from core.resources.meta import Json

SERVICE_HEADER = ("NAME", "URL", "LATEST", "AGE", "CONDITIONS", "READY", "REASON")
REVISION_HEADER = ("NAME", "SERVICE", "TRAFFIC", "TAGS", "GENERATION", "AGE", "CONDITIONS", "READY", "REASON")
ROUTE_HEADER = ("NAME", "URL", "AGE", "READY")
DOMAIN_HEADER = ("NAME", "URL", "AGE", "READY", "KSVC")
LATEST_NOTE = "@latest"


def age(created: str | None, now: datetime) -> str:
    """As kubectl prints it: 5s, 3m, 2h, 4d."""
    if not created:
        return ""
    seconds = max(0, int((now - datetime.fromisoformat(created)).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def conditions(obj: Json) -> list[Json]:
    return list((obj.get("status") or {}).get("conditions") or ())


def ready(obj: Json) -> Json:
    return next((entry for entry in conditions(obj) if entry["type"] == "Ready"), {})


def _ok(obj: Json) -> str:
    found = conditions(obj)
    return f"{sum(entry['status'] == 'True' for entry in found)} OK / {len(found)}"


def service_row(service: Json, now: datetime) -> Sequence[str]:
    status = service.get("status") or {}
    state = ready(service)
    return (
        service["metadata"]["name"],
        status.get("url") or "",
        status.get("latestReadyRevisionName") or "",
        age(service["metadata"].get("creationTimestamp"), now),
        _ok(service),
        state.get("status", "Unknown"),
        state.get("reason") or "",
    )


def revision_row(revision: Json, service: Json | None, now: datetime) -> Sequence[str]:
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
        age(metadata.get("creationTimestamp"), now),
        _ok(revision),
        state.get("status", "Unknown"),
        state.get("reason") or "",
    )


def route_row(route: Json, now: datetime) -> Sequence[str]:
    return (
        route["metadata"]["name"],
        (route.get("status") or {}).get("url") or "",
        age(route["metadata"].get("creationTimestamp"), now),
        ready(route).get("status", "Unknown"),
    )


def domain_row(domain: Json, now: datetime) -> Sequence[str]:
    reference = domain["spec"]["ref"]
    return (
        domain["metadata"]["name"],
        (domain.get("status") or {}).get("url") or "",
        age(domain["metadata"].get("creationTimestamp"), now),
        ready(domain).get("status", "Unknown"),
        reference["name"] if reference["kind"] == "Service" else f"{reference['kind']}:{reference['name']}",
    )


def describe_service(service: Json, now: datetime) -> Iterator[str]:
    status = service.get("status") or {}
    yield from _head(service, now)
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
    yield from _condition_lines(service, now)


def describe_revision(revision: Json, now: datetime) -> Iterator[str]:
    yield from _head(revision, now)
    status = revision.get("status") or {}
    spec = revision["spec"]
    for container in spec["containers"]:
        yield f"Image:      {container.get('image') or ''}"
        for key, label in (("command", "Command:"), ("args", "Arguments:")):
            if container.get(key):
                yield f"{label:<11} {' '.join(container[key])}"
        if container.get("env"):
            yield f"Env:        {', '.join(entry['name'] for entry in container['env'])}"
    yield f"Timeout:    {spec.get('timeoutSeconds')} s"
    yield f"Replicas:   {status.get('actualReplicas') or 0} of {status.get('desiredReplicas') or 0}"
    yield ""
    yield from _condition_lines(revision, now)


def describe_plain(obj: Json, now: datetime) -> Iterator[str]:
    """A Route or a DomainMapping."""
    yield from _head(obj, now)
    yield f"URL:        {(obj.get('status') or {}).get('url') or ''}"
    if reference := obj.get("spec", {}).get("ref"):
        yield f"Reference:  {reference['kind']} {reference.get('namespace', '')}/{reference['name']}"
    for target in (obj.get("status") or {}).get("traffic") or ():
        share = f"{target.get('percent') or 0:>3}%"
        yield f"Traffic:    {share}  {target.get('revisionName')} {target.get('tag') or ''}".rstrip()
    yield ""
    yield from _condition_lines(obj, now)


def _target_name(target: Json, status: Json) -> str:
    name = str(target.get("revisionName") or status.get("latestReadyRevisionName") or "")
    return f"{LATEST_NOTE} ({name})" if target.get("latestRevision") else name


def _head(obj: Json, now: datetime) -> Iterator[str]:
    metadata = obj["metadata"]
    yield f"Name:       {metadata['name']}"
    if metadata.get("namespace"):
        yield f"Namespace:  {metadata['namespace']}"
    yield f"Age:        {age(metadata.get('creationTimestamp'), now)}"


def _condition_lines(obj: Json, now: datetime) -> Iterator[str]:
    yield "Conditions:"
    yield "  OK  TYPE                      AGE    REASON"
    marks = {"True": "++", "False": "!!", "Unknown": "??"}
    for entry in conditions(obj):
        since = age(entry.get("lastTransitionTime"), now)
        reason = entry.get("reason") or ""
        message = f": {entry['message']}" if entry.get("message") else ""
        yield f"  {marks[entry['status']]}  {entry['type']:<25} {since:<6} {reason}{message}".rstrip()
