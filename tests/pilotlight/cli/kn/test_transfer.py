"""A Service and its Revisions as a document: what is kept, what is left out, and that it can be read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.resources.meta import Json
from pilotlight.cli.kn.transfer import make_export, make_replay, read_export
from pilotlight.cli.session import UsageProblem

GROUP = "serving.knative.dev"


def revision(number: int, image: str) -> Json:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Revision",
        "metadata": {
            "name": f"hello-{number:05}",
            "namespace": "default",
            "uid": str(number),
            "labels": {f"{GROUP}/service": "hello", f"{GROUP}/configurationGeneration": str(number), "team": "a"},
            "annotations": {f"{GROUP}/creator": "me", "autoscaling.knative.dev/max-scale": "3"},
        },
        "spec": {"containers": [{"image": image}]},
        "status": {"observedGeneration": 1},
    }


REVISIONS = [revision(10, "c"), revision(9, "b"), revision(2, "a")]
SERVICE: Json = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "Service",
    "metadata": {"name": "hello", "namespace": "default", "uid": "s", "annotations": {f"{GROUP}/creator": "me"}},
    "spec": {
        "template": {"spec": {"containers": [{"image": "c"}]}},
        "traffic": [
            {"latestRevision": True, "percent": 80},
            {"revisionName": "hello-00009", "percent": 15},
            {"revisionName": "hello-00002", "percent": 5, "tag": "old"},
        ],
    },
    "status": {"latestCreatedRevisionName": "hello-00010", "url": "http://hello"},
}


def test_a_service_alone_is_what_its_user_wrote() -> None:
    assert make_export(SERVICE, [])["spec"] == {
        "service": {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Service",
            "metadata": {"name": "hello"},
            "spec": {"template": {"spec": {"containers": [{"image": "c"}]}}},
        }
    }


def test_revisions_come_in_their_order_and_the_latest_keeps_its_name() -> None:
    exported = make_export(SERVICE, REVISIONS)["spec"]
    assert exported["service"]["spec"]["template"]["metadata"]["name"] == "hello-00010"
    assert exported["service"]["spec"]["traffic"] == SERVICE["spec"]["traffic"]
    assert [r["metadata"]["name"] for r in exported["revisions"]] == ["hello-00002", "hello-00009"]
    assert exported["revisions"][0]["metadata"]["labels"][f"{GROUP}/service"] == "hello"
    assert exported["revisions"][0]["metadata"]["annotations"] == {"autoscaling.knative.dev/max-scale": "3"}
    assert "status" not in exported["revisions"][0]


def test_a_replay_is_one_service_after_another() -> None:
    replayed = make_replay(SERVICE, REVISIONS)["items"]
    templates = [item["spec"]["template"] for item in replayed]
    assert [t["metadata"]["name"] for t in templates] == ["hello-00002", "hello-00009", "hello-00010"]
    assert [t["spec"]["containers"][0]["image"] for t in templates] == ["a", "b", "c"]
    assert templates[0]["metadata"]["labels"] == {"team": "a"}
    assert [("traffic" in item["spec"]) for item in replayed] == [False, False, True]


def test_what_was_exported_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hello.json"
    document = make_export(SERVICE, REVISIONS)
    path.write_text(json.dumps(document))
    assert read_export(path) == (document["spec"]["service"], document["spec"]["revisions"])


@pytest.mark.parametrize("text", ["[", "a", "kind: Export", "{kind: Service, apiVersion: v1}", "[]"])
def test_other_documents_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UsageProblem, match=r"x\.yaml"):
        read_export(path)


def test_an_export_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    document = make_export(SERVICE, [])
    document["spec"]["service"]["metadata"] = {}
    path.write_text(json.dumps(document))
    with pytest.raises(UsageProblem, match=r"no metadata\.name"):
        read_export(path)
