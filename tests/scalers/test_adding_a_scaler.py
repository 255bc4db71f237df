"""docs/ADDING-A-SCALER.md does what it says: its scaler and its test are taken out of it, checked and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ADDING-A-SCALER.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = re.findall(r"^`([\w/]+\.py)`:$", PAGE, re.MULTILINE)
INSTALL = """
import importlib.util, sys
from scalers.registry import SCALERS

SCALERS.update({{{row}}})
spec = importlib.util.spec_from_file_location("scalers.folder", {path!r})
module = importlib.util.module_from_spec(spec)
sys.modules["scalers.folder"] = module
spec.loader.exec_module(module)
"""


def run(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=100)


def test_its_files_are_of_the_houses_style() -> None:
    assert FILES == ["scalers/folder.py", "tests/scalers/test_folder.py"]
    for name, text in zip(FILES, (BLOCKS[0], BLOCKS[2]), strict=True):
        for verb in (("check",), ("format", "--check")):
            done = run(sys.executable, "-m", "ruff", *verb, "--stdin-filename", name, "-", text=text)
            assert done.returncode == 0, done.stdout + done.stderr


def test_the_scaler_works_and_its_test_passes(tmp_path: Path) -> None:
    scaler, row, test = BLOCKS
    (tmp_path / "folder.py").write_text(scaler)
    (tmp_path / "conftest.py").write_text(INSTALL.format(row=row.strip(), path=str(tmp_path / "folder.py")))
    (tmp_path / "test_folder.py").write_text(test)
    done = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
