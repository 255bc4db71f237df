"""The printer columns of every kind whose cells are more than a path."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.ages import age_of, human_duration
from core.resources.core_services import CORE_SERVICE, ENDPOINTS
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.event_columns import EVENT_COLUMNS
from core.resources.meta import Json, Kind
from core.resources.pod_columns import pod_ready, pod_restarts, pod_status
from core.resources.workloads import DEPLOYMENT

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def pod(status: Json, init: list[Json] | None = None, deleted: bool = False) -> Json:
    metadata: Json = {"name": "p"} | ({"deletionTimestamp": "2023-11-14T22:13:20Z"} if deleted else {})
    spec: Json = {"containers": [{"name": "a"}, {"name": "b"}]} | ({"initContainers": init} if init else {})
    return {"metadata": metadata, "spec": spec, "status": status}


def waiting(reason: str) -> Json:
    return {"state": {"waiting": {"reason": reason}}}


RUNNING: Json = {"state": {"running": {}}, "ready": True}
DONE: Json = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
INIT = [{"name": "i"}, {"name": "j"}]
READY: Json = {"type": "Ready", "status": "True"}
INITIALIZED: Json = {"type": "Initialized", "status": "True"}


@pytest.mark.parametrize(
    ("status", "init", "word"),
    [
        ({"phase": "Pending"}, None, "Pending"),
        ({"phase": "Running", "containerStatuses": [RUNNING, RUNNING]}, None, "Running"),
        ({"phase": "Failed", "reason": "Evicted"}, None, "Evicted"),
        ({"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]}, None, "ContainerCreating"),
        ({"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff"), RUNNING]}, None, "CrashLoopBackOff"),
        ({"phase": "Pending", "containerStatuses": [waiting("A"), waiting("B")]}, None, "A"),
        ({"phase": "Succeeded", "containerStatuses": [DONE, DONE]}, None, "Completed"),
        ({"phase": "Running", "conditions": [READY], "containerStatuses": [DONE, RUNNING]}, None, "Running"),
        ({"phase": "Running", "containerStatuses": [DONE, RUNNING]}, None, "NotReady"),
        ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}, None, "ExitCode:3"),
        ({"containerStatuses": [{"state": {"terminated": {"exitCode": 137, "signal": 9}}}]}, None, "Signal:9"),
        ({"phase": "Pending", "initContainerStatuses": [{"name": "i", **RUNNING}]}, INIT, "Init:0/2"),
        (
            {"phase": "Pending", "initContainerStatuses": [{"name": "i", **DONE}, {"name": "j", **RUNNING}]},
            INIT,
            "Init:1/2",
        ),
        ({"initContainerStatuses": [{"name": "i", **waiting("ErrImagePull")}]}, INIT, "Init:ErrImagePull"),
        ({"initContainerStatuses": [{"name": "i", **waiting("PodInitializing")}]}, INIT, "Init:0/2"),
        (
            {"initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 2}}}]},
            INIT,
            "Init:ExitCode:2",
        ),
        (
            {
                "phase": "Running",
                "conditions": [INITIALIZED, READY],
                "initContainerStatuses": [{"name": "i", **RUNNING, "started": True}],
                "containerStatuses": [RUNNING],
            },
            [{"name": "i", "restartPolicy": "Always"}],
            "Running",
        ),
        (
            {
                "conditions": [INITIALIZED],
                "initContainerStatuses": [RUNNING],
                "containerStatuses": [waiting("ErrImagePull")],
            },
            INIT,
            "ErrImagePull",
        ),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            None,
            "SchedulingGated",
        ),
    ],
)
def test_pod_status(status: Json, init: list[Json] | None, word: str) -> None:
    assert pod_status(pod(status, init)) == word


def test_a_pod_on_its_way_out_is_terminating_unless_it_has_ended() -> None:
    assert pod_status(pod({"phase": "Running"}, deleted=True)) == "Terminating"
    assert pod_status(pod({"phase": "Succeeded", "containerStatuses": [DONE]}, deleted=True)) == "Completed"


def test_pod_ready_counts_containers_and_sidecars() -> None:
    sidecar = [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]
    started = {"name": "s", **RUNNING, "started": True}
    status = {"containerStatuses": [RUNNING, {}], "initContainerStatuses": [started, {"name": "i", **DONE}]}
    assert pod_ready(pod(status, sidecar)) == "2/3"
    assert pod_ready(pod({**status, "initContainerStatuses": [started, {"name": "i"}]}, sidecar)) == "1/3"
    assert pod_ready(pod({})) == "0/2"


def test_pod_restarts_say_when_the_last_one_was() -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2023-11-14T22:08:20Z"}}
    status = {"containerStatuses": [{"restartCount": 2, "lastState": ended}, {"restartCount": 1}]}
    assert pod_restarts(pod(status), NOW) == "3 (5m ago)"
    assert pod_restarts(pod({}), NOW) == "0"
    init = [{"name": "i", "restartCount": 7, **RUNNING}]
    assert pod_restarts(pod({**status, "initContainerStatuses": init}, INIT), NOW) == "7"
    assert pod_restarts(pod({**status, "initContainerStatuses": [{**init[0], **DONE}]}, INIT), NOW) == "3 (5m ago)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (0, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (599, "9m59s"), (600, "10m"),
        (179 * 60, "179m"), (3 * 3600, "3h"), (3 * 3600 + 60, "3h1m"), (8 * 3600, "8h"), (47 * 3600, "47h"),
        (48 * 3600, "2d"), (51 * 3600, "2d3h"), (8 * 86400, "8d"), (400 * 86400, "400d"), (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_age_of_a_time_that_is_missing_or_broken() -> None:
    assert age_of(None, NOW) == "<unknown>"
    assert age_of("yesterday", NOW) == "<invalid>"
    assert age_of("2023-11-14T22:13:10Z", NOW) == "10s"
    assert age_of("2023-11-14T22:13:10.000000Z", NOW) == "10s"


def cells(columns: Any, obj: Json) -> dict[str, Any]:
    """The cells that need more than a path."""
    named = {c.name: c.value(obj) for c in columns if c.value}
    return named | {c.name: c.told(obj, NOW) for c in columns if c.told}


def test_events() -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p"},
        "firstTimestamp": "2023-11-14T22:03:20Z",
        "lastTimestamp": "2023-11-14T22:10:20Z",
        "count": 5,
        "message": "Pulled \n",
        "source": {"component": "node", "host": "here"},
    }
    assert cells(EVENT_COLUMNS, event) == {
        "Object": "pod/p",
        "Source": "node, here",
        "Message": "Pulled",
        "Count": "5",
        "Last Seen": "3m (x5 over 10m)",
        "First Seen": "10m",
    }
    assert cells(EVENT_COLUMNS, {"eventTime": "2023-11-14T22:13:20Z"})["Last Seen"] == "0s"


def row(kind: Kind[Any], obj: Json) -> dict[str, Any]:
    return cells(kind.columns, obj)


def test_deployment() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    status = {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}
    assert row(DEPLOYMENT, {"spec": spec, "status": status}) == {
        "Ready": "1/3",
        "Up-to-date": "2",
        "Available": "1",
        "Containers": "a,b",
        "Images": "x,y",
        "Selector": "app=a",
    }


@pytest.mark.parametrize(
    ("spec", "status", "external", "ports"),
    [
        ({"type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP"}]}, {}, "<none>", "80/TCP"),
        ({"type": "ExternalName", "externalName": "x.io"}, {}, "x.io", "<none>"),
        ({"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 8080}]}, {}, "<pending>", "80:8080/TCP"),
        (
            {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]},
            {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}},
            "127.0.0.1",
            "1/TCP,2/TCP",
        ),
    ],
)
def test_services(spec: Json, status: Json, external: str, ports: str) -> None:
    shown = row(CORE_SERVICE, {"spec": spec, "status": status})
    assert (shown["External-IP"], shown["Port(s)"], shown["Cluster-IP"]) == (external, ports, "<none>")


def test_endpoints_show_three_and_say_how_many_more() -> None:
    addresses = [{"ip": f"10.0.0.{n}"} for n in range(5)]
    subsets = [{"addresses": addresses, "ports": [{"port": 80}]}]
    shown = row(ENDPOINTS, {"subsets": subsets})["Endpoints"]
    assert shown == "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."
    assert row(ENDPOINTS, {})["Endpoints"] == "<none>"
    slices = {"endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]}
    assert row(ENDPOINT_SLICE, slices) == {"Ports": "80", "Endpoints": "10.0.0.1"}


def test_counts_of_data() -> None:
    assert row(CONFIG_MAP, {"data": {"a": "1"}, "binaryData": {"b": ""}}) == {"Data": 2}
    assert row(SECRET, {"type": "Opaque"}) == {"Data": 0}
