"""Probes in a revision template: Kubernetes' own, and Knative's aggressive one (`periodSeconds: 0`).

Called by `serving_podspec` for each container; the messages are Knative's. Pure.
"""

from __future__ import annotations

from core.resources import serving_fields as fields
from core.resources.knative_errors import Errors, both_of, generic, invalid, neither_of, out_of_bounds, via
from core.resources.meta import Json

_MAX = 2**31 - 1


def validate_probes(container: Json, port: Json | None) -> Errors:
    """`port` is the serving port of the container that has it; None for a sidecar, whose probes must name theirs."""
    errors: Errors = []
    for field in ("livenessProbe", "startupProbe"):
        if container.get(field) is not None:
            errors += via(field, _validate_probe(container[field], port))
    if container.get("readinessProbe") is not None:
        probe = container["readinessProbe"]
        errors += via("readinessProbe", _validate_probe(probe, port) + _validate_readiness(probe))
    return errors


def _validate_probe(probe: Json, port: Json | None) -> Errors:
    errors = fields.check_fields(probe, fields.PROBE_FIELDS)
    handlers = [handler for handler in fields.PROBE_HANDLERS if probe.get(handler) is not None]
    if not handlers:
        errors += neither_of(*fields.PROBE_HANDLERS)
    elif len(handlers) > 1:
        errors += both_of(*("gRPC" if handler == "grpc" else handler for handler in handlers))
    for handler in ("httpGet", "tcpSocket"):
        if probe.get(handler) is None:
            continue
        given = probe[handler].get("port")
        if port is None and not given:
            errors += invalid(given or 0, f"{handler}.port", "Probe port must be specified")
        if port is not None and isinstance(given, str) and given and given != port["name"]:
            errors += invalid(given, f"{handler}.port", "Probe port must match container port")
    return errors


def _validate_readiness(probe: Json) -> Errors:
    errors: Errors = []

    def at_least(field: str, lower: int) -> None:
        value = probe.get(field) or 0
        if value < lower:
            errors.extend(out_of_bounds(value, lower, _MAX, field))

    at_least("periodSeconds", 0)
    at_least("initialDelaySeconds", 0)
    at_least("successThreshold", 1)
    if not probe.get("periodSeconds"):
        for field in ("failureThreshold", "timeoutSeconds"):
            if probe.get(field):
                errors += generic(f"{field} is disallowed when periodSeconds is zero", field)
    else:
        at_least("timeoutSeconds", 1)
        at_least("failureThreshold", 1)
    return errors
