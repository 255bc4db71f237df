"""Events through RabbitMQ on a whole platform: documents by the real kubectl, events by the real curl, a real RabbitMQ.

Through pilotlight/eventing_wing.py: the broker class and the source as the roof connects them.
"""

from __future__ import annotations

import pytest

from tests.integration.test_event_journey import COUNTING, Hands, counted
from tests.support.platform import Platform
from tests.support.rabbitmq import Rabbitmq
from tests.support.user import User, make_service

pytestmark = pytest.mark.kubectl
DOCUMENTS = """
apiVersion: v1
kind: Secret
metadata: {{name: rabbit}}
stringData: {{uri: "{uri}"}}
---
apiVersion: eventing.knative.dev/v1alpha1
kind: RabbitmqBrokerConfig
metadata: {{name: rabbit}}
spec:
  rabbitmqClusterReference: {{connectionSecret: {{name: rabbit}}}}
  vhost: {vhost}
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: main
  annotations: {{eventing.knative.dev/broker.class: RabbitMQBroker}}
spec:
  config: {{apiVersion: eventing.knative.dev/v1alpha1, kind: RabbitmqBrokerConfig, name: rabbit}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: first}}
spec:
  broker: main
  filters: [{{cesql: "type LIKE 'order.%' OR type = 'dev.knative.rabbitmq.event'"}}]
  subscriber: {{ref: {{apiVersion: serving.knative.dev/v1, kind: Service, name: first}}}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: second}}
spec:
  broker: main
  filter: {{attributes: {{type: reply}}}}
  subscriber: {{ref: {{apiVersion: serving.knative.dev/v1, kind: Service, name: second}}}}
---
apiVersion: sources.knative.dev/v1alpha1
kind: RabbitmqSource
metadata: {{name: queue}}
spec:
  rabbitmqClusterReference: {{connectionSecret: {{name: rabbit}}}}
  rabbitmqResourcesConfig: {{vhost: {vhost}, exchangeName: orders, queueName: orders, parallelism: 10}}
  sink: {{ref: {{apiVersion: eventing.knative.dev/v1, kind: Broker, name: main}}}}
"""


@pytest.fixture(scope="module")
def hands(platform: Platform) -> Hands:
    return Hands(platform)


def test_from_curl_and_a_queue_through_two_functions(hands: Hands, user: User, rabbitmq: Rabbitmq, vhost: str) -> None:
    warm = {"min-scale": "1", "max-scale": "1"}
    for name, environment in (("first", {"REPLY": "reply"}), ("second", {})):
        user.deploy(make_service(name, COUNTING, annotations=warm, env=environment))
    hands.type("kubectl", "apply", "-f", "-", stdin=DOCUMENTS.format(uri=rabbitmq.uri(), vhost=vhost))
    wait = ("kubectl", "wait", "--for=condition=Ready", "--timeout=30s")
    hands.type(*wait, "broker/main", "trigger/first", "trigger/second", "rabbitmqsource/queue")
    assert rabbitmq.queues(vhost) == [
        "orders",
        "pilotlight:default:main:default:first",
        "pilotlight:default:main:default:second",
    ]
    order = {"ce_specversion": "1.0", "ce_type": "order.new", "ce_source": "/till", "ce_id": "curl"}
    assert hands.post("main", "{}", content_type="application/json", **order) == 202
    published = {"properties": {"message_id": "queue"}, "routing_key": "", "payload": "x", "payload_encoding": "string"}
    rabbitmq.ask("POST", f"exchanges/{vhost}/orders/publish", published)
    user.until("both replies", lambda: len(counted(user, "second")["events"]) == 2)
    assert sorted(counted(user, "first")["events"]) == ["curl", "queue"]
    assert sorted(counted(user, "second")["events"]) == ["reply-to-curl", "reply-to-queue"]
    rows = {row["name"]: row for row in hands.json("top")["subscriptions"]}
    assert rows["first"]["backlog"] == rows["second"]["backlog"] == 0
    hands.type("kubectl", "delete", "-f", "-", stdin=DOCUMENTS.format(uri=rabbitmq.uri(), vhost=vhost))
    user.until("nothing is left in RabbitMQ", lambda: not rabbitmq.queues(vhost) and not rabbitmq.exchanges(vhost))
