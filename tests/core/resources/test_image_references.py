"""What may name an image."""

from __future__ import annotations

import pytest

from core.resources.image_references import is_image_reference

DIGEST = "@sha256:" + "a" * 64


@pytest.mark.parametrize(
    "text",
    [
        "busybox",
        "x",
        "busybox:1.36",
        "gcr.io/me/img:v1",
        f"gcr.io/me/img:v1{DIGEST}",
        f"ubuntu{DIGEST}",
        "localhost:5000/a/b",
        "localhost/a",
        "[::1]:5000/a",
        "Registry.example.com/a",
        "a.b/c-d_e",
    ],
)
def test_a_reference(text: str) -> None:
    assert is_image_reference(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bad image",
        "foo:bar:baz",
        "Upper/case",
        "x@sha256:abc",
        "x@md5:" + "a" * 32,
        f"x{DIGEST}{DIGEST}",
        "a:b c",
        "a" * 256,
    ],
)
def test_no_reference(text: str) -> None:
    assert not is_image_reference(text)
