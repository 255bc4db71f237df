"""Every resource type there is: the one table that the store, the API server and the CLI are built from.

The API serves some of them in older versions too: `SERVED`.
"""

from __future__ import annotations

from typing import Any

from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.batch import JOB
from core.resources.core_services import CORE_SERVICE, ENDPOINTS
from core.resources.core_v1 import CONFIG_MAP, EVENT, NAMESPACE, SECRET, SERVICE_ACCOUNT
from core.resources.crds import CUSTOM_RESOURCE_DEFINITION
from core.resources.daemon_sets import DAEMON_SET
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.eventing import BROKER, EVENT_TYPE, TRIGGER
from core.resources.eventing_v1beta2 import EVENT_TYPE_V1BETA1, EVENT_TYPE_V1BETA2
from core.resources.events_v1 import EVENT_V1
from core.resources.flows import PARALLEL, SEQUENCE
from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER
from core.resources.hpa_v1 import HORIZONTAL_POD_AUTOSCALER_V1
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.keda_jobs import SCALED_JOB
from core.resources.messaging import CHANNEL, IN_MEMORY_CHANNEL, SUBSCRIPTION
from core.resources.meta import Kind
from core.resources.networking import CLUSTER_DOMAIN_CLAIM, INGRESS, SERVERLESS_SERVICE
from core.resources.pods import POD
from core.resources.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from core.resources.serving import CONFIGURATION, DOMAIN_MAPPING, REVISION, ROUTE, SERVICE
from core.resources.sinks import JOB_SINK, KAFKA_SINK
from core.resources.sources import API_SERVER_SOURCE, CONTAINER_SOURCE, PING_SOURCE, PING_SOURCE_V1BETA2, SINK_BINDING
from core.resources.sources_kafka import KAFKA_SOURCE, KAFKA_SOURCE_V1BETA1
from core.resources.sources_rabbitmq import RABBITMQ_BROKER_CONFIG, RABBITMQ_SOURCE
from core.resources.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from core.resources.workloads import DEPLOYMENT

KINDS: tuple[Kind[Any], ...] = (
    NAMESPACE,
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    POD,
    CORE_SERVICE,
    ENDPOINTS,
    EVENT,
    PERSISTENT_VOLUME_CLAIM,
    PERSISTENT_VOLUME,
    STORAGE_CLASS,
    ROLE,
    CLUSTER_ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE_BINDING,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    DAEMON_SET,
    JOB,
    ENDPOINT_SLICE,
    SERVICE,
    CONFIGURATION,
    REVISION,
    ROUTE,
    DOMAIN_MAPPING,
    POD_AUTOSCALER,
    HORIZONTAL_POD_AUTOSCALER,
    INGRESS,
    CLUSTER_DOMAIN_CLAIM,
    SERVERLESS_SERVICE,
    BROKER,
    TRIGGER,
    EVENT_TYPE,
    CHANNEL,
    IN_MEMORY_CHANNEL,
    SUBSCRIPTION,
    SEQUENCE,
    PARALLEL,
    PING_SOURCE,
    CONTAINER_SOURCE,
    SINK_BINDING,
    API_SERVER_SOURCE,
    KAFKA_SOURCE,
    RABBITMQ_SOURCE,
    KAFKA_SINK,
    JOB_SINK,
    RABBITMQ_BROKER_CONFIG,
    SCALED_OBJECT,
    SCALED_JOB,
    TRIGGER_AUTHENTICATION,
    CLUSTER_TRIGGER_AUTHENTICATION,
)

SERVED: tuple[Kind[Any], ...] = (
    *KINDS,
    EVENT_V1,
    EVENT_TYPE_V1BETA2,
    EVENT_TYPE_V1BETA1,
    PING_SOURCE_V1BETA2,
    KAFKA_SOURCE_V1BETA1,
    HORIZONTAL_POD_AUTOSCALER_V1,
)
"""What the API serves; of a group's versions of a kind, the first one here is the one that clients choose."""
