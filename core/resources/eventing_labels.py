"""Names of Knative Eventing's labels, annotations and classes, spelled here and nowhere else.

Ours (`pilotlight.dev/*`) are in `pilotlight`, with what may stand there in `eventing_options`.
"""

from __future__ import annotations

from typing import Final

GROUP: Final = "eventing.knative.dev"
MESSAGING_GROUP: Final = "messaging.knative.dev"
FLOWS_GROUP: Final = "flows.knative.dev"
SOURCES_GROUP: Final = "sources.knative.dev"
SINKS_GROUP: Final = "sinks.knative.dev"
NAMESPACE: Final = "knative-eventing"
WEBHOOK: Final = "validation.webhook.eventing.knative.dev"

# Labels.
BROKER_LABEL: Final = f"{GROUP}/broker"  # on a Trigger: its Broker

# On a Broker.
INJECTED_LABEL: Final = f"{GROUP}/injected"  # made because a Trigger asked for it
BROKER_CLASS_ANNOTATION: Final = f"{GROUP}/broker.class"
PILOTLIGHT_CLASS: Final = "Pilotlight"
CHANNEL_BASED_CLASS: Final = "MTChannelBasedBroker"
KAFKA_CLASS: Final = "Kafka"
KAFKA_NAMESPACED_CLASS: Final = "KafkaNamespaced"
RABBITMQ_CLASS: Final = "RabbitMQBroker"
LOG_CLASSES: Final = (PILOTLIGHT_CLASS, CHANNEL_BASED_CLASS)
"""Classes that the platform's own log serves: ours, and the one that Knative's documents ask for."""
KAFKA_CLASSES: Final = (KAFKA_CLASS, KAFKA_NAMESPACED_CLASS)

KAFKA_EXTERNAL_TOPIC_ANNOTATION: Final = f"kafka.{GROUP}/external.topic"  # one that is there already

# On a Trigger.
DEPENDENCY_ANNOTATION: Final = "knative.dev/dependency"  # JSON of an ObjectReference: not ready before that is
INJECTION_ANNOTATION: Final = f"{GROUP}/injection"  # enabled: makes the Broker `default`
KAFKA_ORDER_ANNOTATION: Final = "kafka.eventing.knative.dev/delivery.order"
RABBITMQ_PARALLELISM_ANNOTATION: Final = "rabbitmq.eventing.knative.dev/parallelism"

# On channels.
SUBSCRIBABLE_ANNOTATION: Final = f"{MESSAGING_GROUP}/subscribable"  # version of the subscribers' duck type
SCOPE_ANNOTATION: Final = f"{GROUP}/scope"  # cluster or namespace
