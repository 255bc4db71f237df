"""`pilotlight build`: the same folder as a container image, run by the same platform. Covers deploy.function_image."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.function_image import HOST_FOLDER, ImagePlan, make_dockerfile
from pilotlight.cli.app import run
from tests.support.engine import connected, podman_service
from tests.support.platform import running_platform
from tests.support.python_base import build_python_base

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def engine_url() -> Iterator[str]:
    if url := os.environ.get("DOCKER_HOST"):
        yield url
        return
    service = podman_service()
    service.start()
    yield service.url
    service.stop()


def test_a_built_image_serves_what_the_folder_served(
    engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    function = tmp_path / "greeter"
    function.mkdir()
    (function / "core").mkdir()
    (function / "core" / "__init__.py").write_text("NAME = 'Ada'\n")
    (function / "main.py").write_text(
        "import core\n\ndef handle(request):\n    return f'Hello, {core.NAME}', 200, {'Content-Type': 'text/plain'}\n"
    )
    monkeypatch.setenv("DOCKER_HOST", engine_url)

    async def base() -> str:
        engine = await connected(engine_url)
        try:
            return await build_python_base(engine)
        finally:
            await engine.close()

    base_image = asyncio.run(base())
    with running_platform(tmp_path / "data") as platform:
        monkeypatch.setenv("PILOTLIGHT_DATA_DIR", platform.running.data_dir)
        capfd.readouterr()
        assert run(["build", "greeter", "--source", str(function), "--base", base_image, "--json"]) == 0
        image = json.loads(capfd.readouterr().out)["image"]
        assert run(["deploy", "greeter", "--image", image]) == 0
        capfd.readouterr()
        assert run(["invoke", "greeter"]) == 0
        assert capfd.readouterr().out == "Hello, Ada\n"


def test_the_recipe_runs_the_host_as_nobody_in_particular() -> None:
    recipe = make_dockerfile(ImagePlan("localhost/x:1", "localhost/base:1", "app:main"))
    assert recipe.startswith("FROM localhost/base:1\n")
    assert "USER 65532:65532" in recipe
    assert recipe.rstrip().endswith('"/app", "--entry", "app:main"]')
    assert (HOST_FOLDER / "host.py").exists()
