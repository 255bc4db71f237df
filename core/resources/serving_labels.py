"""Names of the labels and annotations that drive Knative Serving (knative.dev/serving/pkg/apis/serving/register.go).

Written and read by every package that meets a Revision or what comes of it; spelled here and nowhere else. Those of
`autoscaling.knative.dev` are in `autoscaling_annotations`.
"""

from __future__ import annotations

GROUP = "serving.knative.dev"

# Labels: whose child an object is.
SERVICE_LABEL = f"{GROUP}/service"
CONFIGURATION_LABEL = f"{GROUP}/configuration"
REVISION_LABEL = f"{GROUP}/revision"
ROUTE_LABEL = f"{GROUP}/route"
ROUTE_NAMESPACE_LABEL = f"{GROUP}/routeNamespace"
CONFIGURATION_GENERATION_LABEL = f"{GROUP}/configurationGeneration"
SERVICE_UID_LABEL = f"{GROUP}/serviceUID"
CONFIGURATION_UID_LABEL = f"{GROUP}/configurationUID"
REVISION_UID_LABEL = f"{GROUP}/revisionUID"
DOMAIN_MAPPING_UID_LABEL = f"{GROUP}/domainMappingUID"
DOMAIN_MAPPING_NAMESPACE_LABEL = f"{GROUP}/domainMappingNamespace"
APP_LABEL = "app"

# Whether a Route sends requests to a Revision; kept by the labeler.
ROUTING_STATE_LABEL = f"{GROUP}/routingState"
ROUTING_STATE_MODIFIED_ANNOTATION = f"{GROUP}/routingStateModified"  # RFC 3339
ROUTES_ANNOTATION = f"{GROUP}/routes"  # names, comma separated

# What a user may ask of one object.
NO_GC_ANNOTATION = f"{GROUP}/no-gc"
ROLLOUT_DURATION_ANNOTATIONS = (f"{GROUP}/rollout-duration", f"{GROUP}/rolloutDuration")
PROGRESS_DEADLINE_ANNOTATION = f"{GROUP}/progress-deadline"
FULL_DUPLEX_ANNOTATION = "features.knative.dev/http-full-duplex"

# Who did it; stamped at admission.
CREATOR_ANNOTATION = f"{GROUP}/creator"
LAST_MODIFIER_ANNOTATION = f"{GROUP}/lastModifier"

# On the Ingress: the gradual rollout's state, as JSON, so that it survives a restart.
ROLLOUT_ANNOTATION = "networking.internal.knative.dev/rollout"

VISIBILITY_LABEL = "networking.knative.dev/visibility"
CLUSTER_LOCAL = "cluster-local"
NETWORKING_PREFIX = "networking.knative.dev/"
HTTP_PROTOCOL_ANNOTATIONS = (f"{NETWORKING_PREFIX}httpOption", f"{NETWORKING_PREFIX}http-protocol")
INGRESS_CLASS_ANNOTATIONS = (f"{NETWORKING_PREFIX}ingress.class", f"{NETWORKING_PREFIX}ingress-class")
CERTIFICATE_CLASS_ANNOTATIONS = (f"{NETWORKING_PREFIX}certificate.class", f"{NETWORKING_PREFIX}certificate-class")
DISABLE_TLS_ANNOTATIONS = (
    f"{NETWORKING_PREFIX}disableAutoTLS",
    f"{NETWORKING_PREFIX}disable-auto-tls",
    f"{NETWORKING_PREFIX}disableExternalDomainTLS",
    f"{NETWORKING_PREFIX}disable-external-domain-tls",
)
