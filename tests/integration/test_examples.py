"""Every document in examples/, applied by the real kubectl as its README says; and what it runs answers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.platform import Platform
from tests.support.user import User

pytestmark = pytest.mark.kubectl
EXAMPLES = Path(__file__).parents[2] / "examples"
DOCUMENTS = sorted(EXAMPLES.glob("*/service.yaml"))
EVENT = {
    "ce-specversion": "1.0", "ce-id": "1", "ce-type": "com.example.order", "ce-source": "/shop",
    "content-type": "application/json",
}  # fmt: skip
# name of the Service, request (method, body, headers), what its answer has
ASKED = {
    "c-server": ("c-server", ("GET", None, {}), "Hello from C\n"),
    "cloudevent": ("orders", ("POST", b'{"items": ["lamp"]}', EVENT), '"items"'),
    "hello": ("hello", ("POST", b'{"name": "Ada"}', {}), "Hello, Ada!"),
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, with the C server built by the command at its head."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (apt-get install gcc)")
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(EXAMPLES, root / "examples")
    source = root / "examples/c-server/server.c"
    command = next(line.split("  ")[-1].strip() for line in source.read_text().splitlines() if " cc -O2 " in line)
    subprocess.run(command.removeprefix("*").split(), cwd=source.parent, check=True)
    return root


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.parent.name for path in DOCUMENTS])
def test_applied_and_called(document: Path, examples: Path, platform: Platform, user: User) -> None:
    name, (method, body, headers), answer = ASKED[document.parent.name]
    text = (examples / "examples" / document.parent.name / "service.yaml").read_text()
    applied = subprocess.run(
        ["kubectl", "apply", "-f", "-"],
        input=text.replace("/path/to", str(examples)),
        env=platform.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout == f"service.serving.knative.dev/{name} created\n"
    assert applied.stderr == "", "a warning"
    user.until_ready(name)
    reply = user.call(name, method=method, body=body, headers=headers)
    assert reply.status == 200
    assert answer in reply.text
