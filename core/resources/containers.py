"""A container of a Pod: image, command, environment, ports, probes, mounts, resources, security (core/v1).

Used by Pods and Deployments and, through the revision template, by Knative Serving. Pure types; the rules over them are
in `core.resources.pod_rules`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from pydantic import Field

from core.resources.fields import doc, key_default, keyed, list_map, unhonored, whole
from core.resources.meta import Model

IntOrString: TypeAlias = int | str
"""A number, or a name or percentage (intstr.IntOrString)."""

Quantity: TypeAlias = str | int | float
"""`500m`, `128Mi`, or a bare number; `core.resources.quantities` gives its value."""


class LocalObjectReference(Model):
    name: str = Field(default="", description="Name of an object in the same namespace.")


class KeySelector(Model):
    """One key of a ConfigMap or a Secret."""

    name: str = Field(default="", description="Name of the ConfigMap or Secret.")
    key: str = Field(description="The key to take.")
    optional: bool | None = doc("Whether the object or key may be missing.")


class FieldSelector(Model):
    field_path: str = Field(description="A field of the Pod, such as metadata.name or status.podIP.")
    api_version: str | None = doc("Version of the schema that fieldPath is written in; v1.")


class ResourceSelector(Model):
    resource: str = Field(description="limits.cpu, requests.memory and the like.")
    container_name: str | None = doc("Container to read from; needed in volumes.")
    divisor: Quantity | None = doc("Unit of the result; 1.")


class EnvVarSource(Model):
    config_map_key_ref: KeySelector | None = whole("A key of a ConfigMap.")
    secret_key_ref: KeySelector | None = whole("A key of a Secret.")
    field_ref: FieldSelector | None = whole("A field of the Pod itself.")
    resource_field_ref: ResourceSelector | None = whole("A limit or request of a container.")
    file_key_ref: dict[str, Any] | None = unhonored("A key of an env file in a volume.")


class EnvVar(Model):
    name: str = Field(default="", description="Name of the variable.")
    value: str | None = doc("Its value; $(OTHER) refers to variables before it.")
    value_from: EnvVarSource | None = doc("Where else its value comes from.")


class EnvFromReference(Model):
    name: str = Field(default="", description="Name of the ConfigMap or Secret.")
    optional: bool | None = doc("Whether it may be missing.")


class EnvFromSource(Model):
    prefix: str | None = doc("Text put before each key.")
    config_map_ref: EnvFromReference | None = doc("Every key of a ConfigMap.")
    secret_ref: EnvFromReference | None = doc("Every key of a Secret.")


class ContainerPort(Model):
    container_port: int = Field(description="Port that the container listens on.")
    name: str | None = doc("Name that probes and Services may use.")
    protocol: str | None = key_default("TCP, UDP or SCTP; TCP.", "TCP")
    host_port: int | None = unhonored("Port on the host.")
    host_ip: str | None = unhonored("Address of the host port.", alias="hostIP")


class HttpHeader(Model):
    name: str = Field(description="Name of the header.")
    value: str = Field(description="Its value.")


class HttpGetAction(Model):
    port: IntOrString | None = doc("Number or name of the port.")
    path: str | None = doc("Path to get; /.")
    host: str | None = doc("Host to connect to; the Pod's own address.")
    scheme: str | None = doc("HTTP or HTTPS; HTTP.")
    http_headers: list[HttpHeader] | None = doc("Headers to send.")
    protocol: str | None = unhonored("HTTP version to speak.")


class TcpSocketAction(Model):
    port: IntOrString | None = doc("Number or name of the port.")
    host: str | None = doc("Host to connect to; the Pod's own address.")


class GrpcAction(Model):
    port: int | None = doc("Port of the gRPC health service.")
    service: str | None = doc("Service name in the health request; empty.")
    mode: str | None = unhonored("How to connect.")


class ExecAction(Model):
    command: list[str] | None = doc("Command to run in the container; exit code 0 is success.")


class Probe(Model):
    """Exactly one of httpGet, tcpSocket, grpc, exec. Times are whole seconds."""

    exec: ExecAction | None = doc("Run a command.")
    http_get: HttpGetAction | None = doc("Expect a status from 200 to 399.")
    tcp_socket: TcpSocketAction | None = doc("Expect the port to accept.")
    grpc: GrpcAction | None = doc("Expect SERVING from the gRPC health service.")
    initial_delay_seconds: int | None = doc("Seconds after the start before the first try; 0.")
    period_seconds: int | None = doc("Seconds between tries; 10.")
    timeout_seconds: int | None = doc("Seconds one try may take; 1.")
    success_threshold: int | None = doc("Successes in a row that count; 1.")
    failure_threshold: int | None = doc("Failures in a row that count; 3.")
    termination_grace_period_seconds: int | None = doc("Grace when this probe causes the stop.")


class LifecycleHandler(Model):
    exec: ExecAction | None = doc("Run a command.")
    http_get: HttpGetAction | None = doc("Send a request.")
    tcp_socket: TcpSocketAction | None = doc("Deprecated; never honored.")
    sleep: dict[str, Any] | None = doc("Wait for `seconds`.")


class Lifecycle(Model):
    post_start: LifecycleHandler | None = doc("Runs right after the start.")
    pre_stop: LifecycleHandler | None = doc("Runs before the stop signal.")
    stop_signal: str | None = doc("Signal that stops the container; the image's, or SIGTERM.")


class VolumeMount(Model):
    name: str = Field(default="", description="Name of the volume.")
    mount_path: str = Field(default="", description="Where it appears in the container.")
    read_only: bool | None = doc("Whether writing is refused.")
    sub_path: str | None = doc("Folder or file of the volume to mount.")
    sub_path_expr: str | None = doc("Like subPath, with $(VAR) expanded.")
    mount_propagation: str | None = unhonored("How mounts pass between host and container.")
    recursive_read_only: str | None = unhonored("Whether mounts below are read-only too.")
    bind_mount_options: list[str] | None = unhonored("Options of the bind mount.")


class ResourceRequirements(Model):
    limits: dict[str, Quantity] | None = doc("The most it may use: cpu, memory, ephemeral-storage.")
    requests: dict[str, Quantity] | None = doc("What it asks to be kept for it; the limits where not given.")
    claims: list[dict[str, Any]] | None = unhonored("Dynamic resource claims.")


class Capabilities(Model):
    add: list[str] | None = doc("Capabilities to add.")
    drop: list[str] | None = doc("Capabilities to take away.")


class SecurityContext(Model):
    run_as_user: int | None = doc("User id of the process.")
    run_as_group: int | None = doc("Group id of the process.")
    run_as_non_root: bool | None = doc("Refuse to start as user 0.")
    read_only_root_filesystem: bool | None = doc("Whether the root file system is read-only.")
    allow_privilege_escalation: bool | None = doc("Whether a process may gain privileges.")
    privileged: bool | None = doc("Run with all privileges of the host.")
    capabilities: Capabilities | None = doc("Linux capabilities.")
    seccomp_profile: dict[str, Any] | None = doc("Seccomp profile: type RuntimeDefault, Unconfined or Localhost.")
    app_armor_profile: dict[str, Any] | None = unhonored("AppArmor profile.")
    proc_mount: str | None = unhonored("Kind of /proc mount.")
    se_linux_options: dict[str, Any] | None = unhonored("SELinux labels.")
    windows_options: dict[str, Any] | None = unhonored("Windows settings.")


class Container(Model):
    name: str = Field(default="", description="Name, unique in the Pod.")
    image: str | None = doc("Image reference, or dir:/path for a folder.")
    command: list[str] | None = doc("Entry point; the image's where not given.")
    args: list[str] | None = doc("Arguments; the image's where neither is given.")
    working_dir: str | None = doc("Working directory; the image's.")
    ports: list[ContainerPort] | None = keyed("Ports it listens on.", "containerPort", "protocol")
    env: list[EnvVar] | None = keyed("Environment variables.", "name")
    env_from: list[EnvFromSource] | None = doc("Environment from ConfigMaps and Secrets.")
    resources: ResourceRequirements | None = doc("CPU and memory.")
    volume_mounts: list[VolumeMount] | None = keyed("Volumes to mount.", "mountPath")
    liveness_probe: Probe | None = doc("Restart the container when this fails.")
    readiness_probe: Probe | None = doc("Send no traffic while this fails.")
    startup_probe: Probe | None = doc("Hold the other probes until this succeeds.")
    lifecycle: Lifecycle | None = doc("Hooks after the start and before the stop.")
    image_pull_policy: str | None = doc("Always, IfNotPresent or Never.")
    security_context: SecurityContext | None = doc("User, capabilities and the like.")
    termination_message_path: str | None = doc("File with the last message; /dev/termination-log.")
    termination_message_policy: str | None = doc("File or FallbackToLogsOnError.")
    restart_policy: str | None = doc("Always on an init container makes it a sidecar.")
    stdin: bool | None = doc("Keep standard input open.")
    stdin_once: bool | None = doc("Close standard input after the first client.")
    tty: bool | None = doc("Give the container a terminal.")
    resize_policy: list[dict[str, Any]] | None = unhonored("How to resize in place.")
    restart_policy_rules: list[dict[str, Any]] | None = unhonored("Restarts by exit code.")
    volume_devices: list[dict[str, Any]] | None = Field(
        default=None,
        description="Raw block devices. Accepted, not honored on one machine.",
        json_schema_extra=list_map("devicePath"),
    )


class EphemeralContainer(Container):
    target_container_name: str | None = doc("Container whose namespaces it joins.")
