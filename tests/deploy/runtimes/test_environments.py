"""deploy/runtimes/environments.py: real installations of a wheel made here, and one package from the index."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.runtimes import environments
from deploy.runtimes.base import StartError
from deploy.runtimes.environments import BASE, Environments, read_requirements
from tests.support.functions import make_wheel, write


def folder_with(path: Path, requirements: str | None = None, project: str | None = None, main: str = "") -> Path:
    write(path, main=main)
    if requirements is not None:
        (path / "requirements.txt").write_text(requirements)
    if project is not None:
        (path / "pyproject.toml").write_text(project)
    return path


def digest(folder: Path, *env: str) -> str | None:
    found = read_requirements(folder, env)
    return found and found.digest


@pytest.mark.parametrize(
    ("label", "requirements", "project", "main", "arguments", "implied"),
    [
        ("requirements", "a\n", None, "", ("-r", "requirements.txt"), ()),
        ("a project", None, "[project]\ndependencies = ['a>1', 'b']", "", ("a>1", "b"), ()),
        ("requirements before a project", "a", "[project]\ndependencies = ['b']", "", ("-r", "requirements.txt"), ()),
        ("the framework, unasked", None, None, "import functions_framework", (), ("functions_framework",)),
        (
            "the framework brings its events",
            None,
            None,
            "import functions_framework, cloudevents",
            (),
            ("functions_framework",),
        ),
        (
            "events beside others",
            "a",
            None,
            "from cloudevents.core.v1 import event",
            ("-r", "requirements.txt"),
            ("cloudevents",),
        ),
    ],
)
def test_what_is_asked_for(
    tmp_path: Path, label: str, requirements: str, project: str, main: str, arguments: object, implied: object
) -> None:
    found = read_requirements(folder_with(tmp_path / "f", requirements, project, main))
    assert found is not None
    assert (found.arguments, found.implied) == (arguments, implied)


@pytest.mark.parametrize(
    ("requirements", "project", "main"),
    [
        (None, None, ""),
        ("", None, ""),
        ("# nothing\n\n", None, ""),
        (None, "[project]\nname = 'x'", ""),
        (None, "[tool.black]", ""),
        (None, None, "from cloudevents.core.v1.event import CloudEvent"),
    ],
)
def test_who_asks_for_nothing_gets_the_platforms_own(
    tmp_path: Path, requirements: str | None, project: str | None, main: str
) -> None:
    assert read_requirements(folder_with(tmp_path / "f", requirements, project, main)) is None


def test_the_name_depends_on_all_that_goes_in_and_on_nothing_else(tmp_path: Path) -> None:
    one = folder_with(tmp_path / "1", "a==1\n-r more.txt\n./b.whl\n")
    (one / "more.txt").write_text("c\n")
    (one / "b.whl").write_bytes(b"1")
    first = digest(one)
    (one / "main.py").write_text("other = 1")
    (one / "requirements.txt").write_text("# a comment\na==1  # why\n\n-r more.txt\n./b.whl\n")
    assert digest(one) == first
    for name, content in (("more.txt", "d\n"), ("b.whl", "2"), ("requirements.txt", "a==2\n-r more.txt\n./b.whl\n")):
        before = digest(one)
        (one / name).write_text(content)
        assert digest(one) != before, name


def test_function_target_asks_for_the_framework(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "f", main="def hello(request): pass")
    assert digest(folder) is None
    found = read_requirements(folder, ("FUNCTION_TARGET",))
    assert found is not None
    assert found.implied == ("functions_framework",)


def test_a_broken_project_says_so(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"pyproject\.toml is not valid"):
        read_requirements(folder_with(tmp_path / "f", project="[project"))


def test_a_wheel_is_installed_once_and_used_in_its_place(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "f", "./tinything-1.0-py3-none-any.whl\n")
    make_wheel(folder)
    made = Environments(tmp_path / "environments")
    said: list[list[str]] = [[], []]

    async def both() -> list[environments.Environment]:
        return list(await asyncio.gather(*(made.ensure(folder, (), said[n].append) for n in (0, 1))))

    one, two = asyncio.run(both())
    assert one == two
    assert "making an environment" in (said[0][0], said[1][0])  # whoever came first
    assert said[0][-1] == said[1][-1] == "ready", "who waits for the same hears the same"
    assert any("Successfully installed" in line for line in said[1])
    assert [path.name for path in (tmp_path / "environments").iterdir()] == [one.digest]
    script = "import tinything, sys; print(tinything.WORD, sys.prefix)"
    output = subprocess.run([one.python, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == f"tiny {Path(one.python).parents[1]}\n"
    assert Path(one.bin, "tinything").read_text().startswith(f"#!{one.python}\n"), "scripts know where they have moved"
    again: list[str] = []
    assert asyncio.run(made.ensure(folder, (), again.append)) == one
    assert again == []


def test_a_package_of_the_index(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path / "f", project="[project]\nname = 'f'\nversion = '1'\ndependencies = ['iniconfig==2.0.0']"
    )
    environment = asyncio.run(Environments(tmp_path / "environments").ensure(folder))
    subprocess.run([environment.python, "-c", "import iniconfig"], check=True)


def test_what_cannot_be_installed_is_told_with_pips_words_and_leaves_nothing(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "f", "--no-index\nno-such-thing-at-all==7\n")
    made = Environments(tmp_path / "environments")
    with pytest.raises(StartError, match="no-such-thing-at-all==7") as failure:
        asyncio.run(made.ensure(folder))
    assert failure.value.reason == "ErrImagePull"
    assert list((tmp_path / "environments").iterdir()) == []


def test_who_gives_up_waiting_leaves_nothing_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "INSTALL_S_MAX", 0.05)
    made = Environments(tmp_path / "environments")
    with pytest.raises(StartError, match="not installed within"):
        asyncio.run(made.ensure(folder_with(tmp_path / "f", "iniconfig")))
    assert list((tmp_path / "environments").iterdir()) == []


def test_leftovers_and_what_nobody_asks_for_are_removed(tmp_path: Path) -> None:
    root = tmp_path / "environments"
    for name in ("tmp-half", "used", "old", "recent"):
        (root / name).mkdir(parents=True)
    made = Environments(root)
    made.clear_unfinished()
    for name in ("used", "old"):
        os.utime(root / name, (0, 0))
    assert made.collect(frozenset({"used"}), time.time() - 3600) == ["old"]
    assert sorted(path.name for path in root.iterdir()) == ["recent", "used"]


def test_the_base_environment_is_this_interpreter(tmp_path: Path) -> None:
    environment = asyncio.run(Environments(tmp_path / "e").ensure(folder_with(tmp_path / "f")))
    assert environment == BASE
    assert environment.python == sys.executable
    assert not (tmp_path / "e").exists()
