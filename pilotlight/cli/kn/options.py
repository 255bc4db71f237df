"""The flags of `service create|update|apply`, each declared once: name, type, help, and its edit of the document.

`with_flags` gives a command function those of any such table: the function gets one mapping from flag to value, holding
only what was typed, and `apply_flags` makes the edits. Eventing's kinds have tables of their own.
"""

from __future__ import annotations

import keyword
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from core.resources.autoscaling_annotations import GROUP as AUTOSCALING
from core.resources.meta import Json
from pilotlight.cli.expansion import Command, expand, option
from pilotlight.cli.kn import edits, scheduling, volume_edits

Edit = Callable[[Json, Any], None]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. `read` turns what was typed (a file's name, say) into what the edit takes."""

    name: str
    type: Any
    help: str
    edit: Edit
    short: str | None = None
    off: str | None = None  # the flag that says no
    read: Callable[[Any], Any] | None = None
    hidden: bool = False

    @property
    def parameter(self) -> str:
        name = self.name.removeprefix("--").replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def declarations(self) -> list[str]:
        spelled = f"{self.name}/{self.off}" if self.off else self.name
        return [spelled, *([self.short] if self.short else [])]


def _scaling(name: str, kind: Any, text: str, key: str) -> Flag:
    return Flag(name, kind, text, edits.edit_annotation(f"{AUTOSCALING}/{key}"))


def _former(name: str, flag: Flag) -> Flag:
    """A name that kn still takes and no longer shows."""
    return replace(flag, name=name, hidden=True, short=None)


def _metadata(name: str, text: str, where: str, field: str, short: str | None = None) -> Flag:
    edit = edits.edit_metadata(field, name, on_service=where != "revision", on_revision=where != "service")
    return Flag(name, list[str], text, edit, short)


def read_text(path: Path) -> str:
    """A file, or standard input for `-`."""
    return sys.stdin.read() if str(path) == "-" else path.read_text()


def _read_lines(path: Path) -> list[str]:
    return read_text(path).splitlines()


def _read_containers(path: Path) -> list[Json]:
    try:
        document = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise ValueError(f"--containers {path}: {error}") from error
    found = document.get("containers") if isinstance(document, dict) else document
    if not isinstance(found, list):
        raise ValueError(f"--containers {path}: expected a list under `containers`")
    return found


_FLAGS: Sequence[Flag] = (
    Flag("--image", str, "Image to run; dir:/path is a folder with a Python function.", edits.edit_image),
    Flag("--env-file", Path, "File with a NAME=value on each line.", edits.edit_env_file, read=_read_lines),
    Flag("--env", list[str], "NAME=value, or NAME- to unset.", edits.edit_env, "-e"),
    Flag("--env-value-from", list[str], "NAME=cm:OBJECT:KEY or secret:OBJECT:KEY.", edits.edit_env_value_from),
    Flag("--env-from", list[str], "All of cm:NAME or secret:NAME; a trailing - unsets.", edits.edit_env_from),
    Flag("--port", str, "Port the application listens on: NUMBER or h2c:NUMBER.", edits.edit_port, "-p"),
    Flag("--cmd", list[str], "Command instead of the image's own; repeatable.", edits.edit_container_field("command")),
    Flag("--arg", list[str], "Argument of the command.", edits.edit_container_field("args")),
    Flag("--runtime", str, "container, python or process.", edits.edit_field("--runtime", "runtimeClassName")),
    Flag(
        "--concurrency-limit",
        int,
        "Most requests at once per replica.",
        edits.edit_field("--concurrency-limit", "containerConcurrency"),
    ),
    Flag("--timeout", int, "Seconds that one request may take.", edits.edit_field("--timeout", "timeoutSeconds")),
    Flag("--scale", str, "N, MIN..MAX, MIN.. or ..MAX replicas.", edits.edit_scale),
    _scaling("--scale-min", int, "Fewest replicas.", "min-scale"),
    _scaling("--scale-max", int, "Most replicas.", "max-scale"),
    _scaling("--scale-init", int, "Replicas to start with.", "initial-scale"),
    _scaling("--scale-activation", int, "Replicas to start from zero.", "activation-scale"),
    _scaling("--scale-target", int, "Value of the metric to aim for per replica.", "target"),
    _scaling("--scale-metric", str, "concurrency or rps.", "metric"),
    _scaling("--scale-utilization", int, "Percentage of the target to aim for.", "target-utilization-percentage"),
    _scaling("--scale-window", str, "How far back decisions look, as 60s.", "window"),
    Flag("--request", list[str], "cpu=250m,memory=64Mi.", edits.edit_resources("requests", "--request")),
    Flag("--limit", list[str], "cpu=1,memory=1Gi.", edits.edit_resources("limits", "--limit")),
    Flag(
        "--probe-readiness",
        str,
        "http:HOST:PORT:PATH, tcp:HOST:PORT, exec:COMMAND or grpc:PORT.",
        edits.edit_probe("readinessProbe", "--probe-readiness"),
    ),
    Flag(
        "--probe-readiness-opts",
        str,
        "initialdelay=,timeout=,period=,successthreshold=,failurethreshold=",
        edits.edit_probe_options("readinessProbe", "--probe-readiness-opts"),
    ),
    Flag("--probe-liveness", str, "As --probe-readiness.", edits.edit_probe("livenessProbe", "--probe-liveness")),
    Flag(
        "--probe-liveness-opts",
        str,
        "As --probe-readiness-opts.",
        edits.edit_probe_options("livenessProbe", "--probe-liveness-opts"),
    ),
    Flag("--volume", list[str], "NAME=cm:X, secret:X, ed:… or pvc:X; NAME- removes.", volume_edits.edit_volumes),
    Flag("--mount", list[str], "/path=cm:X, secret:X or VOLUME; /path- unmounts.", volume_edits.edit_mounts),
    Flag(
        "--cluster-local",
        bool,
        "Reachable by other functions only.",
        edits.edit_cluster_local,
        off="--no-cluster-local",
    ),
    Flag("--annotation", list[str], "name=value; name- to unset.", edits.edit_annotations, "-a"),
    _metadata("--annotation-service", "On the Service alone.", "service", "annotations"),
    _metadata("--annotation-revision", "On the revision alone.", "revision", "annotations"),
    _metadata("--label", "name=value; name- to unset.", "both", "labels", "-l"),
    _metadata("--label-service", "On the Service alone.", "service", "labels"),
    _metadata("--label-revision", "On the revision alone.", "revision", "labels"),
    Flag(
        "--service-account",
        str,
        "Service account.",
        edits.edit_field("--service-account", "serviceAccountName"),
    ),
    Flag("--pull-policy", str, "Always, IfNotPresent or Never.", edits.edit_container_field("imagePullPolicy")),
    Flag("--pull-secret", str, "Secret with registry credentials; empty clears.", edits.edit_pull_secret),
    Flag("--user", int, "User id in the container.", edits.edit_container_field("securityContext", "runAsUser")),
    Flag("--security-context", str, "none or strict.", edits.edit_security_context),
    Flag("--node-selector", list[str], "Accepted, not honored on one machine.", scheduling.edit_node_selector),
    Flag("--toleration", list[str], "Accepted, not honored on one machine.", scheduling.edit_tolerations),
    Flag("--node-affinity", str, "Accepted, not honored on one machine.", scheduling.edit_node_affinity),
    Flag("--containers", Path, "File with more containers, or -.", edits.edit_containers, read=_read_containers),
    Flag("--profile", str, "Refused: profiles are annotations of a service mesh.", edits.refuse_profile, hidden=True),
)
_BY_NAME = {flag.name: flag for flag in _FLAGS}
SERVICE_FLAGS: Sequence[Flag] = (
    *_FLAGS,
    _former("--min-scale", _BY_NAME["--scale-min"]),
    _former("--max-scale", _BY_NAME["--scale-max"]),
    _former("--autoscale-window", _BY_NAME["--scale-window"]),
    _former("--concurrency-target", _BY_NAME["--scale-target"]),
    _former("--concurrency-utilization", _BY_NAME["--scale-utilization"]),
    _former("--extra-containers", _BY_NAME["--containers"]),
)


POD_FLAGS: Sequence[Flag] = tuple(
    _BY_NAME[name]
    for name in (
        *("--image", "--env-file", "--env", "--env-value-from", "--env-from", "--port", "--cmd", "--arg", "--request"),
        *("--limit", "--volume", "--mount", "--pull-policy", "--pull-secret", "--user", "--service-account"),
    )
)
"""Those that say what runs, for whatever has a template of Pods."""


def apply_flags(document: Json, values: Mapping[str, Any], flags: Sequence[Flag] = SERVICE_FLAGS) -> Json:
    """The document with every given flag's edit made, in the table's order."""
    for flag in flags:
        if flag.parameter in values:
            value = values[flag.parameter]
            flag.edit(document, flag.read(value) if flag.read else value)
    return document


def with_options(command: Command) -> Command:
    """Adds the flags of a Service."""
    return with_flags(command, SERVICE_FLAGS)


def with_flags(command: Command, flags: Sequence[Flag]) -> Command:
    """Adds a table's flags to a command that has a parameter `flags: Mapping[str, Any]`: those that were typed."""
    options = [
        option(
            flag.parameter,
            Annotated[flag.type | None, typer.Option(*flag.declarations, help=flag.help, hidden=flag.hidden)],
            None,
        )
        for flag in flags
    ]
    return expand(command, "flags", options, lambda given: {k: v for k, v in given.items() if v not in (None, [])})
