"""What the engine is asked to create, without an engine; and the two files that go with it.

Covers deploy.runtimes.container_config and deploy.runtimes.holder.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.stats import InstanceKey
from deploy.runtimes.base import PORT_PLACEHOLDER, ContainerPlan, Identity, Limits, Mount, PodPlan, StartError
from deploy.runtimes.container_config import (
    Place,
    check_identity,
    digest_of,
    find_credentials,
    make_config,
    parse_reference,
)
from deploy.runtimes.holder import holder_files

CONTAINER = ContainerPlan(name="main", image="x", serving=True)
PLACE = Place("p1", "bridge-1", {8080: 20001}, Path("/run/hosts"))


def config(container: ContainerPlan, place: Place = PLACE) -> dict[str, Any]:
    plan = PodPlan(InstanceKey("ns", "pod-1", "u"), "t", (container,), 8080, Path("/logs"), Path("/scratch"))
    return make_config(plan, container, place)


def test_the_whole_of_it() -> None:
    container = replace(
        CONTAINER,
        command=("/run",),
        args=("--port", PORT_PLACEHOLDER),
        env={"A": "1"},
        working_dir="/w",
        mounts=(Mount(Path("/h/s"), "/etc/s"),),
        limits=Limits(memory_bytes=1 << 20, cpu_millis=250, cpu_request_millis=125),
        identity=Identity(user=7, group=8, drop_capabilities=("ALL",), allow_privilege_escalation=False),
    )
    assert config(container) == {
        "Image": "x",
        "Entrypoint": ["/run"],
        "Cmd": ["--port", "8080"],
        "Env": ["A=1", "PORT=8080"],
        "WorkingDir": "/w",
        "User": "7:8",
        "Hostname": "pod-1",
        "ExposedPorts": {"8080/tcp": {}},
        "Labels": {
            "pilotlight.dev/platform": "p1",
            "pilotlight.dev/pod": "ns/pod-1",
            "pilotlight.dev/container": "main",
        },
        "OpenStdin": False,
        "Tty": False,
        "HostConfig": {
            "NetworkMode": "bridge-1",
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20001"}]},
            "Binds": ["/h/s:/etc/s:ro", "/run/hosts:/etc/hosts:ro"],
            "LogConfig": {"Type": "none", "Config": {}},
            "RestartPolicy": {"Name": "no"},
            "CapDrop": ["ALL"],
            "CapAdd": [],
            "ReadonlyRootfs": False,
            "SecurityOpt": ["no-new-privileges"],
            "Memory": 1 << 20,
            "MemorySwap": 1 << 20,
            "CpuPeriod": 100_000,
            "CpuQuota": 25_000,
            "CpuShares": 128,
        },
    }


def test_the_images_own_command_stays_where_the_pod_has_none() -> None:
    assert "Entrypoint" not in config(CONTAINER)
    assert "Cmd" not in config(CONTAINER)
    assert config(replace(CONTAINER, args=("x",)))["Cmd"] == ["x"]
    assert config(replace(CONTAINER, command=("/x",)))["Cmd"] == [], "and its args go with its command"


def test_one_that_shares_a_network_asks_for_none_of_its_own() -> None:
    shared = config(CONTAINER, Place("p1", "container:abc"))
    assert shared["HostConfig"]["NetworkMode"] == "container:abc"
    assert not {"Hostname", "ExposedPorts"} & set(shared)
    assert "PortBindings" not in shared["HostConfig"]


TMP = [
    ("image has one", CONTAINER, False, False),
    ("image has none", CONTAINER, True, True),
    ("read-only root", replace(CONTAINER, identity=Identity(read_only_root=True)), False, True),
    ("the Pod mounts one", replace(CONTAINER, mounts=(Mount(Path("/t"), "/tmp"),)), True, False),
]


@pytest.mark.parametrize(("label", "container", "lacking", "made"), TMP, ids=[row[0] for row in TMP])
def test_tmp_is_always_writable(label: str, container: ContainerPlan, lacking: bool, made: bool) -> None:
    host = config(container, replace(PLACE, make_tmp=lacking))["HostConfig"]
    assert ("/tmp" in host.get("Tmpfs", {})) is made, label


REFERENCES = [
    ("nginx", "docker.io/library/nginx:latest"),
    ("user/app:1", "docker.io/user/app:1"),
    ("ghcr.io/a/b/c:v1.2", "ghcr.io/a/b/c:v1.2"),
    ("localhost/app", "localhost/app:latest"),
    ("localhost:5000/app:x", "localhost:5000/app:x"),
    (f"a.b/c:tag@sha256:{'0' * 64}", f"a.b/c@sha256:{'0' * 64}"),
]


@pytest.mark.parametrize(("text", "full"), REFERENCES)
def test_references(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "a:", "a@sha256:12", "-a", "a//b", "https://a/b"])
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(StartError) as failure:
        parse_reference(text)
    assert failure.value.reason == "InvalidImageName"


NON_ROOT = [
    (Identity(), "", None),
    (Identity(non_root=True, user=1), "root", None),
    (Identity(non_root=True), "1000:1000", None),
    (Identity(non_root=True, user=0), "1000", "runAsUser breaks non-root"),
    (Identity(non_root=True), "", "will run as root"),
    (Identity(non_root=True), "root", "will run as root"),
    (Identity(non_root=True), "app", "non-numeric user (app)"),
]


@pytest.mark.parametrize(("identity", "image_user", "refusal"), NON_ROOT)
def test_run_as_non_root(identity: Identity, image_user: str, refusal: str | None) -> None:
    if refusal is None:
        check_identity(identity, image_user)
        return
    with pytest.raises(StartError) as failure:
        check_identity(identity, image_user)
    assert failure.value.reason == "CreateContainerConfigError"
    assert refusal in failure.value.message


def test_the_digest_of_the_repository_itself_is_preferred() -> None:
    image = parse_reference("ghcr.io/a/b:1")
    assert digest_of(image, ("other@sha256:1", "ghcr.io/a/b@sha256:2"), "sha256:3") == "ghcr.io/a/b@sha256:2"
    assert digest_of(image, ("other@sha256:1",), "sha256:3") == "other@sha256:1"
    assert digest_of(image, (), "3") == "sha256:3"


def test_credentials_are_found_under_the_registrys_names() -> None:
    auth = {"https://index.docker.io/v1/": {"username": "u"}, "ghcr.io": {"auth": "ZzpzZWNyZXQ6MQ=="}}
    assert find_credentials(auth, parse_reference("nginx")) == {"serveraddress": "docker.io", "username": "u"}
    assert find_credentials(auth, parse_reference("ghcr.io/a/b")) == {
        "serveraddress": "ghcr.io",
        "username": "g",
        "password": "secret:1",
    }
    assert find_credentials(auth, parse_reference("quay.io/a/b")) is None


KEYRING = {name: {"username": name} for name in (
    "ghcr.io", "ghcr.io/team", "https://ghcr.io/v2/team/app", "*.azurecr.io", "shop.azurecr.io", "localhost:5000",
)}  # fmt: skip


@pytest.mark.parametrize(
    ("image", "under"),
    [
        ("ghcr.io/other/app", "ghcr.io"),
        ("ghcr.io/team/tool", "ghcr.io/team"),
        ("ghcr.io/teamwork/tool", "ghcr.io"),
        ("ghcr.io/team/app:1", "https://ghcr.io/v2/team/app"),
        ("shop.azurecr.io/x", "shop.azurecr.io"),
        ("other.azurecr.io/x", "*.azurecr.io"),
        ("a.b.azurecr.io/x", None),
        ("localhost:5000/x", "localhost:5000"),
        ("nginx", None),
    ],
)
def test_the_most_specific_credentials_count(image: str, under: str | None) -> None:
    found = find_credentials(KEYRING, parse_reference(image))
    assert (found["username"] if found is not None else None) == under


def test_a_token_takes_the_place_of_a_password() -> None:
    auth = {"x.io": {"auth": "MDAwOg==", "identitytoken": "t"}}
    assert find_credentials(auth, parse_reference("x.io/a")) == {"serveraddress": "x.io", "identitytoken": "t"}


def test_the_holder_waits_until_it_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "hold"
    program.write_bytes(holder_files("x86_64")["hold"][0])
    program.chmod(0o755)
    process = subprocess.Popen([program])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    process.kill()
    assert process.wait(5) == -9
    assert state == "S", "it sleeps, it does not spin"


def test_the_holder_is_made_for_arm_too() -> None:
    machine = holder_files("arm64")["hold"][0][18:20]
    assert machine == (183).to_bytes(2, "little")
    with pytest.raises(KeyError):
        holder_files("mips")


def test_every_published_port_is_the_loopbacks_alone() -> None:
    place = replace(PLACE, published={8080: 20001, 8077: 20002})
    made = config(CONTAINER, place)
    assert made["ExposedPorts"] == {"8080/tcp": {}, "8077/tcp": {}}
    assert made["HostConfig"]["PortBindings"] == {
        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20001"}],
        "8077/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20002"}],
    }
