"""The README's journey, typed as a user types it: `pilotlight.cli.app` against a real platform.

It goes through `pilotlight.serve`, `pilotlight.house`, `pilotlight.bootstrap`, `pilotlight.images` and
`pilotlight.logging` (the platform), `core.clients.kubernetes` and `core.clients.http` (the way to it), and
`pilotlight.cli.platform`, `pilotlight.cli.functions`, `pilotlight.cli.insight`, `pilotlight.cli.waiting`,
`pilotlight.cli.session`, `pilotlight.cli.output`, `pilotlight.cli.kn.objects`, `pilotlight.cli.kn.service`,
`pilotlight.cli.kn.revision`, `pilotlight.cli.kn.route` and `pilotlight.cli.kn.domain`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotlight.cli.app import run
from tests.support.platform import Platform

GREETER = """
async def app(scope, receive, send):
    body = (await receive()).get("body") or b"World"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"Hello, " + body + b"!"})
"""


class Shell:
    """Runs commands in this process, with the platform's folder in the environment."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Standard output; the exit code must be `code`."""
        self._capfd.readouterr()
        got = run(arguments)
        self.out, self.err = self._capfd.readouterr()
        assert got == code, f"{arguments} ended with {got}: {self.err or self.out}"
        return self.out


@pytest.fixture
def shell(platform: Platform, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("PILOTLIGHT_DATA_DIR", platform.running.data_dir)
    return Shell(capfd)


@pytest.fixture(scope="module")
def greeter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("greeter")
    (folder / "main.py").write_text(GREETER)
    return folder


@pytest.fixture
def hello(shell: Shell, greeter: Path) -> str:
    """A deployed function's name."""
    shell("deploy", "hello", "--source", str(greeter), "-a", "autoscaling.knative.dev/window=6s")
    return "hello"


def test_deploy_prints_the_address_and_invoke_the_answer(shell: Shell, hello: str, platform: Platform) -> None:
    told = shell("service", "describe", hello, "-o", "url").strip()
    assert told == f"http://hello.default.localhost:{platform.running.gateway.rpartition(':')[2]}"
    assert shell("invoke", hello, "-d", "Ada") == "Hello, Ada!\n"
    assert " ms" in shell.err
    answer = json.loads(shell("invoke", hello, "--json"))
    assert (answer["status"], answer["body"]) == (200, "Hello, World!")


def test_a_changed_folder_is_deployed_as_a_new_revision(shell: Shell, tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    for text, revision in (("1", "00001"), ("1", "00001"), ("2", "00002")):
        source.write_text(f"def handle(request):\n    return '{text}'\n")
        assert f"changing-{revision}" in shell("deploy", "changing", "--source", str(tmp_path))
        assert shell("invoke", "changing").strip() == text
    shell("service", "delete", "changing")


def test_lists_and_descriptions(shell: Shell, hello: str) -> None:
    assert "hello-00001" in shell("service", "list")
    assert "100%  @latest (hello-00001)" in shell("service", "describe", hello)
    assert "100%" in shell("revision", "list", "-s", hello)
    assert "Image:" in shell("revision", "describe", "hello-00001")
    assert "http://hello." in shell("route", "list")
    assert "AllTrafficAssigned" in shell("route", "describe", hello)
    assert json.loads(shell("service", "list", "--json"))["items"][0]["metadata"]["name"] == hello
    assert shell("service", "list", "-o", "jsonpath={.items[*].metadata.name}") == hello
    assert shell("route", "list", "-o", "name") == "route.serving.knative.dev/hello\n"


def test_explain_and_top_tell_of_the_revision(shell: Shell, hello: str) -> None:
    shell("invoke", hello)
    assert "hello-00001:" in shell("explain", hello)
    assert "hello-00001" in json.loads(shell("explain", hello, "--json"))
    rows = json.loads(shell("top", "--json"))["items"]
    assert [row["revision"] for row in rows if row["namespace"] == "default"] == ["hello-00001"]
    assert "REVISION" in shell("top", "--once")


def test_update_makes_a_revision_and_traffic_can_be_split(shell: Shell, hello: str) -> None:
    shell("service", "update", hello, "--env", "A=1")
    assert "hello-00002" in shell("service", "list")
    shell("service", "update", hello, "--traffic", "hello-00001=40,@latest=60", "--tag", "hello-00001=old")
    told = shell("service", "describe", hello)
    assert " 60%  @latest (hello-00002)" in told
    assert "tag old: http://old-hello.default.localhost" in told
    assert shell("invoke", hello, "--tag", "old", "-d", "tag") == "Hello, tag!\n"
    shell("service", "update", hello, "--traffic", "@latest=100", "--untag", "old")
    assert "Revision 'hello-00001' successfully deleted" in shell("revision", "delete", "hello-00001")


def test_a_domain_leads_to_a_service(shell: Shell, hello: str) -> None:
    shell("domain", "create", "hello.example.com", "--ref", "ksvc:hello")
    assert "hello.example.com" in shell("domain", "list")
    assert "Reference:  Service default/hello" in shell("domain", "describe", "hello.example.com")
    shell("domain", "delete", "hello.example.com")


def test_create_apply_wait_and_delete(shell: Shell, greeter: Path, tmp_path: Path) -> None:
    image = ("--image", f"dir:{greeter}", "--runtime", "python")
    assert "Service 'two' created" in shell("service", "create", "two", *image)
    shell("service", "create", "two", *image, code=1)
    assert "already exists" in shell.err
    shell("service", "create", "two", *image, "--env", "B=2", "--force")
    shell("service", "apply", "three", *image)
    shell("service", "wait", "three")
    shell("service", "create", "four", *image, "--target", str(tmp_path))
    assert (tmp_path / "default" / "ksvc" / "four.yaml").exists()
    shell("service", "create", "-f", str(tmp_path / "default" / "ksvc" / "four.yaml"))
    shell("service", "delete", "two", "three", "four")
    assert "two" not in shell("service", "list")


def test_a_service_moves_with_its_history(shell: Shell, greeter: Path, tmp_path: Path) -> None:
    shell("service", "create", "mover", "--image", f"dir:{greeter}", "--runtime", "python", "--tag", "@latest=now")
    shell("service", "update", "mover", "--env", "A=2")
    shell("service", "update", "mover", "--traffic", "mover-00001=40,@latest=60")
    exported = tmp_path / "mover.yaml"
    exported.write_text(shell("service", "export", "mover", "--with-revisions"))
    assert json.loads(shell("service", "delete", "mover", "--wait", "--json")) == {"deleted": ["mover"]}
    assert "Service 'mover' imported" in shell("service", "import", str(exported))
    shares = {row.split()[0]: row.split()[2] for row in shell("revision", "list", "-s", "mover").splitlines()[1:]}
    assert shares == {"mover-00001": "40%", "mover-00002": "60%"}
    shell("service", "import", str(exported), code=1)
    assert "already exists" in shell.err
    shell("service", "delete", "mover", "--wait")


def test_an_update_that_the_platform_crosses_is_tried_again(shell: Shell, greeter: Path) -> None:
    shell("service", "create", "busy", "--image", f"dir:{greeter}", "--runtime", "python", "--no-wait")
    for value in range(5):  # each meets the statuses that the one before it set off
        shell("service", "update", "busy", "--env", f"A={value}", "--no-wait")
    shell("service", "wait", "busy")
    assert json.loads(shell("service", "describe", "busy", "--json"))["metadata"]["generation"] == 6
    shell("service", "delete", "busy")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("invoke", "hello", "--timeout", "0.0001"), 1, "no answer within 0.0001 s"),
        (("invoke", "nobody"), 1, 'services.serving.knative.dev "nobody" not found'),
        (("deploy", "x"), 2, "say what to run"),
        (("deploy", "Bad_Name", "--image", "x"), 1, "Bad_Name"),
        (("explain", "nobody"), 1, "no service and no revision named 'nobody'"),
        (("service", "delete"), 2, "name the services to delete"),
        (("service", "list", "--bogus"), 2, "--bogus"),
        (("domain", "create", "a.example", "--ref", "x:y"), 2, "expected ksvc:NAME"),
        (("logs", "nobody"), 1, "not found"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    shell: Shell, hello: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    shell(*arguments, code=code)
    assert shell.err.startswith("error: ")
    assert words in shell.err
    assert "Traceback" not in shell.err


def test_a_second_platform_on_the_folder_is_refused(shell: Shell) -> None:
    shell("up", code=2)
    assert "already runs on" in shell.err


def test_without_a_platform_the_next_command_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PILOTLIGHT_DATA_DIR", str(tmp_path))
    shell("service", "list", code=2)
    assert "`pilotlight up`" in shell.err
    assert "no platform is running" in shell("down")


def test_doctor_names_what_it_found(shell: Shell) -> None:
    findings = {finding["subject"]: finding for finding in json.loads(shell("doctor", "--json"))}
    assert findings["Python"]["verdict"] == "ok"
    assert "running, pid" in findings["platform"]["found"]
    assert all(finding["cost"] for finding in findings.values() if finding["verdict"] != "ok")
