import pytest

from core.apiserver.table import columns_of, find, make_table
from core.errors import BadRequest
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.kinds import KINDS
from core.resources.meta import Column, Json

OBJECT: Json = {
    "metadata": {"name": "a", "labels": {"a.b/c": "x"}, "creationTimestamp": "2023-11-14T22:13:20Z"},
    "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}], "n": 0},
    "list": ["zero", "one"],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "a"),
        (".metadata.name", "a"),
        ("metadata.labels['a.b/c']", "x"),
        ("status.conditions[type=Ready].status", "True"),
        ("status.conditions[type=Gone].status", None),
        ("status.n", 0),
        ("status.n.more", None),
        ("list[1]", "one"),
        ("list[2]", None),
        ("list.name", None),
        ("nothing.at.all", None),
    ],
)
def test_paths(path: str, value: object) -> None:
    assert find(path, OBJECT) == value


def test_every_kind_shows_its_name_once() -> None:
    for kind in KINDS:
        assert [column.name for column in columns_of(kind)].count("Name") == 1, kind
        assert all(column.type in ("string", "integer", "date", "boolean") for column in columns_of(kind))


def test_a_table_for_kubectl() -> None:
    obj = {
        "metadata": {"name": "p", "labels": {"x": "y"}},
        "status": {"desiredScale": 3, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    table = make_table(POD_AUTOSCALER, [obj], version="v1", include="", now=0)
    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name", "DesiredScale", "ActualScale", "Ready", "Reason",
    ]  # fmt: skip
    row = table["rows"][0]
    assert row["cells"] == ["p", 3, None, "True", None]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"] == obj["metadata"]
    assert make_table(POD_AUTOSCALER, [obj], version="v1", include="Object", now=0)["rows"][0]["object"] is obj
    assert make_table(POD_AUTOSCALER, [obj], version="v1", include="None", now=0)["rows"][0]["object"] is None
    assert make_table(POD_AUTOSCALER, [], version="v1", include="", now=0, header=False)["columnDefinitions"] == []
    with pytest.raises(BadRequest):
        make_table(POD_AUTOSCALER, [], version="v1", include="Some", now=0)


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (Column("Age", "metadata.creationTimestamp", "date"), "100s"),
        (Column("Age", "metadata.gone", "date"), "<unknown>"),
        (Column("N", "status.n", "integer"), 0),
        (Column("N", "metadata.name", "integer"), None),
        (Column("B", "status.n", "boolean"), None),
        (Column("S", "status.n"), "0"),
        (Column("V", "", value=lambda obj: True), "true"),
        (Column("T", "", told=lambda obj, now: f"at {now:.0f}"), "at 1700000100"),
    ],
)
def test_cells(column: Column, shown: object) -> None:
    from core.apiserver.table import cell

    assert cell(column, OBJECT, 1_700_000_100.0) == shown
