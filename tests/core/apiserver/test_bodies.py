import pytest

from core.apiserver.bodies import YAML_BYTES_MAX, media_type, read_json, read_object, read_yaml
from core.errors import BadRequest, TooLarge


@pytest.mark.parametrize(
    ("text", "document"),
    [
        (b"{a: 1}", {"a": 1}),
        (b'{"a": 1}', {"a": 1}),
        (b"a: 2024-01-01", {"a": "2024-01-01"}),
        (b"a: null\nb: ~", {"a": None, "b": None}),
        (b"1: x", {"1": "x"}),
        (b"a: true\nb: 'true'\nc: 1.5", {"a": True, "b": "true", "c": 1.5}),
    ],
)
def test_yaml_as_json(text: bytes, document: object) -> None:
    assert read_yaml(text) == document


@pytest.mark.parametrize(
    "text",
    [b"a: !!python/object:os.system {}", b"a: !!binary AAAA", b"a: 1\n---\nb: 2", b"\x00", b"a: !!set {x, y}"],
)
def test_yaml_that_is_not_json(text: bytes) -> None:
    with pytest.raises(BadRequest):
        read_yaml(text)


def test_yaml_is_bounded() -> None:
    with pytest.raises(TooLarge):
        read_yaml(b"a: " + b"x" * YAML_BYTES_MAX)


@pytest.mark.parametrize(
    "text", [b'{"a":' * 201 + b"1" + b"}" * 201, b"[" * 201 + b"]" * 201], ids=["objects", "lists"]
)
def test_depth_is_bounded(text: bytes) -> None:
    with pytest.raises(BadRequest, match="nested too deeply"):
        read_json(text)
    with pytest.raises(BadRequest):
        read_yaml(text)


def test_width_is_not() -> None:
    assert len(read_json(b"[" + b",".join([b"{}"] * 5000) + b"]")) == 5000


def test_the_type_is_read_without_its_parameters() -> None:
    assert media_type("Application/JSON; charset=utf-8") == "application/json"
    assert read_object("", b"{}") == {}
