"""The real kubectl and KEDA's kinds: documents as KEDA's pages have them, columns, explanations, refusals.

There is no controller behind the server; a status is written here as one would.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from autoscaler.triggers.documents import authentication_of, triggers_of
from core.resources.keda import SCALED_OBJECT
from core.resources.meta import Json
from scalers.registry import definition_of
from scalers.remarks import Bounds, remarks_on
from tests.integration.test_kubectl import Kubectl, kubectl, lines, space

__all__ = ["kubectl", "space"]  # fixtures

pytestmark = pytest.mark.kubectl
DOCUMENTS = (Path(__file__).parent / "documents/keda.yaml").read_text()
CLUSTER = """\
apiVersion: keda.sh/v1alpha1
kind: ClusterTriggerAuthentication
metadata:
  name: file-based-auth
spec:
  filePath:
  - parameter: apiKey
    path: credentials/api-key
"""
RIVAL = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: rival}
spec:
  scaleTargetRef: {name: dummy}
  triggers: [{type: cron, metadata: {timezone: UTC, start: 0 6 * * *, end: 0 20 * * *, desiredReplicas: "1"}}]
"""
HPA = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: own}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: dummy}
  maxReplicas: 4
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}
  - type: External
    external: {metric: {name: lag, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: "30"}}
"""
UNQUOTED = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: unquoted}
spec:
  scaleTargetRef: {name: dummy}
  triggers:
  - type: kafka
    metadata:
      bootstrapServers: localhost:9092
      consumerGroup: my-group
      topic: test-topic
      lagThreshold: 5
      allowIdleConsumers: false
      excludePersistentLag: false
"""


def of_kind(kind: str) -> list[Json]:
    return [document for document in yaml.safe_load_all(DOCUMENTS) if document["kind"] == kind]


def name_of(document: Json) -> str:
    name: str = document["metadata"]["name"]
    return name


def named(name: str) -> str:
    return next(yaml.safe_dump(each) for each in yaml.safe_load_all(DOCUMENTS) if name_of(each) == name)


def space_of(space: Callable[..., str]) -> str:
    return space("get", "serviceaccount,so,configmap", "-o", "jsonpath={.items[0].metadata.namespace}")


def test_documents_of_keda_are_taken_and_taken_again(kubectl: Kubectl, space: Callable[..., str]) -> None:
    applied = lines(space("apply", "-f", "-", stdin=DOCUMENTS))
    assert [words[1:] for words in applied] == [["created"]] * DOCUMENTS.count("\nkind: ")
    again = {words[0]: words[-1] for words in lines(space("apply", "-f", "-", stdin=DOCUMENTS))}
    # stringData is sent again each time, as on a cluster.
    assert {word for name, word in again.items() if not name.startswith("secret/")} == {"unchanged"}
    served = lines(space("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=DOCUMENTS))
    assert {words[-1] for words in served} == {"serverside-applied"}
    keda = DOCUMENTS[DOCUMENTS.index("apiVersion: keda.sh") :]
    assert space("diff", "-f", "-", stdin=keda) == ""
    assert space("get", "so", "kafka-scaledobject", "-o", "jsonpath={.spec.maxReplicaCount}") == ""
    assert space("get", "so", "everything", "-o", "jsonpath={.spec.fallback.behavior}") == "currentReplicasIfHigher"


@pytest.mark.parametrize("document", [*of_kind("ScaledObject"), *of_kind("ScaledJob")], ids=name_of)
def test_scalers_find_nothing_wrong_with_them(document: Json) -> None:
    for trigger in triggers_of(document):
        authenticated = authentication_of(document, trigger.index) is not None
        bounds = Bounds(document["spec"].get("maxReplicaCount", 100), authenticated)
        assert remarks_on(trigger, definition_of(trigger.type), bounds) == []


def test_scalars_count_as_text_whichever_way_they_are_applied(kubectl: Kubectl, space: Callable[..., str]) -> None:
    """As KEDA's page on Apache Kafka had them up to 2.18, and that on PostgreSQL still has."""
    space("create", "configmap", "here")
    namespace = space_of(space)
    stored = (
        "jsonpath={.metadata.generation} {.spec.triggers[0].metadata.allowIdleConsumers} {.spec.triggers[*].metadata.*}"
    )
    for arguments in ((), (), ("--server-side", "--force-conflicts"), ("--server-side",)):
        done = kubectl.run("-n", namespace, "apply", *arguments, "-f", "-", stdin=UNQUOTED)
        assert done.returncode == 0, done.stderr
        assert (
            "Warning: spec.triggers[0].metadata: allowIdleConsumers, excludePersistentLag, lagThreshold: taken as if "
            "quoted" in done.stderr
        )
        generation, idle, *rest = space("get", "so", "unquoted", "-o", stored).split()
        assert (generation, idle, "5" in rest) == ("1", "false", True)
    assert 'allowIdleConsumers: "false"' in space("get", "so", "unquoted", "-o", "yaml")


@pytest.mark.parametrize(
    ("resource", "columns"),
    [
        (
            "so",
            "NAME SCALETARGETKIND SCALETARGETNAME MIN MAX READY ACTIVE FALLBACK PAUSED TRIGGERS AUTHENTICATIONS AGE",
        ),
        ("sj", "NAME MIN MAX READY ACTIVE PAUSED TRIGGERS AUTHENTICATIONS AGE"),
        ("ta", "NAME PODIDENTITY SECRET ENV VAULTADDRESS"),
        ("triggerauth", "NAME PODIDENTITY SECRET ENV VAULTADDRESS"),
    ],
)
def test_columns(space: Callable[..., str], resource: str, columns: str) -> None:
    space("apply", "-f", "-", stdin=DOCUMENTS)
    assert " ".join(lines(space("get", resource))[0]) == columns


def test_what_stands_in_the_columns(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("apply", "-f", "-", stdin=DOCUMENTS)
    assert lines(space("get", "sj", "--no-headers"))[0][:3] == ["rabbitmq-consumer", "10", "30"]
    wide = lines(space("get", "ta", "redis-env", "-o", "wide", "--no-headers"))[0]
    assert wide == ["redis-env", "REDIS_PASSWORD", "http://vault.example.com:8200"]
    namespace = space_of(space)
    status = {
        "scaleTargetKind": "apps/v1.Deployment",
        "scaleTargetGVKR": {"group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"},
        "triggersTypes": "kafka",
        "authenticationsTypes": "kafka-credential",
        "health": {"s0-kafka-test-topic": {"numberOfFailures": 0, "status": "Happy"}},
        "triggersActivity": {"s0-kafka-test-topic": {"isActive": True}},
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "ScaledObjectReady"},
            {"type": "Active", "status": "True"},
            {"type": "Fallback", "status": "False"},
            {"type": "Paused", "status": "Unknown"},
        ],
    }
    change = kubectl.server.backend.store.modify(
        SCALED_OBJECT, "kafka-scaledobject", namespace, lambda obj: {**obj, "status": status}, "status"
    )
    kubectl.server.call(change)
    cells = lines(space("get", "scaledobject", "kafka-scaledobject", "--no-headers"))[0][:-1]
    assert cells == [
        *("kafka-scaledobject", "apps/v1.Deployment", "kafka-deployment"),
        *("True", "True", "False", "Unknown", "kafka", "kafka-credential"),
    ]
    space("wait", "--for=condition=Ready", "so/kafka-scaledobject", "--timeout=5s")
    space("apply", "-f", "-", stdin=named("kafka-scaledobject"))
    path = "jsonpath={.status.health.s0-kafka-test-topic.status}"
    assert space("get", "so", "kafka-scaledobject", "-o", path) == "Happy"


def test_an_authentication_of_the_whole_platform(kubectl: Kubectl) -> None:
    try:
        assert "created" in kubectl("apply", "-f", "-", stdin=CLUSTER)
        assert "unchanged" in kubectl("apply", "-f", "-", stdin=CLUSTER)
        for name in ("cta", "clustertriggerauth", "clustertriggerauthentications.keda.sh"):
            assert lines(kubectl("get", name))[0] == ["NAME", "PODIDENTITY", "SECRET", "ENV", "VAULTADDRESS"]
        assert "one with a JSON object of" in kubectl("explain", "cta.spec.filePath")
    finally:
        kubectl("delete", "cta", "file-based-auth", "--ignore-not-found")


def test_explain(kubectl: Kubectl) -> None:
    rules = kubectl("explain", "scaledobject.spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown")
    assert "KIND:       ScaledObject" in rules
    for field in ("policies\t<[]ScalingPolicy>", "stabilizationWindowSeconds\t<integer>", "tolerance\t<"):
        assert field in rules
    assert "authenticationRef\t<AuthenticationRef>" in kubectl("explain", "so.spec.triggers")
    assert "completions\t<integer>" in kubectl("explain", "sj.spec.jobTargetRef")
    assert "tokenUrlParams\t<map[string]string>" in kubectl("explain", "ta.spec.oauth2")


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        (
            '{"spec":{"minReplicaCount":101}}',
            "spec.minReplicaCount: Invalid value: 101: must be less than or equal to maxReplicaCount, which is 12",
        ),
        ('{"spec":{"triggers":[]}}', "spec.triggers in body should have at least 1 items"),
        ('{"spec":{"scaleTargetRef":{"name":null}}}', "spec.scaleTargetRef.name: Required value"),
        ('{"spec":{"pollingInterval":0}}', "spec.pollingInterval: Invalid value: 0"),
        (
            '{"spec":{"advanced":{"scalingModifiers":{"formula":"a +","target":"1"}}}}',
            "spec.triggers[0].name: Required value: a formula refers to triggers by their names",
        ),
        (
            '{"metadata":{"annotations":{"pilotlight.dev/drain-time":"soon"}}}',
            'metadata.annotations[pilotlight.dev/drain-time]: Invalid value: "soon": must be a duration above zero',
        ),
        ('{"spec":{"triggers":[{"type":"cron","metadata":{"desiredReplicas":[1]}}]}}', "triggers[0].metadata"),
    ],
    ids=["bounds", "no triggers", "no target", "interval", "formula", "annotation", "a list as text"],
)
def test_refusals_name_the_field(kubectl: Kubectl, space: Callable[..., str], patch: str, text: str) -> None:
    name = "prometheus-scaledobject"
    space("apply", "-f", "-", stdin=named(name))
    refused = kubectl.fails("-n", space_of(space), "patch", "so", name, "--type=merge", "-p", patch)
    assert text in refused


def test_one_target_has_one_scaled_object(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("apply", "-f", "-", stdin=named("prometheus-scaledobject"))
    namespace = space_of(space)
    refused = kubectl.fails("-n", namespace, "apply", "-f", "-", stdin=RIVAL)
    assert "is already managed by the ScaledObject 'prometheus-scaledobject'" in refused
    space("delete", "so", "prometheus-scaledobject")
    done = kubectl.run("-n", namespace, "apply", "-f", "-", stdin=RIVAL)
    assert done.returncode == 0
    assert "Warning: spec.scaleTargetRef.name: there is no Deployment dummy in this namespace yet" in done.stderr


def test_an_autoscaler_of_ones_own_is_kept_and_counts(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("create", "configmap", "here")
    namespace = space_of(space)
    done = kubectl.run("-n", namespace, "apply", "-f", "-", stdin=HPA)
    assert done.returncode == 0
    assert "Warning: spec: is kept and not acted upon, only ScaledObjects scale here" in done.stderr
    assert "unchanged" in space("apply", "-f", "-", stdin=HPA)
    assert lines(space("get", "hpa", "--no-headers"))[0][:-1] == [
        *("own", "Deployment/dummy", "cpu:", "<unknown>/80%,", "<unknown>/30", "(avg)", "1", "4", "0"),
    ]
    assert "resource cpu on pods" in space("describe", "hpa", "own")
    assert "KIND:       HorizontalPodAutoscaler" in kubectl("explain", "hpa.spec.behavior.scaleUp")
    refused = kubectl.fails("-n", namespace, "apply", "-f", "-", stdin=RIVAL)
    assert "the workload 'dummy' of type 'apps/v1.Deployment' is already managed by the hpa 'own'" in refused
    space("annotate", "hpa", "own", "validations.keda.sh/hpa-ownership=false")
    space("apply", "-f", "-", stdin=RIVAL)


def test_an_autoscaler_by_command(space: Callable[..., str]) -> None:
    """In version v1 or v2, as kubectl's release has it, and as protobuf."""
    space("create", "deployment", "web", "--image=docker.io/library/nginx:1")
    space("autoscale", "deployment", "web", "--max=3", "--cpu-percent=60")
    printed = ["web", "Deployment/web", "cpu:", "<unknown>/60%", "1", "3"]
    assert lines(space("get", "hpa", "web", "--no-headers"))[0][:6] == printed
    assert lines(space("get", "horizontalpodautoscalers.v1.autoscaling", "web", "--no-headers"))[0][:6] == printed
    assert space("get", "hpa", "web", "-o", "jsonpath={.apiVersion}") == "autoscaling/v2"
    target = "jsonpath={.spec.targetCPUUtilizationPercentage}"
    assert space("get", "horizontalpodautoscalers.v1.autoscaling", "web", "-o", target) == "60"


def test_a_dry_run_stores_nothing(kubectl: Kubectl, space: Callable[..., str]) -> None:
    assert "created (server dry run)" in space("apply", "--dry-run=server", "-f", "-", stdin=RIVAL)
    assert space("get", "so", "-o", "name") == ""
    space("apply", "-f", "-", stdin=RIVAL)
    change = ("patch", "so", "rival", "--type=merge", "--dry-run=server", "-p", '{"spec":{"maxReplicaCount":7}}')
    assert "patched" in space(*change)
    assert space("get", "so", "rival", "-o", "jsonpath={.spec.maxReplicaCount}") == ""
    change = (*change[:-1], '{"spec":{"maxReplicaCount":0}}')
    assert "spec.maxReplicaCount" in kubectl.fails("-n", space_of(space), *change)


def test_a_pause_is_an_annotation(space: Callable[..., str]) -> None:
    space("apply", "-f", "-", stdin=RIVAL)
    space("annotate", "so", "rival", "autoscaling.keda.sh/paused-replicas=3")
    generation = space("get", "so", "rival", "-o", "jsonpath={.metadata.generation}")
    space("annotate", "so", "rival", "autoscaling.keda.sh/paused-replicas-")
    assert space("get", "so", "rival", "-o", "jsonpath={.metadata.generation}") == generation == "1"


def test_finalizers_hold_it_until_they_are_off(space: Callable[..., str]) -> None:
    space("apply", "-f", "-", stdin=RIVAL)
    space("patch", "so", "rival", "--type=merge", "-p", '{"metadata":{"finalizers":["finalizer.keda.sh"]}}')
    space("delete", "so", "rival", "--wait=false")
    assert space("get", "so", "rival", "-o", "jsonpath={.metadata.deletionTimestamp}") != ""
    space("patch", "so", "rival", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    space("wait", "--for=delete", "so/rival", "--timeout=5s")


def test_a_scaled_object_is_not_scaled_itself(kubectl: Kubectl, space: Callable[..., str]) -> None:
    space("apply", "-f", "-", stdin=RIVAL)
    refused = kubectl.fails("-n", space_of(space), "scale", "so", "rival", "--replicas=3")
    assert "scaledobjects have no scale on this server" in refused
