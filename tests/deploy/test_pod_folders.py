"""Folders of Pods: made ahead or as they come, removed, swept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from deploy.pod_folders import SPARES, PodFolders


def not_now(work: Callable[[], None]) -> None:
    pass


def names(root: Path) -> set[str]:
    return {folder.name for folder in root.iterdir()}


def contents(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def test_every_pod_gets_a_folder_with_the_spares_and_without(tmp_path: Path) -> None:
    later: list[Callable[[], None]] = []
    folders = PodFolders(tmp_path / "pods", later.append)
    folders.sweep(())
    made = [tmp_path / "pods" / f"default_web_{number}" for number in range(2 * SPARES)]
    for folder in made:
        folders.make(folder)
    assert all(contents(folder) == {"logs", "scratch"} for folder in made)
    assert names(tmp_path / "pods") == {folder.name for folder in made}, "no spare is left"
    assert len(later) == 2 * SPARES
    later[0]()
    assert len(names(tmp_path / "pods") - {folder.name for folder in made}) == SPARES, (
        "in a while there are as many again"
    )
    later[1]()
    folders.remove(made[0])
    assert len(names(tmp_path / "pods")) == 3 * SPARES - 1


def test_a_folder_that_was_there_keeps_what_is_in_it(tmp_path: Path) -> None:
    folders = PodFolders(tmp_path, not_now)
    folders.sweep(())
    folder = tmp_path / "default_web_1"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "main.log").write_text("from before\n")
    folders.make(folder)
    assert (folder / "logs" / "main.log").read_text() == "from before\n"
    assert contents(folder) == {"logs", "scratch"}


def test_a_spare_that_somebody_removed_is_not_missed(tmp_path: Path) -> None:
    folders = PodFolders(tmp_path, not_now)
    folders.sweep(())
    for spare in tmp_path.iterdir():
        shutil.rmtree(spare)
    folders.make(tmp_path / "default_web_1")
    assert contents(tmp_path / "default_web_1") == {"logs", "scratch"}


def test_the_sweep_leaves_those_that_are_known(tmp_path: Path) -> None:
    for name in ("default_web_1", "default_web_2", ".spare-9"):
        (tmp_path / name / "logs").mkdir(parents=True)
    folders = PodFolders(tmp_path, not_now)
    for _ in range(2):
        folders.sweep({"2"})
        left = names(tmp_path)
        assert "default_web_2" in left
        assert len(left) == 1 + SPARES
        assert not left & {"default_web_1", ".spare-9"}
