"""A Pod → the `PodPlan` that a runtime starts: environment, mounts, limits, identity; nothing left to look up. Pure.

Called by `deploy/pods` for a Pod that is to run, and by `deploy/preparation` for the template of one that sleeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.resources.containers import Container, SecurityContext, VolumeMount
from core.resources.expansion import expand
from core.resources.meta import Json
from core.resources.pods import Pod, PodSpec
from core.resources.quantities import milli_units, whole_units
from core.resources.serving_labels import REVISION_LABEL
from core.resources.serving_podspec import DEFAULT_PORT
from core.stats import InstanceKey
from deploy.claimed import ClaimedFolder
from deploy.environment import make_environment
from deploy.podfields import CONFIG_ERROR, Machine
from deploy.podsources import Sources, registry_auth
from deploy.podvolumes import ClaimVolume, EmptyVolume, FilesVolume, HostVolume, PlannedVolume, plan_volumes
from deploy.probing import probed_ports
from deploy.runtimes.base import LAST_WORDS_PATH, ContainerPlan, Identity, Limits, Mount, PodPlan, StartError

DEFAULT_GRACE_S = 30.0
_TCP = (None, "", "TCP")
LOGS, SCRATCH = "logs", "scratch"  # in the folder of a Pod


@dataclass(frozen=True, slots=True)
class Places:
    """Where this machine keeps what Pods need: a folder per Pod, and one for volumes by their content."""

    pods: Path
    volumes: Path

    def of_pod(self, instance: InstanceKey) -> Path:
        """`<namespace>_<name>_<uid>`, as under the kubelet's /var/log/pods."""
        return self.pods / f"{instance.namespace}_{instance.name}_{instance.uid}"


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan, and the folders that must be there before it is used. Those in `live` change with their sources."""

    plan: PodPlan
    files: Mapping[Path, FilesVolume] = field(default_factory=dict)
    live: Mapping[Path, FilesVolume] = field(default_factory=dict)
    empty: Mapping[Path, EmptyVolume] = field(default_factory=dict)
    claimed: Mapping[Path, ClaimedFolder] = field(default_factory=dict)  # not the Pod's: they only must be there


def plan_pod(pod: Json, typed: Pod, sources: Sources, machine: Machine, places: Places) -> Planned:
    """`typed` is `pod`, parsed. StartError where it cannot run, with the reason that its status shall show."""
    metadata, spec = typed.metadata, typed.spec
    instance = InstanceKey(metadata.namespace or "", metadata.name, metadata.uid or "")
    folder = places.of_pod(instance)
    scratch = folder / SCRATCH
    volumes = _Volumes(plan_volumes(spec, pod, sources, machine), places, scratch)
    serving = serving_container(typed)
    containers = []
    for container, init in [(each, True) for each in spec.init_containers or ()] + [
        (c, False) for c in spec.containers
    ]:
        is_serving = container is serving
        env = make_environment(container, pod, sources, machine, is_serving)
        mounts = tuple(volumes.mount(mount, env) for mount in container.volume_mounts or ())
        containers.append(_container(container, spec, env, mounts, (is_serving, init)))
    port = declared_port(typed)
    others = _other_ports(spec, port)
    plan = PodPlan(
        instance=instance,
        template=_digest(containers, scratch, typed, others),
        containers=tuple(containers),
        port=port,
        log_dir=folder / LOGS,
        scratch_dir=scratch,
        registry_auth=registry_auth(sources, [each.name for each in spec.image_pull_secrets or ()]),
        hosts={name: alias.ip for alias in spec.host_aliases or () for name in alias.hostnames or ()},
        grace_s=grace_s(spec),
        port_is_fixed=not is_revision(typed),
        other_ports=others,
    )
    return Planned(plan, volumes.files, volumes.live, volumes.empty, volumes.claimed)


def is_revision(pod: Pod) -> bool:
    return REVISION_LABEL in pod.labels


def serving_container(pod: Pod) -> Container | None:
    """The one that requests go to: the one with a port, or a revision's only one."""
    containers = pod.spec.containers
    with_port = next((container for container in containers if container.ports), None)
    return with_port or (containers[0] if containers and is_revision(pod) else None)


def declared_port(pod: Pod) -> int | None:
    """The port it was written to listen on; None for a Pod that declares none and is no revision's."""
    container = serving_container(pod)
    if container is None:
        return None
    return container.ports[0].container_port if container.ports else DEFAULT_PORT


def _other_ports(spec: PodSpec, port: int | None) -> tuple[int, ...]:
    """What its containers declare, and probes ask, besides the Pod's own port; nothing where it has none and is never
    asked from outside."""
    if port is None:
        return ()
    asked = set().union(*map(probed_ports, (*(spec.init_containers or ()), *spec.containers)))
    declared = [each for container in spec.containers for each in container.ports or () if each.protocol in _TCP]
    return tuple(sorted((asked | {each.container_port for each in declared}) - {port}))


def grace_s(spec: PodSpec) -> float:
    grace = spec.termination_grace_period_seconds
    return DEFAULT_GRACE_S if grace is None else float(grace)


def _container(
    container: Container, spec: PodSpec, env: Mapping[str, str], mounts: tuple[Mount, ...], role: tuple[bool, bool]
) -> ContainerPlan:
    serving, init = role
    lifecycle = container.lifecycle
    return ContainerPlan(
        name=container.name,
        image=container.image or "",
        command=_expanded(container.command, env),
        args=_expanded(container.args, env),
        env=env,
        working_dir=container.working_dir or None,
        mounts=mounts,
        limits=_limits(container),
        identity=_identity(container, spec),
        pull_policy=container.image_pull_policy or "IfNotPresent",
        serving=serving,
        init=init,
        stop_signal=lifecycle.stop_signal if lifecycle is not None else None,
        last_words_path=container.termination_message_path or LAST_WORDS_PATH,
    )


def _expanded(words: Sequence[str] | None, env: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(expand(word, env) for word in words or ())


def _limits(container: Container) -> Limits:
    resources = container.resources
    limits = (resources.limits if resources is not None else None) or {}
    requests = limits | ((resources.requests if resources is not None else None) or {})  # a limit is a request, too
    try:
        return Limits(
            memory_bytes=whole_units(limits["memory"]) if "memory" in limits else None,
            cpu_millis=milli_units(limits["cpu"]) if "cpu" in limits else None,
            cpu_request_millis=milli_units(requests["cpu"]) if "cpu" in requests else None,
        )
    except ValueError as error:
        raise StartError(CONFIG_ERROR, f'container "{container.name}": resources: {error}') from None


def _identity(container: Container, spec: PodSpec) -> Identity:
    """The container's own settings over the Pod's."""
    own, pod = container.security_context or SecurityContext(), spec.security_context
    user = own.run_as_user if own.run_as_user is not None or pod is None else pod.run_as_user
    group = own.run_as_group if own.run_as_group is not None or pod is None else pod.run_as_group
    non_root = own.run_as_non_root if own.run_as_non_root is not None or pod is None else pod.run_as_non_root
    profile = own.seccomp_profile or (pod.seccomp_profile if pod is not None else None) or {}
    capabilities = own.capabilities
    if non_root and user == 0:
        raise StartError(CONFIG_ERROR, "container's runAsUser breaks non-root policy")
    return Identity(
        user=user,
        group=group,
        non_root=bool(non_root),
        read_only_root=bool(own.read_only_root_filesystem),
        drop_capabilities=tuple((capabilities.drop if capabilities is not None else None) or ()),
        add_capabilities=tuple((capabilities.add if capabilities is not None else None) or ()),
        allow_privilege_escalation=own.allow_privilege_escalation,
        seccomp_profile=profile.get("type"),
    )


class _Volumes:
    """Where the volumes of a Pod are, and which folders its mounts need."""

    def __init__(self, planned: Mapping[str, PlannedVolume], places: Places, scratch: Path) -> None:
        self._planned, self._places, self._scratch = planned, places, scratch
        self.files: dict[Path, FilesVolume] = {}
        self.live: dict[Path, FilesVolume] = {}
        self.claimed: dict[Path, ClaimedFolder] = {}
        self.empty = {self._own(name): each for name, each in planned.items() if isinstance(each, EmptyVolume)}

    def mount(self, mount: VolumeMount, env: Mapping[str, str]) -> Mount:
        volume = self._planned.get(mount.name)
        if volume is None:
            raise StartError(CONFIG_ERROR, f'volumeMount "{mount.name}" names no volume of the Pod')
        below = expand(mount.sub_path_expr, env) if mount.sub_path_expr else mount.sub_path or ""
        if below.startswith("/") or ".." in below.split("/"):
            raise StartError(CONFIG_ERROR, f'subPath "{below}" must be relative and stay inside the volume')
        folder = self._folder(mount.name, volume, below)
        if isinstance(volume, FilesVolume):
            if not volume.has(below):
                raise StartError(CONFIG_ERROR, f'subPath "{below}" is not in volume "{mount.name}"')
            return Mount(folder / below, mount.mount_path)
        read_only = bool(mount.read_only) or (isinstance(volume, ClaimVolume) and volume.read_only)
        return Mount(folder / below, mount.mount_path, read_only, folder if below else None)

    def _folder(self, name: str, volume: PlannedVolume, below: str) -> Path:
        match volume:
            case FilesVolume() if volume.origin and not below:
                folder = self._places.volumes / volume.origin
                self.live[folder] = volume
            case FilesVolume():  # also a part of one that changes: the part is mounted, and stays what it was
                folder = self._places.volumes / volume.digest
                self.files[folder] = volume
            case EmptyVolume():
                folder = self._own(name)
            case HostVolume():
                folder = Path(volume.path)
            case ClaimVolume():
                folder = volume.folder.path
                self.claimed[folder] = volume.folder
        return folder

    def _own(self, name: str) -> Path:
        return self._scratch / "volumes" / name


def _digest(containers: Sequence[ContainerPlan], scratch: Path, pod: Pod, others: tuple[int, ...]) -> str:
    """Equal for Pods of one template: what differs between them by name only is the folder of their own."""
    text = repr((containers, sorted(pod.labels.get(label, "") for label in (REVISION_LABEL,)), others))
    return hashlib.sha256(text.replace(str(scratch), "").encode()).hexdigest()[:32]
