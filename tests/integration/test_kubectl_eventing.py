"""The real kubectl and eventing's kinds: documents of Knative's own pages, columns, explanations, refusals.

There is no controller behind the server; a status is written here as one would.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.resources.eventing import TRIGGER
from core.resources.messaging import CHANNEL
from tests.integration.test_kubectl import Kubectl, kubectl, lines, space

__all__ = ["kubectl", "space"]  # fixtures

pytestmark = pytest.mark.kubectl
WITH_LISTS = {"sequence", "parallel", "jobsink"}
DOCUMENTS = (Path(__file__).parent / "documents/eventing.yaml").read_text()


def test_documents_of_knative_are_taken_and_taken_again(space: Callable[..., str]) -> None:
    applied = lines(space("apply", "-f", "-", stdin=DOCUMENTS))
    assert [words[1:] for words in applied] == [["created"]] * DOCUMENTS.count("\nkind: ")

    def versions() -> str:
        return space(
            "get", "all", "-o", "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion} "
        )

    before = versions()
    again = lines(space("apply", "-f", "-", stdin=DOCUMENTS))
    # Of a custom kind kubectl sends a list again whose items the platform has filled in; nothing comes of it.
    assert {words[0].partition(".")[0] for words in again if words[-1] != "unchanged"} <= WITH_LISTS
    assert versions() == before
    served = lines(space("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=DOCUMENTS))
    assert {words[-1] for words in served} == {"serverside-applied"}
    assert space("diff", "-f", "-", stdin=DOCUMENTS) == ""
    everything = space("get", "all", "-o", "name")
    for name in ("broker.eventing.knative.dev/default", "channel.messaging.knative.dev/my-channel", "job.batch/pi"):
        assert name in everything


@pytest.mark.parametrize(
    ("resource", "columns"),
    [
        ("broker", "NAME URL AGE READY REASON"),
        ("trigger", "NAME BROKER SUBSCRIBER_URI AGE READY REASON"),
        ("eventtype", "NAME TYPE SOURCE SCHEMA REFERENCE NAME REFERENCE KIND DESCRIPTION READY REASON"),
        ("ch", "NAME URL AGE READY REASON"),
        ("imc", "NAME URL AGE READY REASON"),
        ("sub", "NAME AGE READY REASON"),
        ("sequence", "NAME URL AGE READY REASON"),
        ("parallel", "NAME URL AGE READY REASON"),
        ("pingsource", "NAME SINK SCHEDULE AGE READY REASON"),
        ("containersource", "NAME SINK AGE READY REASON"),
        ("sinkbinding", "NAME SINK AGE READY REASON"),
        ("apiserversource", "NAME SINK AGE READY REASON"),
        ("kafkasource", "NAME TOPICS BOOTSTRAPSERVERS READY REASON AGE"),
        ("rabbitmqsource", "NAME SINK AGE READY REASON"),
        ("kafkasink", "NAME URL AGE READY REASON"),
        ("jobsink", "NAME URL AGE READY REASON"),
        ("job", "NAME STATUS COMPLETIONS DURATION AGE"),
    ],
)
def test_columns(space: Callable[..., str], resource: str, columns: str) -> None:
    space("apply", "-f", "-", stdin=DOCUMENTS)
    assert " ".join(lines(space("get", resource))[0]) == columns


def test_what_stands_in_the_columns(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("apply", "-f", "-", stdin=DOCUMENTS)
    assert '["knative-demo-topic"]' in space("get", "kafkasource")
    assert lines(space("get", "job", "--no-headers"))[0][:3] == ["pi", "Running", "0/1"]
    assert lines(space("get", "eventtype", "--no-headers"))[0][1] == "dev.knative.source.github.push"
    namespace = space("get", "trigger", "push-trigger", "-o", "jsonpath={.metadata.namespace}")
    ready = {"conditions": [{"type": "Ready", "status": "False", "reason": "BrokerDoesNotExist"}]}
    for kind, name in ((TRIGGER, "push-trigger"), (CHANNEL, "my-channel")):
        status = {
            **ready,
            **({"address": {"url": "http://here/"}} if kind is CHANNEL else {"subscriberUri": "http://f/"}),
        }
        change = kubectl.server.backend.store.modify(
            kind, name, namespace, lambda obj, status=status: {**obj, "status": status}, "status"
        )
        kubectl.server.call(change)
    assert lines(space("get", "trigger", "push-trigger", "--no-headers"))[0][1:3] == ["default", "http://f/"]
    assert lines(space("get", "channel", "my-channel", "--no-headers"))[0][-2:] == ["False", "BrokerDoesNotExist"]
    space("wait", "--for=condition=Ready=False", "trigger/push-trigger", "--timeout=5s")


def test_explain(kubectl: Kubectl) -> None:
    filters = kubectl("explain", "trigger.spec.filters")
    assert "KIND:       Trigger" in filters
    for field in ("exact\t<map[string]string>", "cesql\t<string>", "not\t<SubscriptionsAPIFilter>"):
        assert field in filters
    assert "deadLetterSink\t<Destination>" in kubectl("explain", "broker.spec.delivery")
    assert "steps\t<[]SequenceStep>" in kubectl("explain", "sequence.spec")
    assert "completions\t<integer>" in kubectl("explain", "jobsink.spec.job.spec")


OLDER = """\
apiVersion: eventing.knative.dev/v1beta2
kind: EventType
metadata:
  name: dev.knative.source.github.push-44svn
  labels:
    eventing.knative.dev/sourceName: github-sample
spec:
  type: dev.knative.source.github.push
  source: https://github.com/knative/eventing
  schema:
  description:
  reference:
    apiVersion: eventing.knative.dev/v1
    kind: Broker
    name: default
---
apiVersion: sources.knative.dev/v1beta1
kind: KafkaSource
metadata:
  name: older
spec:
  bootstrapServers: ["my-cluster-kafka-bootstrap.kafka:9092"]
  topics: [knative-demo-topic]
  sink:
    uri: http://sink.example.com/
"""


def test_older_versions_are_the_same_objects(space: Callable[..., str]) -> None:
    assert {words[-1] for words in lines(space("apply", "-f", "-", stdin=OLDER))} == {"created"}
    assert {words[-1] for words in lines(space("apply", "-f", "-", stdin=OLDER))} == {"unchanged"}
    space("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=OLDER)
    name = "dev.knative.source.github.push-44svn"
    path = "jsonpath={.apiVersion} {.spec.attributes[?(@.name=='type')].value}{.spec.type}"
    kind = "dev.knative.source.github.push"
    assert space("get", "eventtype", name, "-o", path) == f"eventing.knative.dev/v1beta3 {kind}"
    older = "eventtypes.v1beta2.eventing.knative.dev"
    assert space("get", older, name, "-o", path) == f"eventing.knative.dev/v1beta2 {kind}"
    assert lines(space("get", older, "--no-headers"))[0][:3] == [name, kind, "https://github.com/knative/eventing"]
    space("patch", older, name, "--type=merge", '--patch={"spec":{"description":"Pushed."}}')
    assert space("get", "eventtype", name, "-o", "jsonpath={.spec.description}") == "Pushed."
    assert "v1beta1" in space("get", "kafkasources.v1beta1.sources.knative.dev", "older", "-o", "yaml")
    assert space("get", "kafkasource", "older", "-o", "jsonpath={.apiVersion}") == "sources.knative.dev/v1"
    space("delete", older, name)
    assert space("get", "eventtype", "-o", "name") == ""


def test_a_job_is_created_by_command(space: Callable[..., str]) -> None:
    space("create", "job", "hello", "--image=docker.io/library/busybox:1", "--", "date")
    path = "jsonpath={.spec.template.spec.restartPolicy} {.spec.template.spec.containers[0].command}"
    assert space("get", "job", "hello", "-o", path) == 'Never ["date"]'
    assert "Parallelism:      1" in space("describe", "job", "hello")


def test_a_kafka_source_is_scaled(space: Callable[..., str]) -> None:
    space("apply", "-f", "-", stdin=DOCUMENTS)
    space("scale", "kafkasource", "kafka-source", "--replicas=12")
    assert space("get", "kafkasource", "kafka-source", "-o", "jsonpath={.spec.consumers}") == "12"


def test_a_job_with_a_name_made_up_selects_its_own_pods(space: Callable[..., str]) -> None:
    document = DOCUMENTS[DOCUMENTS.index("apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: pi") :]
    name = space("create", "-f", "-", "-o", "name", stdin=document.replace("name: pi\nspec", "generateName: pi-\nspec"))
    path = "jsonpath={.spec.selector.matchLabels.batch\\.kubernetes\\.io/job-name}"
    assert space("get", name.strip(), "-o", path) == name.strip().partition("/")[2]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(
            ("patch", "trigger", "push-trigger", "--type=merge", '--patch={"spec":{"broker":"other"}}'),
            "Immutable fields changed (-old +new): spec.broker",
            id="immutable",
        ),
        pytest.param(
            ("patch", "trigger", "push-trigger", "--type=merge", '--patch={"spec":{"subscriber":null}}'),
            "expected at least one, got none: spec.subscriber.ref, spec.subscriber.uri",
            id="no subscriber",
        ),
        pytest.param(
            ("annotate", "broker", "default", "pilotlight.dev/deduplicate=10m"),
            "must be an ISO 8601 duration above zero, such as PT10M",
            id="annotation",
        ),
    ],
)
def test_refusals_are_worded_as_the_webhooks(
    kubectl: Kubectl, space: Callable[..., str], arguments: tuple[str, ...], text: str
) -> None:
    space("apply", "-f", "-", stdin=DOCUMENTS)
    namespace = space("get", "broker", "default", "-o", "jsonpath={.metadata.namespace}")
    refused = kubectl.fails("-n", namespace, *arguments)
    assert 'admission webhook "validation.webhook.eventing.knative.dev" denied the request' in refused
    assert text in refused
