"""Volumes on disk: files that change at once, parts of volumes, and what may not be mounted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.meta import Json
from core.resources.pods import POD
from deploy.podplan import Planned
from deploy.podvolumes import FilesVolume, VolumeFile
from deploy.runtimes.base import ContainerPlan, Mount, PodPlan, StartError
from deploy.volume_files import VolumeFiles, prepare_parts
from tests.support.pods import NodeWorld, container, is_ready, node_world, pod, waiting_reason

PATHS = st.sampled_from(["a", "b", "x/c", "x/d", "y/e"])
CONTENTS = st.dictionaries(PATHS, st.sampled_from([b"", b"1", b"2"]), max_size=4)


def planned(folder: Path, files: dict[str, bytes], mode: int = 0o640) -> Planned:
    nobody: PodPlan = None  # type: ignore[assignment]
    volume = FilesVolume(tuple(VolumeFile(path, content, mode) for path, content in files.items()), origin="o")
    return Planned(nobody, live={folder: volume})


def seen(folder: Path) -> dict[str, bytes]:
    """As a process sees it that follows links, and passes over what begins with dots."""
    top = [each for each in folder.iterdir() if not each.name.startswith("..")]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for each in top
        for path in (each.rglob("*") if each.is_dir() else [each])
        if path.is_file()
    }


@given(st.lists(CONTENTS, min_size=1, max_size=5))
def test_what_is_shown_is_the_newest_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, given: list) -> None:
    root = tmp_path_factory.mktemp("v")
    shelf, folder = VolumeFiles(root), root / "o"
    shelf.take(planned(folder, given[0]))
    place = folder.stat().st_ino
    for files in given:
        shelf.refresh(planned(folder, files))
        assert seen(folder) == files
        assert len([each for each in folder.iterdir() if each.name.startswith("..")]) == 2, "the link and its target"
    assert folder.stat().st_ino == place, "it is mounted: it must stay the same"
    shelf.give_back(planned(folder, {}))
    assert not folder.exists()


def test_a_reader_that_has_a_folder_open_sees_one_state(tmp_path: Path) -> None:
    shelf, folder = VolumeFiles(tmp_path), tmp_path / "o"
    shelf.take(planned(folder, {"a": b"1", "b": b"1"}))
    held = os.open(folder / "..data", os.O_RDONLY)
    with open(folder / "a", "rb") as file:
        shelf.refresh(planned(folder, {"a": b"2"}))
        assert file.read() == b"1"
    assert os.listdir(held) == [], "the old state goes as a whole; the new one never appears in it"
    os.close(held)
    assert (folder / "a").stat().st_mode & 0o777 == 0o640


def with_mount(source: Path, volume: Path) -> ContainerPlan:
    return ContainerPlan("main", "x", mounts=(Mount(source, "/m", False, volume),))


def test_a_missing_part_is_made_for_any_user(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    prepare_parts(with_mount(tmp_path / "v/a/b", tmp_path / "v"))
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "v/a", tmp_path / "v/a/b")] == [0o777, 0o777]


@pytest.mark.parametrize("link", ["/etc", "..", "../v2"])
def test_a_link_that_a_container_left_leads_nowhere_else(tmp_path: Path, link: str) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (volume / "a").symlink_to(link)
    with pytest.raises(StartError, match="it leads out of the volume"):
        prepare_parts(with_mount(volume / "a", volume))
    assert not (tmp_path / "v2").exists()


def test_a_link_inside_the_volume_and_a_file_in_the_way(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    (volume / "real").mkdir(parents=True)
    (volume / "a").symlink_to("real")
    prepare_parts(with_mount(volume / "a", volume))
    (volume / "file").write_text("")
    prepare_parts(with_mount(volume / "file", volume))
    with pytest.raises(StartError, match=r"Not a directory|File exists"):
        prepare_parts(with_mount(volume / "file/x", volume))


# With a node around it.


def run(tmp_path: Path, test) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), node_world(tmp_path) as world:
            await test(world)

    asyncio.run(main())


async def until(holds) -> None:
    async with asyncio.timeout(15):
        while not holds():
            await asyncio.sleep(0.005)


def config(**data: str) -> Json:
    return {"metadata": {"name": "cfg", "namespace": "default"}, "data": data}


async def change(world: NodeWorld, **data: str) -> None:
    await world.store.modify(CONFIG_MAP, "cfg", "default", lambda obj: {**obj, "data": data})


def test_a_running_pod_sees_its_config_map_change(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        await world.store.create(CONFIG_MAP, config(a="1", b="1"))
        volumes = [{"name": "cfg", "configMap": {"name": "cfg"}}]
        mounts = [{"name": "cfg", "mountPath": "/cfg"}, {"name": "cfg", "mountPath": "/a", "subPath": "a"}]
        first = await world.create(pod(container(volumeMounts=mounts), volumes=volumes))
        await world.until(first, is_ready)
        whole, part = (mount.source for mount in world.runtime.sandboxes[first].plan.containers[0].mounts)
        await change(world, a="2", c="3")
        await until(lambda: seen(whole) == {"a": b"2", "c": b"3"})
        assert part.read_text() == "1", "a mounted part stays what it was"
        second = await world.create(pod(container(volumeMounts=mounts), volumes=volumes))
        await world.until(second, is_ready)
        again, new = (mount.source for mount in world.runtime.sandboxes[second].plan.containers[0].mounts)
        assert (again, new.read_text()) == (whole, "2")
        await world.store.delete(CONFIG_MAP, "cfg", "default")
        assert 'configmap "cfg" not found' in await world.until_said(first, "FailedMount")
        assert seen(whole) == {"a": b"2", "c": b"3"}, "one that is gone stays as it was"
        for name in (first, second):
            await world.store.delete(POD, name, "default")
            await world.until_gone(name)
        assert not whole.exists()

    run(tmp_path, test)


def test_an_optional_secret_appears(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        volumes = [{"name": "s", "projected": {"sources": [{"secret": {"name": "late", "optional": True}}]}}]
        name = await world.create(pod(container(volumeMounts=[{"name": "s", "mountPath": "/s"}]), volumes=volumes))
        await world.until(name, is_ready)
        (mount,) = world.runtime.sandboxes[name].plan.containers[0].mounts
        assert seen(mount.source) == {}
        metadata = {"name": "late", "namespace": "default"}
        await world.store.create(SECRET, {"metadata": metadata, "data": {"k": "djE="}})
        await until(lambda: seen(mount.source) == {"k": b"v1"})

    run(tmp_path, test)


def test_parts_of_volumes_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.groundwork.REPLAN_S", 0.02)

    async def test(world: NodeWorld) -> None:
        await world.store.create(CONFIG_MAP, config(a="1"))
        volumes = [{"name": "cfg", "configMap": {"name": "cfg"}}, {"name": "tmp", "emptyDir": {}}]
        mounts = [
            {"name": "cfg", "mountPath": "/late", "subPath": "late"},
            {"name": "tmp", "mountPath": "/x", "subPath": "x"},
            {"name": "tmp", "mountPath": "/me", "subPathExpr": "of/$(WHO)"},
        ]
        env = [{"name": "WHO", "value": "ada"}]
        name = await world.create(pod(container(volumeMounts=mounts, env=env), volumes=volumes))
        stuck = await world.until(name, lambda obj: waiting_reason(obj) == "CreateContainerConfigError")
        message = stuck["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
        assert message == 'subPath "late" is not in volume "cfg"'
        await change(world, late="2")
        await world.until(name, is_ready)
        late, below, mine = (mount.source for mount in world.runtime.sandboxes[name].plan.containers[0].mounts)
        assert late.read_text() == "2"
        assert [path.is_dir() for path in (below, mine)] == [True, True]
        assert mine.parts[-2:] == ("of", "ada")

    run(tmp_path, test)
