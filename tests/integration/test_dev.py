"""`pilotlight dev`: a change in the folder is a new revision. Covers pilotlight.cli.dev and pilotlight.cli.build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from pilotlight.cli.dev import _brief, make_document


def test_a_saved_file_is_served_and_a_mistake_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "hello"
    folder.mkdir()
    source = folder / "main.py"
    source.write_text("def handle(request):\n    return 'one'\n")
    environment = {**os.environ, "PILOTLIGHT_DATA_DIR": str(tmp_path / "data"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "pilotlight", "dev", str(folder)]
    output = tmp_path / "output"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=sink, cwd=tmp_path, text=True
        )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert next(line for line in lines if "✓" in line).startswith("✓ hello-00001  http://hello.default.localhost")
        source.write_text("def handle(request):\n    return 'two'\n")
        assert "✓ hello-00002" in next(line for line in lines if "✓" in line)
        source.write_text("def handle(request:\n")
        source_is_told = next(line for line in lines if "SyntaxError" in line)  # the function's own log
        assert "SyntaxError" in source_is_told
        source.write_text("def handle(request):\n    return 'three'\n")
        assert "✓ hello-0000" in next(line for line in lines if "✓" in line)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, output.read_text()
    assert not list(tmp_path.glob("pilotlight-dev-*"))


def test_of_a_traceback_the_last_line_is_told() -> None:
    message = 'Revision "x" failed with message: Traceback\n  File "main.py"\nNameError: name "y" is not defined'
    assert _brief(message) == 'Revision "x" failed: NameError: name "y" is not defined'
    assert _brief("one line") == "one line"


def test_the_same_content_is_the_same_document(tmp_path: Path) -> None:
    first = make_document("default", tmp_path, "x", "sha256:aaa")
    assert first == make_document("default", tmp_path, "x", "sha256:aaa")
    assert first != make_document("default", tmp_path, "x", "sha256:bbb")
