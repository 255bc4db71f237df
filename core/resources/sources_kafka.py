"""KafkaSource (`sources.knative.dev`), and how any document says whom Kafka lets in (bindings/v1.KafkaAuthSpec).

(knative-extensions/eventing-kafka-broker/control-plane/pkg/apis/sources/v1.) Types, rules and kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from pydantic import Field

from core.errors import FieldError
from core.resources.child_names import child_name
from core.resources.conditions import ConditionSet
from core.resources.containers import KeySelector
from core.resources.core_v1 import AGE
from core.resources.duck_v1 import SourceStatus
from core.resources.eventing import READY
from core.resources.eventing_delivery import DeliverySpec, default_delivery, validate_delivery
from core.resources.eventing_labels import SOURCES_GROUP
from core.resources.eventing_options import Order, SubscriptionOptions, check_options
from core.resources.eventing_rules import check_unchanged, warn_of
from core.resources.fields import doc
from core.resources.knative_errors import generic, invalid, missing, via
from core.resources.meta import AdmissionContext, Column, Conversion, Json, Kind, Model, Resource, Scale
from core.resources.sources import OIDC_IDENTITY_CREATED, SINK_PROVIDED, SourceSpec
from core.resources.sources_validation import default_source, validate_source

KEY_TYPE_LABEL: Final = "kafkasources.sources.knative.dev/key-type"
KEY_TYPES: Final = ("string", "int", "float", "byte-array")
INITIAL_OFFSETS: Final = ("latest", "earliest")
GROUP_PREFIX: Final = "knative-kafka-source-"

KAFKA_SOURCE_CONDITIONS: Final = ConditionSet(
    (
        SINK_PROVIDED,
        "Deployed",
        "KeyTypeCorrect",
        "ConnectionEstablished",
        "InitialOffsetsCommitted",
        OIDC_IDENTITY_CREATED,
    )
)


class SecretValue(Model):
    secret_key_ref: KeySelector | None = doc("A key of a Secret.")


class Sasl(Model):
    enable: bool | None = doc("Whether SASL is used.")
    user: SecretValue | None = doc("The user's name.")
    password: SecretValue | None = doc("The user's password.")
    type: SecretValue | None = doc("PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; PLAIN.")


class Tls(Model):
    enable: bool | None = doc("Whether TLS is used.")
    cert: SecretValue | None = doc("Certificate of the client.")
    key: SecretValue | None = doc("Key of the client's certificate.")
    ca_cert: SecretValue | None = doc("Certificates that the server's is checked against.")


class Net(Model):
    sasl: Sasl | None = doc("User and password.")
    tls: Tls | None = doc("Encryption.")


class KafkaSourceSpec(SourceSpec):
    consumers: int | None = doc("How many consumers; 1.")
    bootstrap_servers: list[str] | None = doc("Addresses of the cluster, as host:port.")
    net: Net | None = doc("How the cluster is spoken to.")
    topics: list[str] | None = doc("Topics to read.")
    consumer_group: str | None = doc("Consumer group; never changes. One by namespace and name.")
    initial_offset: str | None = doc("Where a new group begins: latest or earliest; latest.")
    ordering: str | None = doc("ordered keeps the order within a partition, unordered does not; ordered.")
    delivery: DeliverySpec | None = doc("How events are delivered.")


class KafkaSourceStatus(SourceStatus):
    consumers: int | None = doc("Consumers that run.")
    selector: str | None = doc("Labels of the consumers.")
    claims: str | None = doc("Partitions that are read.")
    placements: list[dict[str, Any]] | None = doc("Where consumers run.")
    max_allowed_v_replicas: int | None = doc("Most consumers there may be.", alias="maxAllowedVReplicas")


class KafkaSource(Resource):
    """Sends an event for each record of Kafka topics."""

    spec: KafkaSourceSpec = Field(default_factory=KafkaSourceSpec, description="Which topics, and whereto.")
    status: KafkaSourceStatus | None = doc("Whereto events go, and how it is.")


def default_kafka_source(obj: Json, context: AdmissionContext) -> None:
    spec, metadata = obj.setdefault("spec", {}), obj["metadata"]
    if not spec.get("consumerGroup") and metadata.get("name"):
        # Upstream draws one by chance; by name, a source that is made again goes on where it was.
        spec["consumerGroup"] = GROUP_PREFIX + child_name(metadata.get("namespace", ""), f"-{metadata['name']}")
    if spec.get("consumers") is None:
        spec["consumers"] = 1
    spec["initialOffset"] = spec.get("initialOffset") or INITIAL_OFFSETS[0]
    spec["ordering"] = spec.get("ordering") or Order.ORDERED.value
    default_delivery(spec.get("delivery"), metadata.get("namespace", ""))
    default_source(obj, context)


def validate_kafka_source(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = validate_source(spec) + via("delivery", validate_delivery(spec.get("delivery")))
    errors += missing(*(field for field in ("topics", "bootstrapServers") if not spec.get(field)))
    if not spec.get("consumerGroup"):
        errors += generic("a source whose name is made up must name its group", "consumerGroup")
    if spec["initialOffset"] not in INITIAL_OFFSETS:
        errors += invalid(spec["initialOffset"], "initialOffset")
    if spec["ordering"] not in tuple(Order):
        errors += invalid(spec["ordering"], "ordering")
    if spec["consumers"] < 0:
        errors += invalid(spec["consumers"], "consumers")
    errors = via("spec", errors)
    key_type = (obj["metadata"].get("labels") or {}).get(KEY_TYPE_LABEL)
    if key_type is not None and key_type not in KEY_TYPES:
        errors += invalid(key_type, f"metadata.labels[{KEY_TYPE_LABEL}]", f"must be one of {', '.join(KEY_TYPES)}")
    if context.old is not None:
        errors += check_unchanged(context.old.get("spec") or {}, spec, "consumerGroup")
    return errors + check_options(SubscriptionOptions, obj)


KAFKA_SOURCE: Kind[KafkaSource] = Kind(
    group=SOURCES_GROUP,
    version="v1",
    kind="KafkaSource",
    plural="kafkasources",
    model=KafkaSource,
    categories=("all", "knative", "eventing", "sources"),
    scale=Scale("spec.consumers", "status.consumers", "status.selector"),
    columns=(Column("Topics", "spec.topics"), Column("BootstrapServers", "spec.bootstrapServers"), *READY, AGE),
    default=default_kafka_source,
    validate=validate_kafka_source,
    warn=warn_of(SubscriptionOptions),
    merge_patch_only=True,
    webhook="validation.webhook.kafka.eventing.knative.dev",
)
KAFKA_SOURCE_V1BETA1: Kind[KafkaSource] = dataclasses.replace(
    KAFKA_SOURCE, version="v1beta1", conversion=Conversion(KAFKA_SOURCE)
)
