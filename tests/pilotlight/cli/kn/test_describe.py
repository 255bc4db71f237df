"""What list and describe say."""

from __future__ import annotations

from datetime import UTC, datetime

from core.resources.meta import Json
from pilotlight.cli.kn.describe import (
    describe_metadata,
    describe_plain,
    describe_revision,
    describe_service,
    describe_template,
    revision_row,
    service_row,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
SERVICE: Json = {
    "metadata": {"name": "hello", "namespace": "default", "creationTimestamp": "2026-01-02T03:03:05Z"},
    "status": {
        "url": "http://hello.default.localhost:8080",
        "address": {"url": "http://hello.default.svc.cluster.local"},
        "latestReadyRevisionName": "hello-00002",
        "traffic": [
            {"revisionName": "hello-00002", "latestRevision": True, "percent": 90},
            {"revisionName": "hello-00001", "percent": 10, "tag": "old", "url": "http://old-hello"},
        ],
        "conditions": [
            {"type": "ConfigurationsReady", "status": "True"},
            {
                "type": "Ready",
                "status": "False",
                "reason": "RevisionMissing",
                "message": "no such revision",
                "lastTransitionTime": "2026-01-02T00:04:05Z",
            },
        ],
    },
}


def test_service_rows_count_conditions() -> None:
    assert service_row(SERVICE, NOW) == (
        "hello",
        "http://hello.default.localhost:8080",
        "hello-00002",
        "60s",
        "1 OK / 2",
        "False",
        "RevisionMissing",
    )


def test_a_described_service_shows_its_traffic_and_reasons() -> None:
    text = "\n".join(describe_service(SERVICE, NOW))
    assert " 90%  @latest (hello-00002)" in text
    assert "tag old: http://old-hello" in text
    assert "!!  Ready                     3h     RevisionMissing: no such revision" in text


def test_revision_rows_show_the_traffic_their_service_gives_them() -> None:
    revision: Json = {
        "metadata": {
            "name": "hello-00001",
            "labels": {"serving.knative.dev/service": "hello", "serving.knative.dev/configurationGeneration": "1"},
            "creationTimestamp": "2026-01-02T03:03:05Z",
        },
        "spec": {"containers": [{"image": "x", "command": ["/app"], "env": [{"name": "A", "value": "1"}]}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "actualReplicas": 1, "desiredReplicas": 2},
    }
    assert revision_row(revision, SERVICE, NOW)[:5] == ("hello-00001", "hello", "10%", "old", "1")
    text = "\n".join(describe_revision(revision, NOW))
    assert "Image:      x" in text
    assert "Command:    /app" in text
    assert "Replicas:   1 of 2" in text


def test_a_described_domain_shows_what_it_maps_to() -> None:
    domain: Json = {
        "metadata": {"name": "shop.example.com", "namespace": "default"},
        "spec": {"ref": {"kind": "Service", "name": "hello", "namespace": "default"}},
    }
    assert "Reference:  Service default/hello" in "\n".join(describe_plain(domain, NOW))


def test_verbose_says_what_the_next_revision_runs() -> None:
    container = {
        "image": "hello:1",
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"secretRef": {"name": "keys"}}],
        "volumeMounts": [{"mountPath": "/etc/x", "name": "v"}],
        "resources": {"limits": {"memory": "1Gi", "cpu": "1"}},
    }
    template = {
        "metadata": {"annotations": {"autoscaling.knative.dev/min-scale": "1"}},
        "spec": {"containers": [container], "timeoutSeconds": 30, "containerConcurrency": 4},
    }
    service = {"metadata": {"name": "hello", "labels": {"b": "2", "a": "1"}}, "spec": {"template": template}}
    assert [*describe_metadata(service, NOW), *describe_template(service, NOW)] == [
        "", "Labels:", "  a: 1", "  b: 2",
        "", "Template:", "  autoscaling.knative.dev/min-scale: 1",
        "  Image:      hello:1", "  Env:        A", "  EnvFrom:    secret:keys", "  Mount:      /etc/x (v)",
        "  Limits:     cpu=1, memory=1Gi", "  At a time:  4 requests", "  Timeout:    30 s",
    ]  # fmt: skip
