"""Pod (core/v1): one instance, a process or a container with its status as the kubelet writes it.

`deploy` makes Pods from a Deployment's template and runs them; users make some by hand. Knative's revision template and
the Deployment's embed `PodSpec`. Defaults are in `pod_rules`, what is refused in `pod_validation`, printing in
`pod_columns`.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from core.resources.containers import (
    Container,
    EphemeralContainer,
    LocalObjectReference,
    Quantity,
    ResourceRequirements,
)
from core.resources.fields import doc, keyed, list_map, patched, unhonored, whole
from core.resources.meta import Json, Kind, Lifetime, Model, ObjectMeta, Resource
from core.resources.pilotlight import TIMELINE
from core.resources.pod_columns import POD_COLUMNS
from core.resources.pod_rules import default_pod, pod_grace_s, warn_pod
from core.resources.pod_validation import validate_pod
from core.resources.volumes import Volume


class HostAlias(Model):
    ip: str = Field(default="", description="Address in the hosts file.")
    hostnames: list[str] | None = doc("Names for it.")


class PodSecurityContext(Model):
    run_as_user: int | None = doc("User id of every process.")
    run_as_group: int | None = doc("Group id of every process.")
    run_as_non_root: bool | None = doc("Refuse to start as user 0.")
    fs_group: int | None = doc("Group that owns the volumes.")
    fs_group_change_policy: str | None = doc("Always or OnRootMismatch.")
    supplemental_groups: list[int] | None = doc("Further groups of every process.")
    supplemental_groups_policy: str | None = unhonored("Merge or Strict.")
    seccomp_profile: dict[str, Any] | None = doc("Seccomp profile of every container.")
    app_armor_profile: dict[str, Any] | None = unhonored("AppArmor profile.")
    se_linux_options: dict[str, Any] | None = unhonored("SELinux labels.")
    se_linux_change_policy: str | None = unhonored("How volumes are relabelled.")
    sysctls: list[dict[str, Any]] | None = unhonored("Kernel settings.")
    windows_options: dict[str, Any] | None = unhonored("Windows settings.")


class PodSpec(Model):
    containers: list[Container] = Field(
        default_factory=list, description="The containers; at least one.", json_schema_extra=list_map("name")
    )
    init_containers: list[Container] | None = keyed("Containers that run, one by one, before the others.", "name")
    ephemeral_containers: list[EphemeralContainer] | None = keyed("Containers added for debugging.", "name")
    volumes: list[Volume] | None = keyed("Volumes that containers may mount.", "name", strategy="merge,retainKeys")
    restart_policy: str | None = doc("Always, OnFailure or Never; Always.")
    termination_grace_period_seconds: int | None = doc("Seconds from the stop signal to the kill; 30.")
    active_deadline_seconds: int | None = doc("Seconds after which the Pod is failed.")
    runtime_class_name: str | None = doc("process, python or container; container.")
    service_account_name: str | None = doc("Service account whose token and pull secrets it uses; default.")
    service_account: str | None = doc("Deprecated alias of serviceAccountName.")
    automount_service_account_token: bool | None = doc("Whether a token is mounted.")
    image_pull_secrets: list[LocalObjectReference] | None = keyed("Secrets for the registry.", "name")
    security_context: PodSecurityContext | None = doc("Security settings of the whole Pod.")
    hostname: str | None = doc("Host name; the Pod's name.")
    host_aliases: list[HostAlias] | None = keyed("Lines of the hosts file.", "ip")
    enable_service_links: bool | None = doc("Whether Services are shown as variables; true.")
    share_process_namespace: bool | None = doc("One process namespace for all containers.")
    resources: ResourceRequirements | None = doc("CPU and memory of the Pod as a whole.")
    node_name: str | None = doc("The node it runs on; set by the scheduler.")
    subdomain: str | None = unhonored("Subdomain of the host name.")
    hostname_override: str | None = unhonored("Host name in place of the Pod's.")
    set_hostname_as_fqdn: bool | None = unhonored("Full name as the host name.", alias="setHostnameAsFQDN")
    dns_policy: str | None = unhonored("ClusterFirst, Default or None.")
    dns_config: dict[str, Any] | None = unhonored("Resolver settings.")
    host_network: bool | None = unhonored("Use the host's network.")
    host_pid: bool | None = unhonored("Use the host's process ids.", alias="hostPID")
    host_ipc: bool | None = unhonored("Use the host's IPC.", alias="hostIPC")
    host_users: bool | None = unhonored("Use the host's user ids.")
    affinity: dict[str, Any] | None = unhonored("Where to run.")
    node_selector: dict[str, str] | None = whole("Labels of the node to run on. Accepted, not honored on one machine.")
    tolerations: list[dict[str, Any]] | None = unhonored("Taints it tolerates.")
    topology_spread_constraints: list[dict[str, Any]] | None = Field(
        default=None,
        description="How to spread over nodes. Accepted, not honored on one machine.",
        json_schema_extra=list_map("topologyKey", "whenUnsatisfiable"),
    )
    scheduler_name: str | None = unhonored("Scheduler to use.")
    scheduling_gates: list[dict[str, Any]] | None = keyed("What must pass before it is scheduled.", "name")
    scheduling_group: dict[str, Any] | None = unhonored("Pods that are scheduled together.")
    priority_class_name: str | None = unhonored("Priority class.")
    priority: int | None = unhonored("Priority.")
    preemption_policy: str | None = unhonored("Whether it may evict others.")
    readiness_gates: list[dict[str, Any]] | None = unhonored("Further conditions of Ready.")
    resource_claims: list[dict[str, Any]] | None = keyed(
        "Dynamic resource claims.", "name", strategy="merge,retainKeys"
    )
    overhead: dict[str, Quantity] | None = unhonored("What the runtime itself uses.")
    os: dict[str, Any] | None = unhonored("Operating system.")
    eviction_responders: list[dict[str, Any]] | None = unhonored("Who answers an eviction.")


class PodTemplate(Model):
    """What a Deployment makes Pods from (core/v1 PodTemplateSpec)."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta, description="Labels and annotations of the Pods.")
    spec: PodSpec = Field(default_factory=PodSpec, description="What the Pods run.")


class ContainerStateWaiting(Model):
    reason: str | None = doc("ContainerCreating, CrashLoopBackOff, ErrImagePull, ImagePullBackOff and the like.")
    message: str | None = doc("Why, in a sentence.")


class ContainerStateRunning(Model):
    started_at: str | None = doc("When it was started.")


class ContainerStateTerminated(Model):
    exit_code: int = Field(default=0, description="Exit code of the process.")
    signal: int | None = doc("Signal that ended it.")
    reason: str | None = doc("Completed, Error, OOMKilled and the like.")
    message: str | None = doc("Its termination message.")
    started_at: str | None = doc("When it was started.")
    finished_at: str | None = doc("When it ended.")
    container_id: str | None = doc("Which container that was.", alias="containerID")


class ContainerState(Model):
    """At most one is set; none means waiting."""

    waiting: ContainerStateWaiting | None = doc("Not started yet, or not again yet.")
    running: ContainerStateRunning | None = doc("It runs.")
    terminated: ContainerStateTerminated | None = doc("It ended.")


class ContainerStatus(Model):
    name: str = Field(description="Name of the container.")
    state: ContainerState | None = doc("What it does now.")
    last_state: ContainerState | None = doc("How its last run ended.")
    ready: bool = Field(default=False, description="Whether its readiness probe succeeds.")
    started: bool | None = doc("Whether its startup probe has succeeded.")
    restart_count: int = Field(default=0, description="How often it was restarted.")
    image: str = Field(default="", description="Image it runs.")
    image_id: str = Field(default="", description="Digest of that image.", alias="imageID")
    container_id: str | None = doc("`<engine>://<id>`.", alias="containerID")
    resources: ResourceRequirements | None = doc("Limits and requests in force.")
    allocated_resources: dict[str, Quantity] | None = doc("Requests in force.")
    allocated_resources_status: list[dict[str, Any]] | None = doc("State of its devices.")
    stop_signal: str | None = doc("Signal that stops it.")
    user: dict[str, Any] | None = doc("User and groups of its first process.")
    volume_mounts: list[dict[str, Any]] | None = doc("Mounts in force.")


class PodCondition(Model):
    type: str = Field(description="PodScheduled, Initialized, ContainersReady or Ready.")
    status: str = Field(description="True, False or Unknown.")
    reason: str | None = doc("Why, in one word.")
    message: str | None = doc("Why, in a sentence.")
    last_probe_time: str | None = doc("When it was last checked.")
    last_transition_time: str | None = doc("When its status last changed.")
    observed_generation: int | None = doc("Generation it was computed for.")


class PodIP(Model):
    ip: str = Field(default="", description="The address.")


class PodStatus(Model):
    phase: str | None = doc("Pending, Running, Succeeded, Failed or Unknown.")
    conditions: list[PodCondition] | None = keyed("PodScheduled, Initialized, ContainersReady, Ready.", "type")
    message: str | None = doc("Why it is so, in a sentence.")
    reason: str | None = doc("Why it is so, in one word.")
    pod_ip: str | None = doc("Address of the Pod.", alias="podIP")
    pod_ips: list[PodIP] | None = Field(
        default=None, description="Addresses of the Pod.", alias="podIPs", json_schema_extra=list_map("ip")
    )
    host_ip: str | None = doc("Address of the machine.", alias="hostIP")
    host_ips: list[PodIP] | None = Field(
        default=None,
        description="Addresses of the machine.",
        alias="hostIPs",
        json_schema_extra={**list_map("ip"), "x-kubernetes-list-type": "atomic"},
    )
    start_time: str | None = doc("When the node took the Pod.")
    container_statuses: list[ContainerStatus] | None = doc("One for each container.")
    init_container_statuses: list[ContainerStatus] | None = doc("One for each init container.")
    ephemeral_container_statuses: list[ContainerStatus] | None = doc("One for each ephemeral container.")
    qos_class: str | None = doc("Guaranteed, Burstable or BestEffort.")
    observed_generation: int | None = doc("Generation this status is about.")
    nominated_node_name: str | None = doc("Node it may be put on.")
    resize: str | None = doc("State of a resize.")
    resources: ResourceRequirements | None = doc("Limits and requests in force.")
    allocated_resources: dict[str, Quantity] | None = doc("Requests in force.")
    resource_claim_statuses: list[dict[str, Any]] | None = patched("State of its claims.", "name")
    extended_resource_claim_status: dict[str, Any] | None = doc("State of an extended claim.")
    node_allocatable_resource_claim_statuses: list[dict[str, Any]] | None = doc("State of node claims.")
    volume_health: list[dict[str, Any]] | None = doc("State of its volumes.")


class Pod(Resource):
    spec: PodSpec = Field(default_factory=PodSpec, description="What it runs.")
    status: PodStatus | None = doc("What became of it, written by the node.")


POD: Kind[Pod] = Kind(
    group="",
    version="v1",
    kind="Pod",
    plural="pods",
    model=Pod,
    short_names=("po",),
    categories=("all",),
    lifetime=Lifetime.OWNED,
    grace=pod_grace_s,
    columns=POD_COLUMNS,
    default=default_pod,
    validate=validate_pod,
    warn=warn_pod,
)


def is_restarting(pod: Json, container: Json) -> bool:
    """Whether this container (its status) has ended for the first time in a Pod that was ready: then it is started
    again at once, so that whoever waits for it does well to wait on."""
    if "ready=" not in ((pod["metadata"].get("annotations") or {}).get(TIMELINE) or ""):
        return False
    state = container.get("state") or {}
    restarts = container.get("restartCount") or 0
    return restarts == 0 if "terminated" in state else restarts == 1 and "running" in state
