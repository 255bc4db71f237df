"""What 1,000 ScaledObjects cost: processor time and memory above the empty platform, and how late decisions are.

Each scales a Deployment of its own and is read every 5 s. First by the clock, which measures the loop alone; then half
of them by the lag of a consumer group in one Kafka, half by a queue in one RabbitMQ. Nothing has work: a machine that
starts 1,000 consumers measures the machine. A decision's delay is from when its reading was due until it was made, as
the platform's own `keda_internal_scale_loop_latency_seconds` tells.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.platform import Platform, platform
from benchmarks.report import Row, percentile

MANY = int(os.environ.get("BENCH_SCALED_OBJECTS", "1000"))
POLLING_S = 5
SETTLED_S = 20.0
MEASURED_S = 30.0
CPU_SHARE = 0.5
MIB = 150.0
DELAY_S = 1.0
CONNECTIONS = 2
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SCALED_OBJECTS = "/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects"
METRICS = "/metrics"

Trigger = Callable[[int], dict[str, Any]]


def by_the_clock(number: int) -> dict[str, Any]:
    metadata = {"timezone": "Etc/UTC", "start": "0 0 1 1 *", "end": "1 0 1 1 *", "desiredReplicas": "1"}
    return {"type": "cron", "metadata": metadata}


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "app", "image": "any", "command": ["/bin/sleep", "3600"]}
    template = {"metadata": {"labels": labels}, "spec": {"runtimeClassName": "process", "containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def scaled_object(name: str, trigger: dict[str, Any]) -> dict[str, Any]:
    spec = {"scaleTargetRef": {"name": name}, "pollingInterval": POLLING_S, "cooldownPeriod": 30, "triggers": [trigger]}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": spec}


def delays(running: Platform) -> list[float]:
    """Of every ScaledObject's last decision."""
    text = running.text(METRICS)
    return [float(each) for each in re.findall(r"^keda_internal_scale_loop_latency_seconds\{.*\} (\S+)$", text, re.M)]


def read_once(running: Platform) -> int:
    """How many of them have a value."""
    return len(re.findall(r"^keda_scaler_metrics_value\{", running.text(METRICS), re.M))


def errors(running: Platform) -> float:
    found = re.findall(r"^keda_scaled_object_errors_total\{.*\} (\S+)$", running.text(METRICS), re.M)
    return sum(map(float, found))


def cost_of(trigger: Trigger, connections: Callable[[], int] | None = None) -> dict[str, float]:
    """Of a platform with as many of them."""
    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-") as folder, platform(Path(folder)) as running:
        time.sleep(SETTLED_S / 2)
        empty = running.memory_kib()
        began = time.perf_counter()
        for number in range(MANY):
            running.call("POST", DEPLOYMENTS, deployment(f"worker-{number}"))
        without = running.memory_kib()
        for number in range(MANY):
            running.call("POST", SCALED_OBJECTS, scaled_object(f"worker-{number}", trigger(number)))
        made_s = time.perf_counter() - began
        time.sleep(SETTLED_S)
        failed = errors(running)
        began, used, late = time.perf_counter(), running.cpu_s(), []
        while time.perf_counter() - began < MEASURED_S:
            time.sleep(POLLING_S)
            late += delays(running)
        share = (running.cpu_s() - used) / (time.perf_counter() - began)
        return {
            "cpu_share": share,
            "mib": (running.memory_kib() - empty) / 1024,
            "mib_deployments": (without - empty) / 1024,
            "delay_p50_s": percentile(late, 0.5),
            "delay_p99_s": percentile(late, 0.99),
            "delay_max_s": max(late),
            "made_s": made_s,
            "errors": errors(running) - failed,
            "read": float(read_once(running)),
            "connections": float(connections()) if connections else 0.0,
        }


@contextlib.contextmanager
def brokers() -> Iterator[tuple[Trigger, Callable[[], int]]]:
    """One Kafka, one RabbitMQ; a trigger for each number, and how many connections the busier of both has."""
    from tests.support.kafka import kafka_server
    from tests.support.rabbitmq import running_rabbitmq

    kafka = kafka_server()
    with running_rabbitmq() as rabbitmq:
        for number in range(1, MANY, 2):
            rabbitmq.ask("PUT", f"queues/%2F/work-{number}", {"durable": True})

        def trigger(number: int) -> dict[str, Any]:
            if number % 2:
                said = {"host": rabbitmq.uri(), "queueName": f"work-{number}", "mode": "QueueLength", "value": "10"}
                return {"type": "rabbitmq", "metadata": said}
            said = {
                "bootstrapServers": kafka.bootstrap,
                "consumerGroup": f"group-{number}",
                "topic": f"work-{number % 50}",
                "lagThreshold": "10",
                "scaleToZeroOnInvalidOffset": "true",
            }
            return {"type": "kafka", "metadata": said}

        def connections() -> int:
            ports = (int(kafka.bootstrap.rpartition(":")[2]), int(rabbitmq.uri().rpartition(":")[2].partition("/")[0]))
            return max(map(_connections_to, ports))

        make_topics(kafka.bootstrap)
        yield trigger, connections


def make_topics(bootstrap: str) -> None:
    from kafka.admin import KafkaAdminClient, NewTopic

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(f"work-{number}", 4, 1) for number in range(50)])
    admin.close()


def _connections_to(port: int) -> int:
    """Established, from this machine."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[3] == "01" and int(fields[2].rpartition(":")[2], 16) == port for fields in lines)


def rows_of(who: str, cost: dict[str, float]) -> list[Row]:
    share, mib, late = cost["cpu_share"], cost["mib"], cost["delay_p99_s"]
    note = f"all made in {cost['made_s']:.0f} s; {cost['read']:.0f} have a value, {cost['errors']:.0f} readings failed"
    return [
        Row(f"{who}: processor time", f"≤ {CPU_SHARE:.0%} of a core", f"{share:.1%}", share <= CPU_SHARE, note=note,
            numbers=cost),
        Row(f"{who}: memory above the empty platform", f"≤ {MIB:.0f} MiB", f"{mib:.0f} MiB", mib <= MIB,
            note=f"{cost['mib_deployments']:.0f} MiB of it are the Deployments"),
        Row(f"{who}: from a reading's time to its decision", f"p99 ≤ {DELAY_S:g} s", f"p99 {late * 1e3:.0f} ms",
            late <= DELAY_S, note=f"p50 {cost['delay_p50_s'] * 1e3:.0f} ms, max {cost['delay_max_s'] * 1e3:.0f} ms"),
    ]  # fmt: skip


def measure() -> list[Row]:
    who = f"{MANY:,} ScaledObjects, read every {POLLING_S} s"
    rows = rows_of(f"{who}, by the clock", cost_of(by_the_clock))
    if os.environ.get("BENCH_BROKERS", "1") == "0":
        return rows
    with brokers() as (trigger, connections):
        cost = cost_of(trigger, connections)
    whole = f"{who}, on one Kafka and one RabbitMQ"
    many = cost["connections"]
    bar = Row(f"{whole}: connections", f"≤ {CONNECTIONS} per broker", f"{many:.0f}", many <= CONNECTIONS)
    return [*rows, *rows_of(whole, cost), bar]
