"""The names of KEDA's labels, annotations and finalizer, and of ours on its kinds; what stands in them. Pure.

`keda_options` reads and checks those that a user writes.
"""

from __future__ import annotations

from typing import Final

from core.resources.pilotlight import PREFIX

GROUP: Final = "keda.sh"
VERSION: Final = "v1alpha1"
KEDA_RELEASE: Final = "2.20.2"
"""Whose documents are taken, and whose labels are written."""

# On a ScaledObject (and, where that is said, a ScaledJob), by the user.

PAUSED: Final = "autoscaling.keda.sh/paused"
"""Held at what it has; of a ScaledJob: no new Jobs. A text that is no truth value counts as true."""

PAUSED_REPLICAS: Final = "autoscaling.keda.sh/paused-replicas"
"""Written once, then held; wins over `paused`."""

PAUSED_SCALE_IN: Final = "autoscaling.keda.sh/paused-scale-in"
PAUSED_SCALE_OUT: Final = "autoscaling.keda.sh/paused-scale-out"
"""Not fewer, not more; the other direction goes on."""

FORCE_ACTIVATION: Final = "autoscaling.keda.sh/force-activation"
"""Every trigger counts as active."""

TRANSFER_HPA_OWNERSHIP: Final = "scaledobject.keda.sh/transfer-hpa-ownership"
"""`true`: the HorizontalPodAutoscaler of its name, which somebody else has made, becomes its own."""

HPA_EXCLUDED_LABELS: Final = "scaledobject.keda.sh/hpa-excluded-labels"
"""Labels that its HorizontalPodAutoscaler does not get, separated by commas."""

HPA_OWNERSHIP: Final = "validations.keda.sh/hpa-ownership"
"""On a HorizontalPodAutoscaler, `false`: its target may have a ScaledObject, too."""

JOB_EXCLUDED_LABELS: Final = "scaledjob.keda.sh/job-excluded-labels"
"""On a ScaledJob: labels of it, with commas between them, that its Jobs shall not have."""

POLLING_INTERVAL: Final = PREFIX + "polling-interval"
"""Ours, also on a ScaledJob: a duration such as `200ms`, in place of spec.pollingInterval with its whole seconds."""

DRAIN_TIME: Final = PREFIX + "drain-time"
"""Ours: as many replicas as it takes to be through with all that waits in this time, such as `30s`."""

# By the platform.

SCALED_OBJECT_NAME: Final = "scaledobject.keda.sh/name"
"""Label of a ScaledObject and of what is made for it."""

SCALED_JOB_NAME: Final = "scaledjob.keda.sh/name"
"""Label of a Job: the ScaledJob that made it."""

SCALED_JOB_GENERATION: Final = "scaledjob.keda.sh/generation"
"""Annotation of a Job: the generation of the ScaledJob that it was made from."""

FINALIZER: Final = "finalizer.keda.sh"
HPA_PREFIX: Final = "keda-hpa-"
NAMESPACE: Final = "keda"
"""Where a ClusterTriggerAuthentication finds its Secrets and ConfigMaps."""

CPU, MEMORY, CRON = "cpu", "memory", "cron"
"""Trigger types that admission treats apart."""
RESOURCE_TRIGGERS: Final = (CPU, MEMORY)
