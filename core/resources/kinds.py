"""Every resource type there is: the one table that the store, the API server and the CLI are built from."""

from __future__ import annotations

from typing import Any

from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.core_services import CORE_SERVICE, ENDPOINTS
from core.resources.core_v1 import CONFIG_MAP, EVENT, NAMESPACE, SECRET, SERVICE_ACCOUNT
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.eventing import BROKER, EVENT_TYPE, TRIGGER
from core.resources.flows import PARALLEL, SEQUENCE
from core.resources.messaging import CHANNEL, IN_MEMORY_CHANNEL, SUBSCRIPTION
from core.resources.meta import Kind
from core.resources.networking import CLUSTER_DOMAIN_CLAIM, INGRESS
from core.resources.pods import POD
from core.resources.serving import CONFIGURATION, DOMAIN_MAPPING, REVISION, ROUTE, SERVICE
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
    DEPLOYMENT,
    ENDPOINT_SLICE,
    SERVICE,
    CONFIGURATION,
    REVISION,
    ROUTE,
    DOMAIN_MAPPING,
    POD_AUTOSCALER,
    INGRESS,
    CLUSTER_DOMAIN_CLAIM,
    BROKER,
    TRIGGER,
    EVENT_TYPE,
    CHANNEL,
    IN_MEMORY_CHANNEL,
    SUBSCRIPTION,
    SEQUENCE,
    PARALLEL,
)
