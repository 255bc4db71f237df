"""What `--volume` and `--mount` of `service create|update|apply` do to a Service document, in place. No I/O.

As in `edits`, which has the other flags: ValueError names the flag and what it expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.resources.meta import Json
from pilotlight.cli.kn.edits import SOURCES, assign, container, pod_spec, source_of, split_pairs

_EMPTY_DIR, _CLAIM = ("ed", "emptyDir"), ("pvc", "persistentVolumeClaim")
_VOLUME_KINDS = (*SOURCES, *_EMPTY_DIR, *_CLAIM)


def edit_volumes(service: Json, pairs: Sequence[str]) -> None:
    for name, source in split_pairs(pairs, "--volume"):
        _put_volume(
            service, name, None if source is None else _volume_source(_read_source(source, "--volume"), "--volume")
        )


def edit_mounts(service: Json, pairs: Sequence[str]) -> None:
    """`/path=cm:NAME`, `secret:NAME`, `ed:NAME[:size=1Gi,type=Memory]`, `pvc:NAME`, or a volume's name; with `/SUBPATH`
    behind the name, and `:readOnly=true` behind all; `/path-` unmounts."""
    for path, source in split_pairs(pairs, "--mount"):
        mounts = [mount for mount in container(service).get("volumeMounts", []) if mount["mountPath"] != path]
        gone = [mount for mount in container(service).get("volumeMounts", []) if mount["mountPath"] == path]
        if source is None:
            for mount in gone:
                if mount["name"].startswith("generated-"):
                    _put_volume(service, mount["name"], None)
        else:
            mounts.append({"mountPath": path, **_mount_source(service, path, source)})
        assign(container(service), "volumeMounts", mounts)


def _mount_source(service: Json, path: str, source: str) -> Json:
    """What is mounted; a volume is made for a source that is none."""
    found = _read_source(source, "--mount")
    name, _, sub_path = found.name.partition("/")
    read_only = found.options.pop("readOnly", "")
    if found.kind:
        volume = _volume_source(replace(found, name=name), "--mount")
        name = f"generated-{found.kind}-{path.strip('/').replace('/', '-').replace('.', '-').lower()}"
        _put_volume(service, name, volume)
    elif found.options:
        raise ValueError(f"--mount {path}={source}: of a volume that is there only readOnly can be said")
    mount: Json = {"name": name}
    if sub_path:
        mount["subPath"] = sub_path
    if read_only:
        mount["readOnly"] = read_only.lower() == "true"
    return mount


def _put_volume(service: Json, name: str, source: Json | None) -> None:
    volumes = [volume for volume in pod_spec(service).get("volumes", []) if volume["name"] != name]
    if source is not None:
        volumes.append({"name": name, **source})
    assign(pod_spec(service), "volumes", volumes)


@dataclass(frozen=True, slots=True)
class _Source:
    """`KIND:NAME:key=value,…` taken apart; `kind` is empty where it is a volume's name."""

    kind: str
    name: str
    options: dict[str, str]


def _read_source(source: str, flag: str) -> _Source:
    *parts, last = source.split(":")
    if "=" in last:
        options = {key: value or "" for key, value in split_pairs(last.split(","), flag)}
    else:
        parts, options = [*parts, last], {}
    if len(parts) > 2 or (len(parts) == 2 and parts[0] not in _VOLUME_KINDS):
        raise ValueError(f"{flag} {source!r}: expected KIND:NAME, where KIND is {', '.join(_VOLUME_KINDS)}")
    if parts[0] in _VOLUME_KINDS and ":" in source:
        return _Source(parts[0], parts[1] if len(parts) == 2 else "", options)
    return _Source("", parts[0], options)


def _volume_source(source: _Source, flag: str) -> Json:
    if source.kind in _EMPTY_DIR:
        names = {"type": "medium", "size": "sizeLimit"}
        return {"emptyDir": {names.get(key, key): value for key, value in source.options.items()}}
    if source.options:
        raise ValueError(f"{flag} {source.kind}:{source.name}: {', '.join(source.options)} is for emptyDir volumes")
    if source.kind in _CLAIM:
        return {"persistentVolumeClaim": {"claimName": source.name}}
    field, name = source_of(f"{source.kind}:{source.name}", flag)
    return {"secret": {"secretName": name}} if field == "secret" else {"configMap": {"name": name}}
