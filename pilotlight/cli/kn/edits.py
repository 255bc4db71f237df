"""What each flag of `service create|update|apply` does to a Service document, in place. No I/O.

Each edit takes the document and the flag's value. A trailing `-` on a name removes it, as in kn. ValueError names the
flag and what it expects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from core.resources.autoscaling_annotations import GROUP as AUTOSCALING
from core.resources.meta import Json
from core.resources.serving_labels import CLUSTER_LOCAL, VISIBILITY_LABEL

USER_IMAGE = "client.knative.dev/user-image"
STRICT_SECURITY_CONTEXT: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SOURCES = {"cm": "configMap", "config-map": "configMap", "secret": "secret", "sc": "secret"}


def template(service: Json) -> Json:
    found: Json = service.setdefault("spec", {}).setdefault("template", {})
    return found


def pod_spec(service: Json) -> Json:
    found: Json = template(service).setdefault("spec", {})
    return found


def container(service: Json) -> Json:
    """The serving container: the one with ports, else the first."""
    containers = pod_spec(service).setdefault("containers", [])
    if not containers:
        containers.append({})
    serving: Json = next((entry for entry in containers if entry.get("ports")), containers[0])
    return serving


def set_or_remove(mapping: Json, pairs: Iterable[str], flag: str) -> None:
    """`NAME=value` sets, `NAME-` removes."""
    for name, value in split_pairs(pairs, flag):
        if value is None:
            mapping.pop(name, None)
        else:
            mapping[name] = value


def split_pairs(pairs: Iterable[str], flag: str) -> Iterator[tuple[str, str | None]]:
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if separator and name:
            yield name, value
        elif pair.endswith("-") and len(pair) > 1:
            yield pair[:-1], None
        else:
            raise ValueError(f"{flag} {pair!r}: expected NAME=value, or NAME- to remove it")


def edit_image(service: Json, value: str) -> None:
    container(service)["image"] = value
    annotations = template(service).get("metadata", {}).get("annotations", {})
    annotations.pop(USER_IMAGE, None)


def edit_env(service: Json, pairs: Sequence[str]) -> None:
    for name, value in split_pairs(pairs, "--env"):
        _put_env(service, name, None if value is None else {"name": name, "value": value})


def edit_env_file(service: Json, lines: Sequence[str]) -> None:
    """The lines of the file; empty ones and comments are skipped."""
    edit_env(service, [line for raw in lines if (line := raw.strip()) and not line.startswith("#")])


def edit_env_value_from(service: Json, pairs: Sequence[str]) -> None:
    for name, value in split_pairs(pairs, "--env-value-from"):
        if value is None:
            _put_env(service, name, None)
            continue
        kind, _, rest = value.partition(":")
        reference, _, key = rest.partition(":")
        if kind not in SOURCES or not reference or not key:
            raise ValueError(
                f"--env-value-from {name}={value!r}: expected NAME=cm:OBJECT:KEY or NAME=secret:OBJECT:KEY"
            )
        _put_env(
            service, name, {"name": name, "valueFrom": {f"{SOURCES[kind]}KeyRef": {"name": reference, "key": key}}}
        )


def _put_env(service: Json, name: str, entry: Json | None) -> None:
    kept = [existing for existing in container(service).get("env", []) if existing["name"] != name]
    assign(container(service), "env", kept if entry is None else [*kept, entry])


def edit_env_from(service: Json, references: Sequence[str]) -> None:
    current = list(container(service).get("envFrom", []))
    for reference in references:
        removing = reference.endswith("-")
        kind, name = source_of(reference.removesuffix("-"), "--env-from")
        entry = {f"{kind}Ref": {"name": name}}
        current = [existing for existing in current if existing != entry]
        if not removing:
            current.append(entry)
    assign(container(service), "envFrom", current)


def edit_port(service: Json, value: str) -> None:
    name, _, number = value.rpartition(":")
    if not number.isdigit() or name not in ("", "h2c", "http1"):
        raise ValueError(f"--port {value!r}: expected NUMBER or h2c:NUMBER")
    port: Json = {"containerPort": int(number)}
    container(service)["ports"] = [{**port, "name": name} if name else port]


def edit_resources(kind: str, flag: str) -> Any:
    """The edit of `--request` or `--limit`: `cpu=500m,memory=64Mi`, repeatable; `cpu-` removes."""

    def edit(service: Json, values: Sequence[str]) -> None:
        pairs = [pair for value in values for pair in value.split(",")]
        resources = container(service).setdefault("resources", {})
        set_or_remove(resources.setdefault(kind, {}), pairs, flag)

    return edit


def edit_annotation(key: str) -> Any:
    """The edit of a flag that sets one annotation of the revision."""

    def edit(service: Json, value: object) -> None:
        template_annotations(service)[key] = str(value)

    return edit


def template_annotations(service: Json) -> Json:
    """The revision template's."""
    found: Json = template(service).setdefault("metadata", {}).setdefault("annotations", {})
    return found


def edit_scale(service: Json, value: str) -> None:
    """`N`, `a..b`, `a..`, `..b`."""
    low, dots, high = value.partition("..")
    if not dots:
        high = low
    if not all(part == "" or part.isdigit() for part in (low, high)) or not (low or high):
        raise ValueError(f"--scale {value!r}: expected N, MIN..MAX, MIN.. or ..MAX")
    if low:
        template_annotations(service)[f"{AUTOSCALING}/min-scale"] = low
    if high:
        template_annotations(service)[f"{AUTOSCALING}/max-scale"] = high


def edit_metadata(field: str, flag: str, *, on_service: bool, on_revision: bool) -> Any:
    """The edit of a flag that sets labels or annotations of the Service, the revision template, or both."""

    def edit(service: Json, pairs: Sequence[str]) -> None:
        if on_service:
            set_or_remove(service["metadata"].setdefault(field, {}), pairs, flag)
        if on_revision:
            set_or_remove(template(service).setdefault("metadata", {}).setdefault(field, {}), pairs, flag)

    return edit


def edit_annotations(service: Json, pairs: Sequence[str]) -> None:
    """`--annotation`: autoscaling ones go to the revision alone, where Knative reads them."""
    for_revision = [pair for pair in pairs if pair.startswith(f"{AUTOSCALING}/")]
    for_both = [pair for pair in pairs if pair not in for_revision]
    edit_metadata("annotations", "--annotation", on_service=False, on_revision=True)(service, for_revision)
    edit_metadata("annotations", "--annotation", on_service=True, on_revision=True)(service, for_both)


def edit_cluster_local(service: Json, value: bool) -> None:
    labels = service["metadata"].setdefault("labels", {})
    if value:
        labels[VISIBILITY_LABEL] = CLUSTER_LOCAL
    else:
        labels.pop(VISIBILITY_LABEL, None)


def edit_probe(name: str, flag: str) -> Any:
    """The edit of `--probe-readiness` or `--probe-liveness`; the handler is replaced, the probe's options stay."""

    def edit(service: Json, value: str) -> None:
        options = {
            key: kept
            for key, kept in container(service).get(name, {}).items()
            if key not in ("httpGet", "tcpSocket", "exec", "grpc")
        }
        container(service)[name] = {**_handler(value, flag), **options}

    return edit


def _handler(value: str, flag: str) -> Json:
    kind, _, rest = value.partition(":")
    parts = rest.split(":")
    numbered = len(parts) < 2 or parts[1] == "" or parts[1].isdigit()
    if kind in ("http", "https") and len(parts) == 3 and numbered:
        host, port, path = parts
        action: Json = {"port": int(port or 0), "path": path or "/"}
        if host:
            action["host"] = host
        return {"httpGet": {**action, "scheme": "HTTPS"} if kind == "https" else action}
    if kind == "tcp" and len(parts) == 2 and numbered:
        host, port = parts
        return {"tcpSocket": {"port": int(port or 0), **({"host": host} if host else {})}}
    if kind == "exec" and rest:
        return {"exec": {"command": rest.split(",")}}
    if kind == "grpc" and parts[0].isdigit():
        return {"grpc": {"port": int(parts[0]), **({"service": parts[1]} if len(parts) > 1 else {})}}
    raise ValueError(f"{flag} {value!r}: expected http:HOST:PORT:PATH, tcp:HOST:PORT, exec:COMMAND[,ARG] or grpc:PORT")


_PROBE_OPTIONS = {
    "initialdelay": "initialDelaySeconds",
    "timeout": "timeoutSeconds",
    "period": "periodSeconds",
    "successthreshold": "successThreshold",
    "failurethreshold": "failureThreshold",
}


def edit_probe_options(name: str, flag: str) -> Any:
    def edit(service: Json, value: str) -> None:
        probe = container(service).setdefault(name, {})
        for key, number in split_pairs(value.split(","), flag):
            field = _PROBE_OPTIONS.get(key.lower())
            if field is None or not (number or "").isdigit():
                raise ValueError(f"{flag} {key}: expected NAME=NUMBER with NAME one of {', '.join(_PROBE_OPTIONS)}")
            probe[field] = int(number or 0)

    return edit


def edit_field(flag: str, *path: str) -> Any:
    """The edit of a flag that sets one field of the pod spec; an empty text clears it."""

    def edit(service: Json, value: object) -> None:
        parent = pod_spec(service)
        for part in path[:-1]:
            parent = parent.setdefault(part, {})
        if value == "":
            parent.pop(path[-1], None)
        else:
            parent[path[-1]] = value

    return edit


def edit_container_field(*path: str) -> Any:
    def edit(service: Json, value: object) -> None:
        parent = container(service)
        for part in path[:-1]:
            parent = parent.setdefault(part, {})
        parent[path[-1]] = value

    return edit


def edit_pull_secret(service: Json, value: str) -> None:
    assign(pod_spec(service), "imagePullSecrets", [{"name": value}] if value else [])


def edit_security_context(service: Json, value: str) -> None:
    if value not in ("none", "strict"):
        raise ValueError(f"--security-context {value!r}: expected none or strict")
    if value == "strict":
        container(service)["securityContext"] = dict(STRICT_SECURITY_CONTEXT)
    else:
        container(service).pop("securityContext", None)


def edit_containers(service: Json, containers: Sequence[Json]) -> None:
    """More containers beside the serving one."""
    first = container(service)
    pod_spec(service)["containers"] = [first, *(dict(entry) for entry in containers)]


def source_of(reference: str, flag: str) -> tuple[str, str]:
    """`cm:NAME` or `secret:NAME` → the document's word for that, and the name."""
    kind, _, name = reference.partition(":")
    if kind not in SOURCES or not name:
        raise ValueError(f"{flag} {reference!r}: expected cm:NAME or secret:NAME")
    return SOURCES[kind], name


def refuse_profile(service: Json, value: str) -> None:
    raise ValueError(
        f"--profile {value}: profiles are sets of annotations for a service mesh, and there is none on one machine; "
        "give the annotations you need with --annotation"
    )


def edit_image_lock(service: Json, revision: Json) -> None:
    """`--lock-to-digest`: the image as that revision resolved it. The name asked for stays in an annotation."""
    serving, ran = container(service), container({"spec": {"template": {"spec": revision["spec"]}}})
    statuses = (revision.get("status") or {}).get("containerStatuses") or ()
    digest = next((entry.get("imageDigest") for entry in statuses if entry["name"] == ran.get("name")), None)
    if digest and "@sha256:" in digest and not digest.startswith("dir:") and serving.get("image") == ran.get("image"):
        template_annotations(service).setdefault(USER_IMAGE, serving["image"])
        serving["image"] = digest


def assign(parent: Json, field: str, entries: list[Any]) -> None:
    """An empty list leaves no field behind."""
    if entries:
        parent[field] = entries
    else:
        parent.pop(field, None)
