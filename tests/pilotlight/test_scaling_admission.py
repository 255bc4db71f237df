"""What is said of KEDA's documents in view of other objects: through the API, as a client hears it."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.jobs.documents import jobs_spec
from autoscaler.triggers.documents import scaling_spec
from core.resources.meta import Json
from pilotlight.scaling_admission import ScalingAdmission
from tests.core.apiserver.test_noise import places
from tests.support.api import Api, deployment, make_api

pytestmark = pytest.mark.anyio
DOCUMENTS = Path(__file__).parents[1] / "integration/documents/keda.yaml"
KEDA = "/apis/keda.sh/v1alpha1/namespaces/default"
OBJECTS = "/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects"
JOBS = "/apis/keda.sh/v1alpha1/namespaces/default/scaledjobs"
AUTHENTICATIONS = "/apis/keda.sh/v1alpha1/namespaces/default/triggerauthentications"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CRON: Json = {
    "type": "cron",
    "metadata": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *", "desiredReplicas": "2"},
}
CPU: Json = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(anyio_backend: str) -> Api:
    """With a Deployment `w`."""
    plain = await make_api()
    judged = Api(dataclasses.replace(plain.backend, judges=ScalingAdmission(plain.store).judges))
    assert (await judged.post(DEPLOYMENTS, deployment("w"))).code == 201
    return judged


def scaled(name: str = "a", **spec: Any) -> Json:
    spec = {"scaleTargetRef": {"name": "w"}, "triggers": [CRON], **spec}
    return {"metadata": {"name": name}, "spec": copy.deepcopy(spec)}


def texts(warnings: list[str]) -> list[str]:
    return [text.removeprefix('299 - "').removesuffix('"') for text in warnings]


async def test_nothing_is_said_of_what_is_well(api: Api) -> None:
    answer = await api.post(OBJECTS, scaled())
    assert (answer.code, answer.warnings) == (201, [])


async def test_one_target_has_one_scaled_object(api: Api) -> None:
    await api.post(OBJECTS, scaled())
    rival = scaled("b", scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"})
    answer = await api.post(OBJECTS, rival)
    assert answer.code == 422
    assert answer.json["message"] == (
        'ScaledObject.keda.sh "b" is invalid: spec.scaleTargetRef.name: '
        "the workload 'w' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'a'"
    )
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == ["spec.scaleTargetRef.name"]
    assert (await api.post(f"{OBJECTS}?dryRun=All", rival)).code == 422
    assert (await api.post(OBJECTS, scaled("b", scaleTargetRef={"name": "other"}))).code == 201
    merge = {"content-type": "application/merge-patch+json"}
    moved = await api.request("PATCH", f"{OBJECTS}/b", {"spec": {"scaleTargetRef": {"name": "w"}}}, merge)
    assert moved.code == 422
    assert (await api.request("PATCH", f"{OBJECTS}/a", {"spec": {"maxReplicaCount": 5}}, merge)).code == 200


async def test_of_many_at_once_one_has_the_target(api: Api) -> None:
    answers = await asyncio.gather(*(api.post(OBJECTS, scaled(f"so-{number}")) for number in range(8)))
    assert sorted(answer.code for answer in answers) == [201] + [422] * 7


async def test_another_namespace_or_kind_is_another_target(api: Api) -> None:
    await api.post(OBJECTS, scaled())
    assert (await api.post(OBJECTS.replace("default", "kube-system"), scaled())).code == 201
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "w"}
    assert (await api.post(OBJECTS, scaled("b", scaleTargetRef=service))).code == 201


async def test_two_of_one_autoscalers_name(api: Api) -> None:
    await api.post(OBJECTS, scaled())
    advanced = {"horizontalPodAutoscalerConfig": {"name": "keda-hpa-a"}}
    answer = await api.post(OBJECTS, scaled("b", scaleTargetRef={"name": "other"}, advanced=advanced))
    assert answer.code == 422
    assert answer.json["message"].endswith(
        "spec.advanced.horizontalPodAutoscalerConfig.name: "
        "the HPA 'keda-hpa-a' is already managed by the ScaledObject 'a'"
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("", "keda-hpa-a"), ("mine", "mine"), ("keda-hpa-b", "")],
    ids=["made up and given", "given twice", "given and made up"],
)
async def test_names_of_autoscalers_meet_in_every_way(api: Api, ours: str, theirs: str) -> None:
    def advanced(name: str) -> Json:
        return {"horizontalPodAutoscalerConfig": {"name": name}} if name else {}

    other = scaled("b", scaleTargetRef={"name": "other"}, advanced=advanced(theirs))
    assert (await api.post(OBJECTS, other)).code == 201
    assert (await api.post(OBJECTS, scaled("c", scaleTargetRef={"name": "a"}))).code == 201
    answer = await api.post(OBJECTS, scaled("a", advanced=advanced(ours)))
    assert answer.code == 422
    assert "is already managed by the ScaledObject 'b'" in answer.json["message"]


HPAS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
TRANSFER = "scaledobject.keda.sh/transfer-hpa-ownership"


def hpa(name: str = "mine", target: str = "w", annotations: Json | None = None) -> Json:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    spec = {"scaleTargetRef": reference, "maxReplicas": 3}
    return {"metadata": {"name": name, "annotations": annotations or {}}, "spec": spec}


async def test_a_target_with_an_autoscaler_of_another_has_no_scaled_object(api: Api) -> None:
    answer = await api.post(HPAS, hpa())
    assert answer.code == 201
    assert "is kept and not acted upon" in answer.warnings[0]
    answer = await api.post(OBJECTS, scaled())
    assert answer.code == 422
    assert (
        "spec.scaleTargetRef.name: the workload 'w' of type 'apps/v1.Deployment' is already managed by the hpa 'mine'"
    ) in answer.json["message"]
    assert (await api.post(OBJECTS, scaled(scaleTargetRef={"name": "other"}))).code == 201


async def test_an_autoscaler_may_excuse_itself(api: Api) -> None:
    await api.post(HPAS, hpa(annotations={"validations.keda.sh/hpa-ownership": "false"}))
    answer = await api.post(OBJECTS, scaled())
    assert (answer.code, answer.warnings) == (201, [])


async def test_an_autoscaler_is_taken_over_by_its_name(api: Api) -> None:
    await api.post(HPAS, hpa())
    taking = scaled()
    taking["metadata"]["annotations"] = {TRANSFER: "true"}
    answer = await api.post(OBJECTS, taking)
    assert answer.code == 422
    assert answer.json["message"].endswith(
        "spec.advanced.horizontalPodAutoscalerConfig.name: the existing hpa 'mine' for workload 'w' of type "
        "'apps/v1.Deployment' must be specified by name in advanced settings to enable ownership transfer"
    )
    taking["spec"]["advanced"] = {"horizontalPodAutoscalerConfig": {"name": "mine"}}
    answer = await api.post(OBJECTS, taking)
    assert (answer.code, answer.warnings) == (201, [])


async def test_an_autoscaler_in_the_way_is_told_of(api: Api) -> None:
    await api.post(HPAS, hpa("keda-hpa-a", "another"))
    answer = await api.post(OBJECTS, scaled())
    assert answer.code == 201
    assert "there is a HorizontalPodAutoscaler keda-hpa-a of another, which stays as it is" in answer.warnings[0]


async def test_its_own_autoscaler_is_none_of_another(api: Api) -> None:
    await api.post(OBJECTS, scaled())
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "a", "uid": "u", "controller": True}
    own = hpa("keda-hpa-a")
    own["metadata"]["ownerReferences"] = [owner]
    assert (await api.post(HPAS, own)).code == 201
    merge = {"content-type": "application/merge-patch+json"}
    answer = await api.request("PATCH", f"{OBJECTS}/a", {"spec": {"maxReplicaCount": 5}}, merge)
    assert (answer.code, answer.warnings) == (200, [])


@pytest.mark.parametrize(
    ("resources", "metadata", "code"),
    [
        ({}, {}, 422),
        ({"requests": {"memory": "1Gi"}}, {}, 422),
        ({"requests": {"cpu": "0"}}, {}, 422),
        ({"requests": {"cpu": "100m"}}, {}, 201),
        ({"limits": {"cpu": "1"}}, {}, 201),
        ({}, {"containerName": "another"}, 201),
    ],
    ids=["nothing", "memory alone", "zero", "request", "limit", "of another container"],
)
async def test_cpu_is_measured_against_requests(api: Api, resources: Json, metadata: Json, code: int) -> None:
    document = deployment("sized")
    document["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    assert (await api.post(DEPLOYMENTS, document)).code == 201
    triggers = [CRON, {**CPU, "metadata": {**CPU["metadata"], **metadata}}]
    obj = scaled(scaleTargetRef={"name": "sized"}, triggers=triggers)
    assert (await api.post(f"{OBJECTS}?dryRun=All", obj)).code == 201
    answer = await api.post(OBJECTS, obj)
    assert answer.code == code
    if code == 422:
        assert answer.json["details"]["causes"][0]["field"] == "spec.triggers[1]"
        assert "doesn't have the cpu request defined: set its resources.requests.cpu" in answer.json["message"]


@pytest.mark.parametrize(
    ("resource", "metadata", "code"),
    [("cpu", {}, 201), ("memory", {}, 422), ("cpu", {"containerName": "c"}, 422)],
    ids=["of the Pod", "of the Pod, another", "of one container"],
)
async def test_a_pod_may_request_as_a_whole(api: Api, resource: str, metadata: Json, code: int) -> None:
    document = deployment("whole")
    document["spec"]["template"]["spec"]["resources"] = {"requests": {resource: "1"}}
    assert (await api.post(DEPLOYMENTS, document)).code == 201
    triggers = [CRON, {**CPU, "metadata": {**CPU["metadata"], **metadata}}]
    assert (await api.post(OBJECTS, scaled(scaleTargetRef={"name": "whole"}, triggers=triggers))).code == code


async def test_what_may_come_later_is_a_warning(api: Api) -> None:
    reference = {"authenticationRef": {"name": "login"}}
    cluster = {"authenticationRef": {"name": "login", "kind": "ClusterTriggerAuthentication"}}
    obj = scaled(scaleTargetRef={"name": "later"}, triggers=[{**CRON, **reference}, {**CRON, **cluster}])
    answer = await api.post(f"{OBJECTS}?dryRun=All", obj)
    assert (answer.code, texts(answer.warnings)) == (
        201,
        [
            "spec.scaleTargetRef.name: there is no Deployment later in this namespace yet",
            "spec.triggers[0].authenticationRef.name: there is no TriggerAuthentication login in this namespace yet",
            "spec.triggers[1].authenticationRef.name: there is no ClusterTriggerAuthentication login yet",
        ],
    )
    await api.post(DEPLOYMENTS, deployment("later"))
    login = {"metadata": {"name": "login"}, "spec": {"env": [{"parameter": "a", "name": "A"}]}}
    assert (await api.post(AUTHENTICATIONS, login)).code == 201
    assert (await api.post("/apis/keda.sh/v1alpha1/clustertriggerauthentications", login)).code == 201
    assert (await api.post(OBJECTS, obj)).warnings == []


async def test_containers_that_are_not_there(api: Api) -> None:
    target = {"name": "w", "envSourceContainerName": "main"}
    triggers = [CRON, {**CPU, "metadata": {**CPU["metadata"], "containerName": "side"}}]
    answer = await api.post(f"{OBJECTS}?dryRun=All", scaled(scaleTargetRef=target, triggers=triggers))
    assert texts(answer.warnings) == [
        "spec.scaleTargetRef.envSourceContainerName: Deployment w has no container main; it has c",
        "spec.triggers[1].metadata.containerName: Deployment w has no container side; it has c",
    ]


async def test_what_scalers_think_is_a_warning(api: Api) -> None:
    window = {**CRON, "metadata": {**CRON["metadata"], "timezone": "Mars", "begin": "1"}}
    answer = await api.post(OBJECTS, scaled(triggers=[{"type": "kafkaa", "metadata": {}}, window]))
    unknown, timezone, strange = texts(answer.warnings)
    assert answer.code == 201
    assert "spec.triggers[0].type: type 'kafkaa' is not known; known are" in unknown
    assert timezone.startswith("spec.triggers[1].metadata.timezone: is 'Mars', must be")
    assert strange == "spec.triggers[1].metadata: unknown parameter 'begin' has no effect"


async def test_jobs_are_looked_at_too(api: Api) -> None:
    job = {"template": {"spec": {"containers": [{"name": "a", "image": "x:1"}]}}}
    spec = {"jobTargetRef": job, "maxReplicaCount": 1, "triggers": [{**CRON, "authenticationRef": {"name": "login"}}]}
    answer = await api.post(JOBS, {"metadata": {"name": "a"}, "spec": spec})
    assert (answer.code, texts(answer.warnings)) == (
        201,
        [
            "spec.triggers[0].authenticationRef.name: there is no TriggerAuthentication login in this namespace yet",
            "spec.maxReplicaCount: is 1, below the 2 of spec.triggers[0].metadata.desiredReplicas: so many there will "
            "never be",
        ],
    )


ODD: dict[type, list[Any]] = {
    str: ["", " ", "x", "a" * 300, "\x00", "1e400", "nan", "-1", "0", "10%", "${A}", "cpu", "a +", "custom", "٣"],
    int: [-1, 0, 1, 3, 2**31, 2**62],
    float: [0.0, -0.1, 1e308],
    bool: [True, False],
    list: [[]],
    dict: [{}],
}


def spoil(document: Json, dice: random.Random) -> Json:
    """A copy with a few values that are missing, twice there, or odd; all of the right type."""
    document = copy.deepcopy(document)
    for _ in range(dice.randint(1, 4)):
        inner = [path for path in places(document) if path and path[0] not in ("kind", "apiVersion")]
        if not inner:
            break
        *parents, last = dice.choice(inner)
        holder: Any = document
        for key in parents:
            holder = holder[key]
        found = holder[last]
        if dice.random() < 0.2:
            del holder[last]
        elif isinstance(found, list) and dice.random() < 0.5:
            holder[last] = found + copy.deepcopy(found)
        else:
            holder[last] = copy.deepcopy(dice.choice(ODD[type(found)]))
    return document


@pytest.mark.parametrize("seed", range(4))
async def test_no_answer_is_an_accident(api: Api, seed: int) -> None:
    documents = [each for each in yaml.safe_load_all(DOCUMENTS.read_text()) if each["kind"] != "Secret"]
    dice, codes = random.Random(seed), set()
    for _ in range(200):
        noise = spoil(dice.choice(documents), dice)
        path = f"{KEDA}/{noise['kind'].lower()}s"
        answer = await api.post(path, noise)
        assert answer.code in (201, 422), (noise, answer.body)
        codes.add(answer.code)
        if answer.code == 201:
            again = await api.put(f"{path}/{answer.json['metadata']['name']}", answer.json)
            assert again.code == 200, (noise, again.body)
            table = await api.get(path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
            assert table.code == 200, (noise, table.body)
            if noise["kind"] == "ScaledObject":
                assert scaling_spec(answer.json).polling_interval_s > 0  # whoever scales can read it
            if noise["kind"] == "ScaledJob":
                assert jobs_spec(answer.json).most >= 0
            await api.delete(f"{path}/{answer.json['metadata']['name']}")
    assert codes == {201, 422}  # the noise is of the right loudness
