"""`make demo`, as a newcomer without a terminal sees it: pilotlight.cli.demo from its first line to its last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_demo_tells_the_whole_story_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "pilotlight", "demo"]
    ended = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=110, check=False
    )
    assert ended.returncode == 0, ended.stderr
    story = ended.stdout
    for chapter in (
        "platform up in",
        "a request from zero: Hello, Ada!",
        "cold ",
        "200 answered 200",
        "back to zero",
        "202 to its producer",
        "trigger orders: 200",
        "trigger shipping: 204",
        "two functions woken",
    ):
        assert chapter in story
    most = max(int(line.split()[1]) for line in story.splitlines() if line.startswith("    replicas"))
    assert most > 1, story
    assert story.rindex("replicas 0 of 0") > story.index("back to zero")
    assert not list(tmp_path.glob("pilotlight-demo-*"))
