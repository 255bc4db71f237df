"""deploy/runtimes/folders.py."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from deploy.runtimes.base import StartError
from deploy.runtimes.folders import Folders, is_ignored, parse_ignore
from tests.support.functions import write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "source", main="one = 1", pkg__mod="two = 2")


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_a_snapshot_has_the_content_and_is_named_by_it(tmp_path: Path, source: Path) -> None:
    folders = Folders(tmp_path / "kept")
    first = folders.snapshot(f"dir:{source}")
    assert names(first.folder) == ["main.py", "pkg/mod.py"]
    assert first.image == f"dir:{source}@sha256:{first.digest}"
    assert folders.snapshot(f"dir:{source}") == first
    copy = shutil.copytree(source, tmp_path / "copy")
    assert folders.snapshot(f"dir:{copy}").digest == first.digest, "the name says nothing of where it came from"


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "main.py").write_text("one = 3"),
        lambda folder: (folder / "main.py").rename(folder / "other.py"),
        lambda folder: (folder / "new.py").touch(),
        lambda folder: (folder / "pkg/mod.py").unlink(),
        lambda folder: (folder / "main.py").chmod(0o755),
        lambda folder: (folder / "link").symlink_to("main.py"),
    ],
)
def test_every_change_gives_another_name_and_leaves_the_old_content(tmp_path: Path, source: Path, change) -> None:  # type: ignore[no-untyped-def]
    folders = Folders(tmp_path / "kept")
    first = folders.snapshot(f"dir:{source}")
    change(source)
    assert folders.snapshot(f"dir:{source}").digest != first.digest
    assert folders.snapshot(first.image).folder == first.folder
    assert (first.folder / "main.py").read_text() == "one = 1"


def test_what_no_function_needs_is_left_out(tmp_path: Path, source: Path) -> None:
    write(source, **{".git__x": "", "node_modules__x": ""})
    for name in ("__pycache__", ".venv"):
        (source / name).mkdir()
        (source / name / "x.py").touch()
    (source / "main.pyc").touch()
    assert names(Folders(tmp_path / "kept").snapshot(f"dir:{source}").folder) == ["main.py", "pkg/mod.py"]


def test_an_ignore_file_is_obeyed(tmp_path: Path, source: Path) -> None:
    (source / ".funcignore").write_text("# nothing\npkg/\n*.log\n!keep.log\n")
    for name in ("a.log", "keep.log"):
        (source / name).touch()
    assert names(Folders(tmp_path / "kept").snapshot(f"dir:{source}").folder) == [".funcignore", "keep.log", "main.py"]


@pytest.mark.parametrize(
    ("rule", "name", "is_dir", "ignored"),
    [
        ("*.log", "a.log", False, True),
        ("*.log", "deep/a.log", False, True),
        ("/a.log", "deep/a.log", False, False),
        ("/a.log", "a.log", False, True),
        ("data/", "data", True, True),
        ("data/", "data", False, False),
        ("data/*.csv", "data/a.csv", False, True),
        ("data/*.csv", "data/x/a.csv", False, False),
        ("**/x", "a/b/x", False, True),
        ("a/**/x", "a/x", False, True),
        ("a/**", "a/b/c", False, True),
        ("?.py", "ab.py", False, False),
        ("[ab].py", "a.py", False, True),
        ("[!ab].py", "a.py", False, False),
        ("./a", "a", False, True),
    ],
)
def test_ignore_rules(rule: str, name: str, is_dir: bool, ignored: bool) -> None:
    assert is_ignored(name, is_dir, parse_ignore([rule])) is ignored


def test_links_stay_inside_and_what_they_name_outside_is_copied(tmp_path: Path, source: Path) -> None:
    outside = write(tmp_path / "outside", shared="three = 3")
    (source / "inner").symlink_to(source / "pkg")
    (source / "outer").symlink_to(outside)
    (source / "circle").symlink_to(source)
    kept = Folders(tmp_path / "kept").snapshot(f"dir:{source}").folder
    assert os.readlink(kept / "inner") == "pkg"
    assert (kept / "outer/shared.py").read_text() == "three = 3"
    assert not (kept / "outer").is_symlink()


def test_too_much_is_refused_with_a_way_out(tmp_path: Path, source: Path) -> None:
    (source / "big.bin").write_bytes(b"x" * (2 << 20))
    with pytest.raises(StartError, match=r"1 MiB.*\.funcignore.*big\.bin"):
        Folders(tmp_path / "kept", bytes_max=1 << 20).snapshot(f"dir:{source}")
    (source / ".funcignore").write_text("big.bin\n")
    Folders(tmp_path / "kept", bytes_max=1 << 20).snapshot(f"dir:{source}")


def test_content_that_is_gone_is_made_again_only_if_the_folder_still_has_it(tmp_path: Path, source: Path) -> None:
    folders = Folders(tmp_path / "kept")
    first = folders.snapshot(f"dir:{source}")
    shutil.rmtree(first.folder)
    assert folders.snapshot(first.image).folder.is_dir()
    shutil.rmtree(first.folder)
    (source / "main.py").write_text("changed = 1")
    with pytest.raises(StartError, match="deploy it again"):
        folders.snapshot(first.image)


def test_collect_keeps_what_is_used_and_what_was_asked_for_lately(tmp_path: Path, source: Path) -> None:
    folders = Folders(tmp_path / "kept")
    used = folders.snapshot(f"dir:{source}")
    (source / "main.py").write_text("changed = 1")
    old = folders.snapshot(f"dir:{source}")
    for snapshot in (used, old):
        os.utime(snapshot.folder, (0, 0))
    (source / "main.py").write_text("changed = 2")
    recent = folders.snapshot(f"dir:{source}")
    assert folders.collect(frozenset({used.digest}), time.time() - 3600) == [old.digest]
    assert used.folder.is_dir()
    assert recent.folder.is_dir()
