"""From a plan to what the engine is asked to create: the part of the container runtime that only computes.

Knative's runtime contract in the engine's words: no stdin, no terminal, a writable /tmp, limits by cgroup, the user
that was asked for, an environment of the image's own and the Pod's. Called by `container` and `container_rooms`.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from core.clients.engine import EngineDown, EngineRefused
from deploy.runtimes.base import ContainerPlan, Identity, PodPlan, RegistryAuth, StartError

PLATFORM_LABEL: Final = "pilotlight.dev/platform"
POD_LABEL: Final = "pilotlight.dev/pod"
CONTAINER_LABEL: Final = "pilotlight.dev/container"
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE: Final = re.compile(
    rf"(?:(?P<registry>[a-zA-Z0-9.-]+(?::\d+)?)/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9+._-]+:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name, in full (distribution/reference)."""

    registry: str
    path: str
    tag: str
    digest: str

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.path}"

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def parse_reference(image: str) -> Reference:
    """StartError InvalidImageName. `nginx` is `docker.io/library/nginx:latest`."""
    match = _REFERENCE.fullmatch(image)
    if match is None:
        raise StartError("InvalidImageName", f'"{image}" is not the name of an image')
    registry, path = match["registry"] or "", match["path"]
    if registry and "." not in registry and ":" not in registry and registry != "localhost":
        registry, path = "", f"{registry}/{path}"
    if not registry:
        registry, path = "docker.io", path if "/" in path else f"library/{path}"
    return Reference(registry, path, match["tag"] or "latest", match["digest"] or "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the platform a container is made."""

    platform: str
    network: str  # the bridge's name, or container:<id> to share another's
    published: Mapping[int, int] = field(default_factory=dict)  # container port → port of the host's loopback
    hosts: Path | None = None  # becomes /etc/hosts
    make_tmp: bool = False  # the image has no /tmp
    last_words: Path | None = None  # takes what the container writes to its `last_words_path`


def make_config(plan: PodPlan, container: ContainerPlan, place: Place) -> dict[str, Any]:
    """The body of `POST /containers/create`."""
    container = container.on_port(plan.port)
    env = dict(container.env)
    if container.serving and plan.port is not None:
        env["PORT"] = str(plan.port)
    config: dict[str, Any] = {
        "Image": container.image,
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Labels": make_labels(place.platform, plan, container.name),
        "OpenStdin": False,
        "Tty": False,
        "HostConfig": _host_config(container, place),
    }
    if container.command:
        config["Entrypoint"] = list(container.command)
    if container.args:
        config["Cmd"] = list(container.args)
    elif container.command:
        config["Cmd"] = []  # a command without args drops the image's own, as in Kubernetes
    if container.working_dir:
        config["WorkingDir"] = container.working_dir
    if container.identity.user is not None:
        group = container.identity.group
        config["User"] = f"{container.identity.user}" + (f":{group}" if group is not None else "")
    return {**config, **network_config(plan, place)}


def make_labels(platform: str, plan: PodPlan, container: str) -> dict[str, str]:
    """By the first of these the platform knows what is its own."""
    pod = f"{plan.instance.namespace}/{plan.instance.name}"
    return {PLATFORM_LABEL: platform, POD_LABEL: pod, CONTAINER_LABEL: container}


def network_config(plan: PodPlan, place: Place) -> dict[str, Any]:
    """For the container that owns the Pod's network; nothing for one that shares it."""
    if place.network.startswith("container:"):
        return {}
    config: dict[str, Any] = {"Hostname": make_hostname(plan.instance.name)}
    if place.published:
        config["ExposedPorts"] = {f"{inside}/tcp": {} for inside in place.published}
    return config


def make_hostname(pod: str) -> str:
    """A host name is a label: of a longer Pod's name its beginning, as in Kubernetes."""
    return pod[:63].rstrip("-.")


def port_bindings(place: Place) -> dict[str, Any]:
    """For the same one."""
    if not place.published:
        return {}
    pairs = place.published.items()
    return {"PortBindings": {f"{i}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(outside)}] for i, outside in pairs}}


def check_identity(identity: Identity, image_user: str) -> None:
    """What the kubelet refuses before it starts a container (kuberuntime.verifyRunAsNonRoot). StartError."""
    if not identity.non_root:
        return
    if identity.user is not None:
        if identity.user == 0:
            raise StartError("CreateContainerConfigError", "container's runAsUser breaks non-root policy")
        return
    user = image_user.partition(":")[0]
    if user in ("", "0", "root"):
        raise StartError("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
    if not user.isdigit():
        raise StartError(
            "CreateContainerConfigError",
            f"container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root",
        )


def _host_config(container: ContainerPlan, place: Place) -> dict[str, Any]:
    identity, limits = container.identity, container.limits
    binds = [f"{mount.source}:{mount.path}:{'ro' if mount.read_only else 'rw'}" for mount in container.mounts]
    covered = {mount.path for mount in container.mounts}
    if place.hosts is not None and "/etc/hosts" not in covered:
        binds.append(f"{place.hosts}:/etc/hosts:ro")
    if place.last_words is not None and container.last_words_path not in covered:
        binds.append(f"{place.last_words}:{container.last_words_path}:rw")
    config: dict[str, Any] = {
        "NetworkMode": place.network,
        "Binds": binds,
        "LogConfig": {"Type": "none", "Config": {}},  # the platform reads the output itself
        "RestartPolicy": {"Name": "no"},
        "CapDrop": list(identity.drop_capabilities),
        "CapAdd": list(identity.add_capabilities),
        "ReadonlyRootfs": identity.read_only_root,
        "SecurityOpt": _security(identity),
    }
    mounted = any(mount.path.rstrip("/") == "/tmp" for mount in container.mounts)
    if (place.make_tmp or identity.read_only_root) and not mounted:
        config["Tmpfs"] = {"/tmp": "rw,exec,nosuid,nodev,mode=1777"}
    config |= port_bindings(place)
    if limits.memory_bytes is not None:
        config["Memory"] = config["MemorySwap"] = limits.memory_bytes  # the same: no swap
    if limits.cpu_millis is not None:
        config["CpuPeriod"], config["CpuQuota"] = 100_000, max(1_000, limits.cpu_millis * 100)
    if limits.cpu_request_millis is not None:
        config["CpuShares"] = max(2, limits.cpu_request_millis * 1024 // 1000)  # the kubelet's MilliCPUToShares
    return config


def _security(identity: Identity) -> list[str]:
    options = []
    if identity.allow_privilege_escalation is False:
        options.append("no-new-privileges")
    if identity.seccomp_profile == "Unconfined":
        options.append("seccomp=unconfined")  # RuntimeDefault is what an engine does by itself
    return options


def digest_of(image: Reference, digests: tuple[str, ...], id: str) -> str:
    """The immutable name: the repository's own digest where it has one, else any, else the content's."""
    own = [each for each in digests if each.partition("@")[0] in (image.repository, image.path)]
    if found := next(iter(own or digests), None):
        return found
    return id if id.startswith("sha256:") else f"sha256:{id}"


def find_credentials(auth: RegistryAuth, image: Reference) -> Mapping[str, str] | None:
    """Those under the most specific name that covers the image, as in the kubelet's keyring: `ghcr.io`,
    `ghcr.io/team`, `*.azurecr.io`, `https://index.docker.io/v1/`."""
    covering = {name: scope for name in auth if (scope := _scope_of(name)) and _covers(*scope, image)}
    if not covering:
        return None
    best = max(covering, key=lambda name: (len(covering[name][1]), "*" not in covering[name][0]))
    return {"serveraddress": image.registry, **_credentials(auth[best])}


def _scope_of(name: str) -> tuple[str, str]:
    """Host, and the path that repositories must begin with."""
    host, _, path = name.removeprefix("https://").removeprefix("http://").partition("/")
    return "docker.io" if host == "index.docker.io" else host, re.sub(r"^v[12](/|$)", "", path).strip("/")


def _covers(host: str, path: str, image: Reference) -> bool:
    globs, labels = host.split("."), image.registry.split(".")
    same = len(globs) == len(labels) and all(map(fnmatchcase, labels, globs))
    return same and (not path or f"{image.path}/".startswith(f"{path}/"))


def _credentials(found: Mapping[str, str]) -> Mapping[str, str]:
    """`auth` is username and password in one; the engine wants two. A token takes the place of both."""
    if token := found.get("identitytoken"):
        return {"identitytoken": token}
    if not found.get("auth"):
        return found
    try:
        user, _, password = base64.b64decode(found["auth"], validate=True).decode().partition(":")
    except ValueError:
        return found
    return {"username": user, "password": password}


@contextlib.contextmanager
def as_start_error(reason: str) -> Iterator[None]:
    """An engine's no, under the kubelet's name for it."""
    try:
        yield
    except EngineRefused as error:
        raise StartError(reason, error.message) from error
    except EngineDown as error:
        raise StartError("CreateContainerError", str(error)) from error
