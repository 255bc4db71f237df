"""kn's traffic arithmetic, as a table."""

from __future__ import annotations

import pytest

from core.resources.meta import Json
from pilotlight.cli.kn.traffic import plan_traffic

LATEST = {"latestRevision": True, "percent": 100}


def pinned(name: str, percent: int, tag: str | None = None) -> Json:
    target: Json = {"revisionName": name, "latestRevision": False, "percent": percent}
    return {**target, "tag": tag} if tag else target


@pytest.mark.parametrize(
    ("current", "traffic", "expected"),
    [
        pytest.param([], ["@latest=100"], [LATEST], id="latest alone"),
        pytest.param([LATEST], ["a=10,@latest=90"], [{**LATEST, "percent": 90}, pinned("a", 10)], id="comma"),
        pytest.param([LATEST], ["a=10", "@latest"], [{**LATEST, "percent": 90}, pinned("a", 10)], id="open end"),
        pytest.param([LATEST], ["a=30"], [{**LATEST, "percent": 70}, pinned("a", 30)], id="rest to the unnamed"),
        pytest.param([LATEST], ["a=100"], [pinned("a", 100)], id="all to one"),
        pytest.param(
            [pinned("a", 100), pinned("b", 0, "b")],
            ["b=100"],
            [pinned("b", 100, "b")],
            id="a tag wins over a revision's name",
        ),
    ],
)
def test_shares(current: list[Json], traffic: list[str], expected: list[Json]) -> None:
    assert plan_traffic(current, traffic) == expected


@pytest.mark.parametrize(
    ("traffic", "words"),
    [
        (["a=60", "b=60"], "sum to 120, want 100"),
        (["a=10", "b=10", "@latest=20"], "sum to 40, want 100"),
        (["a=101"], "from 0 to 100"),
        (["a=x"], "from 0 to 100"),
        (["a", "b"], "only one target"),
        (["a=50", "a=50"], "named twice"),
    ],
)
def test_what_does_not_add_up_is_refused(traffic: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan_traffic([LATEST], traffic)


def test_tags_come_and_go() -> None:
    tagged = plan_traffic([LATEST], [], tags=["a=old", "@latest=new"])
    assert tagged == [{**LATEST, "tag": "new"}, pinned("a", 0, "old")]
    assert plan_traffic(tagged, [], untags=["old"]) == [{**LATEST, "tag": "new"}]
    moved = plan_traffic(tagged, [], tags=["b=old"], untags=["old"])
    assert moved == [{**LATEST, "tag": "new"}, pinned("b", 0, "old")]


def test_a_tag_belongs_to_one_target() -> None:
    with pytest.raises(ValueError, match="--untag old first"):
        plan_traffic([pinned("a", 100, "old")], [], tags=["b=old"])
    with pytest.raises(ValueError, match="no such tag"):
        plan_traffic([LATEST], [], untags=["old"])


def test_urls_of_the_status_do_not_come_back_as_spec() -> None:
    assert plan_traffic([{**LATEST, "url": "http://x"}], []) == [LATEST]
