"""RabbitMQ in documents: RabbitmqSource (`sources.knative.dev`) and RabbitmqBrokerConfig (`eventing.knative.dev`).

(knative-extensions/eventing-rabbitmq/pkg/apis.) Both say by reference which RabbitMQ they mean: a Secret with its
address and user, or the name of a RabbitmqCluster, whose operator keeps such a Secret as `<name>-default-user`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from core.errors import FieldError
from core.resources.conditions import ConditionSet
from core.resources.containers import LocalObjectReference
from core.resources.core_v1 import AGE
from core.resources.duck_v1 import SourceStatus, Status
from core.resources.eventing import READY
from core.resources.eventing_delivery import DeliverySpec, default_delivery, validate_delivery
from core.resources.eventing_labels import GROUP, SOURCES_GROUP
from core.resources.eventing_options import PARALLELISM_MAX, DeliveryOptions, check_options
from core.resources.eventing_rules import check_unchanged, stamp_user, warn_of
from core.resources.fields import doc
from core.resources.knative_errors import Errors, disallowed, generic, invalid, missing, out_of_bounds, via
from core.resources.meta import AdmissionContext, Json, Kind, Model, Resource
from core.resources.sources import OIDC_IDENTITY_CREATED, SINK_COLUMN, SINK_PROVIDED, SourceSpec
from core.resources.sources_validation import default_source, validate_source

QUEUE_TYPES: Final = ("quorum", "classic")
WEBHOOK: Final = "validation.webhook.rabbitmq.eventing.knative.dev"

RABBITMQ_SOURCE_CONDITIONS: Final = ConditionSet(
    (SINK_PROVIDED, "Deployed", "ExchangeReady", "QueueReady", "BindingReady", OIDC_IDENTITY_CREATED)
)


class RabbitmqClusterReference(Model):
    name: str | None = doc("Name of a RabbitmqCluster.")
    namespace: str | None = doc("Its namespace.")
    connection_secret: LocalObjectReference | None = doc("Secret with uri, username and password, in place of a name.")


class RabbitmqResourcesConfig(Model):
    vhost: str | None = doc("Virtual host; /.")
    queue_name: str | None = doc("Queue to read.")
    queue_type: str | None = doc("quorum or classic; quorum.")
    exchange_name: str | None = doc("Exchange that the queue is bound to; needed where it is not predeclared.")
    parallelism: int | None = doc("Messages in flight at a time, 1 to 1000; 1.")
    predeclared: bool | None = doc("Whether queue and exchange are there already, and are left as they are.")


class RabbitmqSourceSpec(SourceSpec):
    rabbitmq_cluster_reference: RabbitmqClusterReference | None = doc("Which RabbitMQ.")
    rabbitmq_resources_config: RabbitmqResourcesConfig | None = doc("Which queue.")
    delivery: DeliverySpec | None = doc("How events are delivered.")
    service_account_name: str | None = doc("Who reads.")


class RabbitmqSource(Resource):
    """Sends an event for each message of a RabbitMQ queue."""

    spec: RabbitmqSourceSpec = Field(default_factory=RabbitmqSourceSpec, description="Which queue, and whereto.")
    status: SourceStatus | None = doc("Whereto events go, and how it is.")


class RabbitmqBrokerConfigSpec(Model):
    rabbitmq_cluster_reference: RabbitmqClusterReference | None = doc("Which RabbitMQ.")
    vhost: str | None = doc("Virtual host; /.")
    queue_type: str | None = doc("quorum or classic; quorum. Never changes.")


class RabbitmqBrokerConfig(Resource):
    """Which RabbitMQ a Broker of class RabbitMQBroker uses."""

    spec: RabbitmqBrokerConfigSpec = Field(default_factory=RabbitmqBrokerConfigSpec, description="Which RabbitMQ.")
    status: Status | None = doc("How it is.")


def default_rabbitmq_source(obj: Json, context: AdmissionContext) -> None:
    spec, namespace = obj.setdefault("spec", {}), obj["metadata"].get("namespace", "")
    config = spec.get("rabbitmqResourcesConfig")
    if config is not None:
        if config.get("parallelism") is None:
            config["parallelism"] = 1
        config["queueType"] = config.get("queueType") or QUEUE_TYPES[0]
    default_delivery(spec.get("delivery"), namespace)
    _default_reference(spec, namespace)
    default_source(obj, context)


def validate_rabbitmq_source(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    config = spec.get("rabbitmqResourcesConfig")
    if config is None:
        errors = missing("rabbitmqResourcesConfig")
    else:
        errors = via("rabbitmqResourcesConfig", _validate_resources(config))
    errors += _validate_reference(spec) + validate_source(spec)
    errors = via("spec", errors + via("delivery", validate_delivery(spec.get("delivery"))))
    if context.old is not None:
        for field in ("rabbitmqResourcesConfig", "rabbitmqClusterReference"):
            errors += check_unchanged(context.old.get("spec") or {}, spec, field)
    return errors + check_options(DeliveryOptions, obj)


def default_rabbitmq_broker_config(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    spec["queueType"] = spec.get("queueType") or QUEUE_TYPES[0]
    _default_reference(spec, obj["metadata"].get("namespace", ""))
    stamp_user(obj, context, GROUP)


def validate_rabbitmq_broker_config(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = _validate_reference(spec)
    if spec["queueType"] not in QUEUE_TYPES:
        errors += invalid(spec["queueType"], "queueType")
    errors = via("spec", errors)
    if context.old is not None:
        for field in ("queueType", "rabbitmqClusterReference"):
            errors += check_unchanged(context.old.get("spec") or {}, spec, field)
    return errors


def _default_reference(spec: Json, namespace: str) -> None:
    reference = spec.get("rabbitmqClusterReference")
    if reference and not reference.get("namespace"):
        reference["namespace"] = namespace


def _validate_reference(spec: Json) -> Errors:
    reference = spec.get("rabbitmqClusterReference")
    if reference is None:
        return missing("rabbitmqClusterReference")
    if reference.get("name"):
        errors = disallowed("connectionSecret") if reference.get("connectionSecret") else []
    else:
        errors = [] if (reference.get("connectionSecret") or {}).get("name") else missing("name")
    return via("rabbitmqClusterReference", errors)


def _validate_resources(config: Json) -> Errors:
    errors = [] if config.get("queueName") else missing("queueName")
    if not config.get("predeclared") and not config.get("exchangeName"):
        errors += generic("Name of exchange must be provided when spec.predeclared is false", "exchangeName")
    if config["queueType"] not in QUEUE_TYPES:
        errors += invalid(config["queueType"], "queueType")
    if not 1 <= config["parallelism"] <= PARALLELISM_MAX:
        errors += out_of_bounds(config["parallelism"], 1, PARALLELISM_MAX, "parallelism")
    return errors


RABBITMQ_SOURCE: Kind[RabbitmqSource] = Kind(
    group=SOURCES_GROUP,
    version="v1alpha1",
    kind="RabbitmqSource",
    plural="rabbitmqsources",
    model=RabbitmqSource,
    short_names=("rmqsource",),
    categories=("all", "knative", "eventing", "sources", "importers"),
    columns=(SINK_COLUMN, AGE, *READY),
    default=default_rabbitmq_source,
    validate=validate_rabbitmq_source,
    warn=warn_of(DeliveryOptions),
    merge_patch_only=True,
    webhook=WEBHOOK,
)
RABBITMQ_BROKER_CONFIG: Kind[RabbitmqBrokerConfig] = Kind(
    group=GROUP,
    version="v1alpha1",
    kind="RabbitmqBrokerConfig",
    plural="rabbitmqbrokerconfigs",
    model=RabbitmqBrokerConfig,
    categories=("all", "knative", "eventing"),
    columns=(AGE,),
    default=default_rabbitmq_broker_config,
    validate=validate_rabbitmq_broker_config,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
