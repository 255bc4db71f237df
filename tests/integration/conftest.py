"""One platform for all tests of a file that ask for it, and a user of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotlight.cli.platform import stop
from pilotlight.datadir import DataDir
from tests.support.platform import Platform, running_platform
from tests.support.user import User, hurry


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture(scope="module")
def user(platform: Platform) -> User:
    """Of a platform whose idle functions go to zero soon."""
    user = User(platform)
    hurry(user)
    return user


@pytest.fixture
def nothing_left_running(tmp_path: Path) -> Iterator[None]:
    """For tests that start platforms over and over: the last one on their folder ends with them."""
    yield
    if running := DataDir(tmp_path).running():
        stop(running)
