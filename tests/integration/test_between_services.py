"""One function calls another by the name in `status.address.url`, from every runtime of this machine, asleep or not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.platform import Platform
from tests.support.user import QUICK_SLEEP, User, make_function, make_service

CALLER = """
import asyncio
import urllib.error
import urllib.request

def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return f"{response.status} {response.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return f"0 {error}"

async def app(scope, receive, send):
    text = await asyncio.to_thread(fetch, scope["query_string"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
"""


@pytest.fixture(scope="module")
def callers(user: User, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runtime → a service that fetches the URL in its query."""
    folder = tmp_path_factory.mktemp("caller")
    (folder / "main.py").write_text(CALLER)
    user.deploy(make_service("from-process"))
    user.deploy(make_function("from-python", folder))
    return {"process": "from-process", "python": "from-python"}


@pytest.fixture(scope="module")
def callee(user: User) -> str:
    """Deployed after its callers, so that its names come up while they run."""
    return user.deploy(make_service("callee", annotations=QUICK_SLEEP))


def addresses(user: User, service: str) -> dict[str, str]:
    status = user.service(service)["status"]
    return {
        "cluster-local": status["address"]["url"],
        "public": status["url"],
        "short": f"http://{service}.default",
    }


@pytest.mark.parametrize("runtime", ["process", "python"])
@pytest.mark.parametrize("form", ["cluster-local", "public", "short"])
def test_a_service_is_reached_by_name(
    user: User, callers: dict[str, str], callee: str, runtime: str, form: str
) -> None:
    url = addresses(user, callee)[form]
    answer = user.call(callers[runtime], f"/get?{url}").text
    assert answer.split()[0] == "200", answer


@pytest.mark.parametrize("runtime", ["process", "python"])
def test_the_call_wakes_a_sleeper(user: User, callers: dict[str, str], callee: str, runtime: str) -> None:
    user.until_asleep(callee)
    answer = user.call(callers[runtime], f"/get?{addresses(user, callee)['cluster-local']}").text
    assert answer.split()[0] == "200", answer


def test_one_that_is_hidden_from_outside_is_there_inside(user: User, callers: dict[str, str]) -> None:
    service = make_service("hidden")
    service["metadata"]["labels"] = {"networking.knative.dev/visibility": "cluster-local"}
    name = user.deploy(service)
    assert user.service(name)["status"]["url"].startswith("http://hidden.default.svc.cluster.local")
    answer = user.call(callers["process"], f"/get?{user.service(name)['status']['url']}").text
    assert answer.split()[0] == "200", answer
    for suffix in ("localhost", "svc.cluster.local", "svc", "svc.cluster.local."):
        refused = user.call(f"{name}.default.{suffix}")
        assert refused.status == 404, "also where somebody outside writes that into the Host field"


def test_core_services_are_not_served_outside(user: User, callee: str) -> None:
    assert user.call(f"{callee}.default.svc.cluster.local").status == 404
    assert user.call("pilotlight-gateway.knative-serving.svc").status == 404


def test_a_hidden_one_can_be_invoked_from_the_machine_itself(platform: Platform, user: User) -> None:
    service = make_service("cellar")
    service["metadata"]["labels"] = {"networking.knative.dev/visibility": "cluster-local"}
    name = user.deploy(service)
    command = [sys.executable, "-m", "pilotlight", "invoke", name]
    done = subprocess.run(command, capture_output=True, text=True, env=platform.environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isdigit()
