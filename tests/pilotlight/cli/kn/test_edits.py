"""Every flag's edit, on a document as kn makes it; and the flags as Typer shows them.

Covers pilotlight/cli/kn/edits.py, pilotlight/cli/kn/volume_edits.py and pilotlight/cli/kn/options.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.resources.meta import Json
from pilotlight.cli.kn.edits import edit_image_lock, split_pairs
from pilotlight.cli.kn.options import SERVICE_FLAGS, apply_flags


def applied(**flags: Any) -> Json:
    document: Json = {"metadata": {"name": "hello"}, "spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}
    return apply_flags(document, flags)


def container(**flags: Any) -> Json:
    found: Json = applied(**flags)["spec"]["template"]["spec"]["containers"][0]
    return found


def annotations(**flags: Any) -> Json:
    found: Json = applied(**flags)["spec"]["template"]["metadata"]["annotations"]
    return found


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"image": "y"}, {"image": "y"}),
        ({"env": ["A=1", "B=2=3"]}, {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2=3"}]}),
        ({"env": ["A=1", "A-"]}, {}),
        (
            {"env_value_from": ["A=secret:s:k"]},
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        ),
        ({"env_from": ["cm:c", "secret:s", "cm:c-"]}, {"envFrom": [{"secretRef": {"name": "s"}}]}),
        ({"port": "8081"}, {"ports": [{"containerPort": 8081}]}),
        ({"port": "h2c:9000"}, {"ports": [{"containerPort": 9000, "name": "h2c"}]}),
        ({"cmd": ["/app"], "arg": ["-v", "x"]}, {"command": ["/app"], "args": ["-v", "x"]}),
        (
            {"request": ["cpu=250m,memory=64Mi"], "limit": ["cpu=1"]},
            {"resources": {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": "1"}}},
        ),
        (
            {"probe_readiness": "http::8080:/health", "probe_readiness_opts": "period=2,timeout=1"},
            {
                "readinessProbe": {
                    "httpGet": {"port": 8080, "path": "/health"},
                    "periodSeconds": 2,
                    "timeoutSeconds": 1,
                }
            },
        ),
        ({"probe_liveness": "exec:cat,/ok"}, {"livenessProbe": {"exec": {"command": ["cat", "/ok"]}}}),
        ({"user": 1001}, {"securityContext": {"runAsUser": 1001}}),
        ({"pull_policy": "Never"}, {"imagePullPolicy": "Never"}),
    ],
)
def test_container_flags(flags: dict[str, Any], expected: Json) -> None:
    assert container(**flags) == {"image": "x", **expected}


def test_a_new_handler_keeps_the_probes_options() -> None:
    document = applied(probe_readiness="tcp::8080", probe_readiness_opts="period=5")
    again = apply_flags(document, {"probe_readiness": "grpc:9000"})
    assert again["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] == {
        "grpc": {"port": 9000},
        "periodSeconds": 5,
    }


@pytest.mark.parametrize(
    ("value", "low", "high"), [("3", "3", "3"), ("1..5", "1", "5"), ("2..", "2", None), ("..4", None, "4")]
)
def test_scale_in_one_flag(value: str, low: str | None, high: str | None) -> None:
    found = annotations(scale=value)
    assert found.get("autoscaling.knative.dev/min-scale") == low
    assert found.get("autoscaling.knative.dev/max-scale") == high


def test_autoscaling_annotations_stay_off_the_service() -> None:
    document = applied(annotation=["autoscaling.knative.dev/window=10s", "team=a"])
    assert document["metadata"]["annotations"] == {"team": "a"}
    assert document["spec"]["template"]["metadata"]["annotations"] == {
        "autoscaling.knative.dev/window": "10s",
        "team": "a",
    }


def test_visibility_goes_both_ways() -> None:
    document = applied(cluster_local=True)
    assert document["metadata"]["labels"] == {"networking.knative.dev/visibility": "cluster-local"}
    assert apply_flags(document, {"cluster_local": False})["metadata"]["labels"] == {}


def test_a_mounted_secret_brings_its_volume_and_takes_it_away() -> None:
    document = applied(mount=["/etc/key=secret:s"])
    spec = document["spec"]["template"]["spec"]
    assert spec["volumes"] == [{"name": "generated-secret-etc-key", "secret": {"secretName": "s"}}]
    assert spec["containers"][0]["volumeMounts"] == [{"mountPath": "/etc/key", "name": "generated-secret-etc-key"}]
    spec = apply_flags(document, {"mount": ["/etc/key-"]})["spec"]["template"]["spec"]
    assert "volumes" not in spec
    assert "volumeMounts" not in spec["containers"][0]


@pytest.mark.parametrize(
    ("source", "volume", "mount"),
    [
        ("cm:c/a/b", {"configMap": {"name": "c"}}, {"subPath": "a/b"}),
        ("secret:s:readOnly=true", {"secret": {"secretName": "s"}}, {"readOnly": True}),
        ("ed:", {"emptyDir": {}}, {}),
        ("ed:scratch", {"emptyDir": {}}, {}),
        ("emptyDir:scratch:size=1Gi,type=Memory", {"emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}}, {}),
        ("ed:size=1Gi", {"emptyDir": {"sizeLimit": "1Gi"}}, {}),
        ("pvc:claim", {"persistentVolumeClaim": {"claimName": "claim"}}, {}),
    ],
)
def test_what_may_be_mounted(source: str, volume: Json, mount: Json) -> None:
    spec = applied(mount=[f"/etc/x={source}"])["spec"]["template"]["spec"]
    name = f"generated-{source.partition(':')[0].lower()}-etc-x"
    (made,) = spec["volumes"]
    assert {**made, "name": made["name"].lower()} == {"name": name, **volume}
    assert spec["containers"][0]["volumeMounts"] == [{"mountPath": "/etc/x", "name": made["name"], **mount}]


def test_a_volume_that_is_there_is_mounted_by_its_name() -> None:
    spec = applied(volume=["v=ed:x:size=1Gi"], mount=["/a=v/sub", "/b=v:readOnly=false"])["spec"]["template"]["spec"]
    assert spec["volumes"] == [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}]
    assert spec["containers"][0]["volumeMounts"] == [
        {"mountPath": "/a", "name": "v", "subPath": "sub"},
        {"mountPath": "/b", "name": "v", "readOnly": False},
    ]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"env": ["A"]}, "--env 'A': expected NAME=value"),
        ({"port": "http2:80"}, "expected NUMBER or h2c:NUMBER"),
        ({"scale": "a..b"}, "expected N, MIN..MAX"),
        ({"env_from": ["x:y"]}, "expected cm:NAME or secret:NAME"),
        ({"mount": ["/p=nfs:x"]}, "expected KIND:NAME, where KIND is cm"),
        ({"mount": ["/p=cm:x:size=1Gi"]}, "size is for emptyDir volumes"),
        ({"volume": ["v=cm:x:a=b"]}, "a is for emptyDir volumes"),
        ({"probe_readiness": "udp:1"}, "expected http:"),
        ({"security_context": "loose"}, "expected none or strict"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        applied(**flags)


def test_files_are_read_by_the_table(tmp_path: Path) -> None:
    variables = tmp_path / "env"
    variables.write_text("# ours\nA=1\n\nB=2\n")
    assert container(env_file=variables)["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    more = tmp_path / "containers.yaml"
    more.write_text("containers:\n- name: side\n  image: z\n")
    containers = applied(containers=more)["spec"]["template"]["spec"]["containers"]
    assert containers == [{"image": "x"}, {"name": "side", "image": "z"}]


def test_every_flag_has_help_and_a_name_of_its_own() -> None:
    names = [declaration for flag in SERVICE_FLAGS for declaration in flag.declarations]
    assert len(names) == len(set(names))
    assert all(flag.help.endswith((".", "=")) or "=" in flag.help for flag in SERVICE_FLAGS)


@pytest.mark.parametrize(
    ("label", "image", "digest", "expected"),
    [
        ("a tag", "reg/x:1", "reg/x@sha256:ab", "reg/x@sha256:ab"),
        ("another image by now", "reg/y:1", "reg/x@sha256:ab", "reg/y:1"),
        ("never resolved", "reg/x:1", None, "reg/x:1"),
    ],
)
def test_the_image_that_runs_is_kept(label: str, image: str, digest: str | None, expected: str) -> None:
    ran = {"containers": [{"name": "user-container", "image": "reg/x:1"}]}
    revision = {"spec": ran, "status": {"containerStatuses": [{"name": "user-container", "imageDigest": digest}]}}
    service: Json = {"metadata": {}, "spec": {"template": {"spec": {"containers": [{"image": image}]}}}}
    edit_image_lock(service, revision)
    assert service["spec"]["template"]["spec"]["containers"][0]["image"] == expected, label


def test_former_names_do_the_same() -> None:
    assert annotations(autoscale_window="10s") == annotations(scale_window="10s")
    assert annotations(concurrency_target=7) == annotations(scale_target=7)


def test_pairs() -> None:
    assert list(split_pairs(["a=1", "b-"], "--x")) == [("a", "1"), ("b", None)]
