"""Service documents made from command-line options. Pure: what is made here is what `kubectl apply` would be given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.resources.autoscaling_annotations import GROUP as AUTOSCALING
from core.resources.meta import Json
from core.resources.serving import SERVICE

SOURCE_ANNOTATION = "pilotlight.dev/source-digest"


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """What `deploy` knows of a function. Exactly one of `source`, `image` and `command` says what to run."""

    name: str
    namespace: str = "default"
    source: Path | None = None
    image: str | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    concurrency_limit: int | None = None
    timeout_s: int | None = None
    scale_min: int | None = None
    scale_max: int | None = None
    idle_action: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    source_digest: str = ""  # makes a changed folder a changed template, and so a new revision


def make_service(options: FunctionOptions) -> Json:
    """The Service document. ValueError where the options contradict each other."""
    spec: Json = {"containers": [_container(options)]}
    if options.source is not None:
        spec["runtimeClassName"] = "python"
    elif options.command and options.image is None:
        spec["runtimeClassName"] = "process"
    if options.concurrency_limit is not None:
        spec["containerConcurrency"] = options.concurrency_limit
    if options.timeout_s is not None:
        spec["timeoutSeconds"] = options.timeout_s
    template: Json = {"spec": spec}
    if annotations := _annotations(options):
        template["metadata"] = {"annotations": annotations}
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": {"name": options.name, "namespace": options.namespace},
        "spec": {"template": template},
    }


def parse_pairs(pairs: Sequence[str], option: str) -> dict[str, str]:
    """`NAME=value` entries. ValueError names the one that is not."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ValueError(f"{option} {pair!r}: expected NAME=value")
        found[name] = value
    return found


def _container(options: FunctionOptions) -> Json:
    chosen = [name for name in ("source", "image") if getattr(options, name) is not None]
    if len(chosen) > 1:
        raise ValueError("--source and --image both say what to run: give one of them")
    if not chosen and not options.command:
        raise ValueError("say what to run: --source DIR (a Python folder), --image REFERENCE, or a command after `--`")
    container: Json = {"image": options.image or f"dir:{_folder(options.source)}"}
    if options.command:
        container["command"] = list(options.command)
        if options.image is None:
            container["workingDir"] = str(Path.cwd())
    if options.env:
        container["env"] = [{"name": name, "value": value} for name, value in options.env.items()]
    if options.port is not None:
        container["ports"] = [{"containerPort": options.port}]
    return container


def _folder(source: Path | None) -> Path:
    if source is None:
        return Path.cwd()
    folder = source.expanduser().absolute()
    if not folder.is_dir():
        raise ValueError(f"--source {source}: no such folder")
    return folder


def _annotations(options: FunctionOptions) -> dict[str, str]:
    annotations = dict(options.annotations)
    if options.source_digest:
        annotations[SOURCE_ANNOTATION] = hashlib.sha256(options.source_digest.encode()).hexdigest()[:16]
    if options.scale_min is not None:
        annotations[f"{AUTOSCALING}/min-scale"] = str(options.scale_min)
    if options.scale_max is not None:
        annotations[f"{AUTOSCALING}/max-scale"] = str(options.scale_max)
    if options.idle_action is not None:
        annotations["pilotlight.dev/idle-action"] = options.idle_action
    return annotations
