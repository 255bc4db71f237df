"""Options become the document that a user would have written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.cli.documents import FunctionOptions, make_service, parse_pairs


def template_of(options: FunctionOptions) -> dict[str, object]:
    template: dict[str, object] = make_service(options)["spec"]["template"]
    return template


def test_a_folder_becomes_a_python_function(tmp_path: Path) -> None:
    document = make_service(FunctionOptions("hello", "shop", source=tmp_path, env={"A": "1"}, port=9000))
    assert document["metadata"] == {"name": "hello", "namespace": "shop"}
    assert document["spec"]["template"]["spec"] == {
        "containers": [
            {
                "image": f"dir:{tmp_path}",
                "env": [{"name": "A", "value": "1"}],
                "ports": [{"containerPort": 9000}],
            }
        ],
        "runtimeClassName": "python",
    }


def test_an_image_leaves_the_runtime_to_the_platform() -> None:
    assert template_of(FunctionOptions("hello", image="ghcr.io/x/y:1")) == {
        "spec": {"containers": [{"image": "ghcr.io/x/y:1"}]}
    }


def test_a_command_alone_is_a_process_in_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    spec = make_service(FunctionOptions("hello", command=("./server", "-v")))["spec"]["template"]["spec"]
    assert spec["runtimeClassName"] == "process"
    assert spec["containers"][0]["command"] == ["./server", "-v"]
    assert spec["containers"][0]["workingDir"] == str(tmp_path)


def test_bounds_go_where_knative_reads_them() -> None:
    options = FunctionOptions("h", image="x", concurrency_limit=3, timeout_s=9, scale_min=1, scale_max=5)
    assert template_of(options) == {
        "spec": {"containers": [{"image": "x"}], "containerConcurrency": 3, "timeoutSeconds": 9},
        "metadata": {
            "annotations": {"autoscaling.knative.dev/min-scale": "1", "autoscaling.knative.dev/max-scale": "5"}
        },
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (FunctionOptions("h"), "say what to run"),
        (FunctionOptions("h", image="x", source=Path("/")), "give one of them"),
        (FunctionOptions("h", source=Path("/no/such/folder")), "no such folder"),
    ],
)
def test_contradictions_are_refused_in_words(options: FunctionOptions, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_service(options)


def test_pairs_keep_everything_after_the_first_equals_sign() -> None:
    assert parse_pairs(["A=1=2", "B="], "--env") == {"A": "1=2", "B": ""}
    with pytest.raises(ValueError, match="--env 'A': expected NAME=value"):
        parse_pairs(["A"], "--env")
