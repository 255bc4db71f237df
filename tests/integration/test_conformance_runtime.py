"""Knative's runtime contract, seen from inside a container that the whole platform started on a real engine."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from core.clients.engine import Engine
from tests.support.engine import connected, podman_service
from tests.support.platform import running_platform
from tests.support.servers import compiled, sources_digest
from tests.support.user import SERVING, Json, User

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
IMAGE = f"localhost/pilotlight-contract:{sources_digest()}"
OBJECTS = "api/v1/namespaces/default"
CLAIMS = "persistentvolumeclaims"
START_S = 90.0  # a busy engine takes its time
USER_OF_IMAGE, USER_OF_POD = 65532, 2020


async def build(engine: Engine) -> None:
    if await engine.image(IMAGE) is not None:
        return
    lines = ("FROM scratch", "COPY contract /app/contract", f"USER {USER_OF_IMAGE}", 'ENTRYPOINT ["/app/contract"]', "")
    files = {
        "Dockerfile": ("\n".join(lines).encode(), 0o644),
        "contract": (compiled("contract").read_bytes(), 0o755),
    }
    async for _ in engine.build(IMAGE, files):
        pass


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Of a platform with a real engine, which has the image."""
    service = None
    if not (url := os.environ.get("DOCKER_HOST", "")):
        service = podman_service()
        service.start()
        url = service.url

    async def prepare() -> None:
        engine = await connected(url)
        await build(engine)
        await engine.close()

    asyncio.run(prepare())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", url)
        with running_platform(tmp_path_factory.mktemp("platform")) as platform:
            yield User(platform)
    if service is not None:
        service.stop()


def contract(name: str, /, *, spec: Json | None = None, **container: Any) -> Json:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"template": {"spec": {"containers": [{"image": IMAGE, **container}], **(spec or {})}}},
    }


def deployed(user: User, service: Json) -> str:
    name = str(user.create(service)["metadata"]["name"])
    user.until_ready(name, START_S)
    return name


@pytest.fixture(scope="module")
def plain(user: User) -> str:
    return deployed(user, contract("plain"))


def told(user: User, service: str, word: str, headers: dict[str, str] | None = None) -> str:
    reply = user.call(service, f"/{word}", headers=headers)
    assert reply.status == 200, reply.text
    return reply.text.strip()


def environment(user: User, service: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in told(user, service, "env").splitlines())


def test_the_environment_names_the_revision_and_the_port(user: User, plain: str) -> None:
    seen = environment(user, plain)
    wanted = {"PORT": "8080", "K_SERVICE": plain, "K_CONFIGURATION": plain, "K_REVISION": f"{plain}-00001"}
    assert wanted.items() <= seen.items()
    assert not set(seen) & {"DOCKER_HOST", "VIRTUAL_ENV", "PYTHONPATH", "PILOTLIGHT_DATA_DIR"}


FILES = {
    "/dev/fd": "dir",
    "/dev/full": "file",
    "/dev/null": "file",
    "/dev/ptmx": "file",
    "/dev/random": "file",
    "/dev/stdin": "file",
    "/dev/stdout": "file",
    "/dev/stderr": "file",
    "/dev/tty": "file",
    "/dev/urandom": "file",
    "/dev/zero": "file",
    "/proc/self/fd/0": "file",
    "/proc/self/fd/1": "file",
    "/proc/self/fd/2": "file",
    "/tmp": "dir 1777",
    "/etc/resolv.conf": "file",
    "/dev/console": "No such file or directory",
}


@pytest.mark.parametrize("path", FILES)
def test_files_that_must_be_there(user: User, plain: str, path: str) -> None:
    assert told(user, plain, f"stat/{path}").startswith(FILES[path])


@pytest.mark.parametrize("path", [path for path in FILES if path not in ("/dev/console", "/dev/tty")])
def test_files_can_be_used_as_their_modes_say(user: User, plain: str, path: str) -> None:
    assert told(user, plain, f"open/{path}") == "fine"


def test_streams_are_links_to_descriptors(user: User, plain: str) -> None:
    links = {"/dev/fd": "", "/dev/stdin": "/0", "/dev/stdout": "/1", "/dev/stderr": "/2"}
    assert {path: told(user, plain, f"link/{path}") for path in links} == {
        path: f"/proc/self/fd{number}" for path, number in links.items()
    }


def test_what_may_be_written_and_what_not(user: User, plain: str) -> None:
    assert told(user, plain, "write//tmp/x") == "written"
    assert told(user, plain, "write//dev/shm/x") == "written"
    assert told(user, plain, "write//proc/sys/kernel/hostname") != "written"
    mounts = [line.split() for line in told(user, plain, "mounts").splitlines()]
    at = {path: (kind, options.split(",")) for _, path, kind, options, *_ in mounts}
    assert "ro" in at["/proc/sys"][1]
    assert at["/proc/sys"][0] == "proc"
    assert "/sys/fs/cgroup" in at, "by its type a client tells which version of cgroups this is"
    assert all("ro" in options for kind, options in at.values() if kind.startswith("cgroup"))


def test_input_is_at_its_end_and_the_user_is_the_images(user: User, plain: str) -> None:
    assert told(user, plain, "stdin") == "end"
    assert told(user, plain, "id") == f"{USER_OF_IMAGE} {USER_OF_IMAGE}"


def test_headers_of_the_contract(user: User, plain: str) -> None:
    head = told(user, plain, "head", {"This-Was-User-Set": "a value"})
    headers = {name.lower(): value for name, value in re.findall(r"(?m)^([^:\s]+): (.*?)\r?$", head)}
    assert headers["host"] == "plain.default.localhost"
    assert headers["this-was-user-set"] == "a value"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert re.fullmatch(r'for=127\.0\.0\.1;host="?plain\.default\.localhost"?;proto=http', headers["forwarded"])
    assert re.fullmatch(r"[0-9a-f]{16}|[0-9a-f]{32}", headers["x-b3-traceid"])
    assert re.fullmatch(r"[0-9a-f]{16}", headers["x-b3-spanid"])
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", headers["traceparent"])
    assert not [name for name in headers if name.startswith("knative-serving-")], "those are between proxies"


def test_the_revision_says_which_image_it_is(user: User, plain: str) -> None:
    (status,) = user.revision(f"{plain}-00001")["status"]["containerStatuses"]
    assert status["name"] == "user-container"
    assert status["imageDigest"].startswith(f"{IMAGE.rpartition(':')[0]}@sha256:")


def test_limits_and_requests_become_cgroups(user: User) -> None:
    resources = {"limits": {"cpu": "1", "memory": "128Mi"}, "requests": {"cpu": "125m"}}
    name = deployed(user, contract("limited", resources=resources))
    if told(user, name, "stat//sys/fs/cgroup/cgroup.controllers").startswith("file"):
        wanted = {"memory.max": f"{128 << 20}", "cpu.max": "100000 100000"}
    else:
        wanted = {
            "memory/memory.limit_in_bytes": f"{128 << 20}",
            "cpu/cpu.shares": "128",
            "cpu/cpu.cfs_quota_us": "100000",
            "cpu/cpu.cfs_period_us": "100000",
        }
    events = user.items(f"{OBJECTS}/events")
    if any("not enforced" in event["message"] for event in events):
        pytest.skip("the engine has no cgroups for limits; the platform says so as an event")
    found = {path: told(user, name, f"cat//sys/fs/cgroup/{path}") for path in wanted}
    assert found == wanted


def test_memory_has_its_limit_and_its_excess_an_end(user: User) -> None:
    """knative.dev/serving's TestCustomResourcesLimits."""
    memory = {"memory": "128Mi"}
    name = deployed(user, contract("bounded", resources={"limits": memory, "requests": memory}))
    if any("not enforced" in event["message"] for event in user.items(f"{OBJECTS}/events")):
        pytest.skip("the engine has no cgroups for limits; the platform says so as an event")
    assert told(user, name, "bloat/40") == "eaten"
    try:
        status = user.call(name, "/bloat/300", "POST").status
    except (OSError, http.client.HTTPException):
        status = 0
    assert status != 200


def test_containers_of_a_pod_speak_over_loopback(user: User) -> None:
    """TestServiceCreateWithMultipleContainers."""
    service = contract("several", ports=[{"containerPort": 8881}])
    neighbor = {"image": IMAGE, "env": [{"name": "PORT", "value": "8882"}, {"name": "TEXT", "value": "from beside"}]}
    service["spec"]["template"]["spec"]["containers"].append(neighbor)
    name = deployed(user, service)
    assert told(user, name, "via/8882") == "from beside"
    names = [each["name"] for each in user.revision(f"{name}-00001")["status"]["containerStatuses"]]
    assert len(set(names)) == 2


def test_a_token_of_the_service_account_looks_like_one(user: User) -> None:
    """TestProjectedServiceAccountToken."""
    source = {"serviceAccountToken": {"audience": "api", "path": "token"}}
    volumes = [{"name": "v", "projected": {"sources": [source], "defaultMode": 0o444}}]
    mounts = [{"name": "v", "mountPath": "/var/token", "subPath": "token"}]
    name = deployed(user, contract("tokened", spec={"volumes": volumes}, volumeMounts=mounts))
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]*", told(user, name, "cat//var/token"))


PROBES = {"http": {"httpGet": {"path": "/live"}}, "exec": {"exec": {"command": ["/app/contract", "probe"]}}}


@pytest.mark.parametrize(("probe", "period"), [("http", 0), ("http", 1), ("exec", 1)])
def test_one_that_becomes_unready_gets_no_requests(user: User, probe: str, period: int) -> None:
    """TestProbeRuntimeAfterStartup: whoever asks then waits, or is told 503; nobody gets anything else."""
    name = deployed(
        user, contract(f"ready-{probe}-{period}", readinessProbe={**PROBES[probe], "periodSeconds": period})
    )
    assert user.call(name).status == 200
    assert told(user, name, "sick") == "sick"

    def waits_or_is_told() -> bool:
        try:
            status = user.call(name, timeout_s=2).status
        except TimeoutError:
            return True
        assert status in (200, 503)
        return status == 503

    user.until("no request comes through", waits_or_is_told, START_S)
    user.delete(name)


def test_command_arguments_folder_user_and_port_are_the_pods(user: User) -> None:
    service = contract(
        "dressed",
        imagePullPolicy="Always",  # of an image that is in the engine's own store only
        command=["/app/contract", "abra"],
        args=["cadabra", "$(WHO)"],
        env=[{"name": "WHO", "value": "ada"}],
        workingDir="/foo/bar",
        ports=[{"containerPort": 8801}],
        securityContext={"runAsUser": USER_OF_POD, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
    )
    name = deployed(user, service)
    assert told(user, name, "args").splitlines() == ["/app/contract", "abra", "cadabra", "ada"]
    assert told(user, name, "cwd") == "/foo/bar"
    assert told(user, name, "id") == f"{USER_OF_POD} {USER_OF_POD}"
    assert environment(user, name)["PORT"] == "8801"


def test_secrets_and_config_maps_as_environment_and_as_files(user: User) -> None:
    metadata = {"name": "contract"}
    user.create(
        {"kind": "Secret", "metadata": metadata, "stringData": {"S": "s", "f": "from secret"}}, f"{OBJECTS}/secrets"
    )
    user.create({"kind": "ConfigMap", "metadata": metadata, "data": {"C": "c", "o": "other"}}, f"{OBJECTS}/configmaps")
    sources = [
        {"configMap": {**metadata, "items": [{"key": "o", "path": "another"}]}},
        {"secret": {**metadata, "items": [{"key": "f", "path": "file"}]}},
        {"configMap": {"name": "missing", "optional": True}},
    ]
    volumes = [
        {"name": "both", "projected": {"sources": sources}},
        {"name": "one", "secret": {"secretName": "contract", "optional": False}},
        {"name": "none", "configMap": {"name": "missing", "optional": True}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {"medium": "Memory"}},
    ]
    mounts = [
        {"name": "both", "mountPath": "/both"},
        {"name": "one", "mountPath": "/one/f", "subPath": "f"},
        {"name": "none", "mountPath": "/does/not/matter"},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "scratch", "mountPath": "/part", "subPath": "part"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    references = [{"name": "REF", "valueFrom": {"secretKeyRef": {**metadata, "key": "S"}}}]
    sources_of_env = [{"secretRef": metadata}, {"configMapRef": metadata, "prefix": "P_"}]
    container = {"env": references, "envFrom": sources_of_env, "volumeMounts": mounts}
    name = deployed(user, contract("fed", spec={"volumes": volumes}, **container))
    assert {"REF": "s", "S": "s", "P_C": "c"}.items() <= environment(user, name).items()
    assert told(user, name, "cat//both/another") == "other"
    assert told(user, name, "cat//both/file") == told(user, name, "cat//one/f") == "from secret"
    assert [told(user, name, f"write/{path}") for path in ("/part/x", "/tmp/x")] == ["written", "written"]
    assert told(user, name, "write//both/x") != "written"
    user.patch(f"{OBJECTS}/configmaps/contract", {"data": {"o": "changed"}})
    user.until("the running container sees it", lambda: told(user, name, "cat//both/another") == "changed")
    user.patch(f"{OBJECTS}/secrets/contract", {"stringData": {"f": "changed"}})
    user.until("the secret, too", lambda: told(user, name, "cat//both/file") == "changed")
    assert told(user, name, "cat//one/f") == "from secret", "a part of a volume stays"
    assert told(user, name, "cat//scratch/part/x") == told(user, name, "cat//part/x"), "a part of the Pod's folder"


def test_what_is_written_into_a_claim_outlives_the_service(user: User) -> None:
    """TestPersistentVolumeClaims, and one more: the user of the image is not the platform's."""
    size = {"requests": {"storage": "1Gi"}}
    asked = {"accessModes": ["ReadWriteOnce"], "resources": size}
    user.create({"kind": "PersistentVolumeClaim", "metadata": {"name": "kept"}, "spec": asked}, f"{OBJECTS}/{CLAIMS}")
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "kept"}}]
    mounts = [{"name": "data", "mountPath": "/data"}]
    first = deployed(user, contract("writes", spec={"volumes": volumes}, volumeMounts=mounts))
    assert told(user, first, "write//data/x") == "written"
    written = told(user, first, "cat//data/x")
    user.delete(first)
    volumes[0]["persistentVolumeClaim"]["readOnly"] = mounts[0]["readOnly"] = True
    second = deployed(user, contract("reads", spec={"volumes": volumes}, volumeMounts=mounts))
    assert told(user, second, "cat//data/x") == written
    assert told(user, second, "write//data/y") != "written"


def test_a_container_that_fails_its_liveness_probe_is_started_anew(user: User) -> None:
    probe = {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 5}
    name = deployed(user, contract("lively", livenessProbe=probe))
    assert told(user, name, "sick") == "sick"

    def restarted() -> bool:
        statuses = [each for pod in user.pods(name) for each in pod["status"].get("containerStatuses", ())]
        return any(each["name"] == "user-container" and each["restartCount"] > 0 for each in statuses)

    user.until("it is started anew", restarted, START_S)
    user.until("it answers", lambda: user.call(name).status == 200, START_S)


def test_an_image_that_is_not_there_is_told_of_everywhere(user: User) -> None:
    service = contract("nowhere", image="localhost/pilotlight-nowhere:1")
    user.create(service)
    user.until_failed("nowhere", START_S)
    for path in ("configurations/nowhere", "revisions/nowhere-00001", "routes/nowhere"):
        conditions = user.get(f"{SERVING}/{path}")["status"]["conditions"]
        ready = next(each for each in conditions if each["type"] == "Ready")
        assert ready["status"] == "False", path
        assert ready["reason"], path
        assert ready["message"], path
    assert ready["reason"] == "RevisionMissing"
