"""The delivery policy in a document (knative.dev/eventing/pkg/apis/duck/v1/delivery_types.go): fields and rules.

It stands in Brokers, Triggers, channels, Subscriptions, flows and Kafka's sources. What its numbers mean is in
`eventing/delivery.py`, which merges several of them field by field. Pure.
"""

from __future__ import annotations

from enum import StrEnum

from core.resources.duck_v1 import Destination
from core.resources.eventing_destinations import default_destination, validate_destination
from core.resources.fields import doc
from core.resources.knative_errors import Errors, invalid, via
from core.resources.meta import Json, Model
from core.settings.iso_durations import parse_iso_duration


class BackoffPolicy(StrEnum):
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class Format(StrEnum):
    """How an event is written on delivery; without one, as it was received."""

    JSON = "json"
    BINARY = "binary"


class DeliverySpec(Model):
    """How hard delivery is tried, and where an event goes that could not be delivered."""

    dead_letter_sink: Destination | None = doc("Where events go that could not be delivered.")
    retry: int | None = doc("Tries after the first one.")
    timeout: str | None = doc("Longest time that one try may take, as an ISO 8601 duration such as PT30S.")
    backoff_policy: str | None = doc("linear (n delays before the nth retry) or exponential (2ⁿ delays).")
    backoff_delay: str | None = doc("The delay, as an ISO 8601 duration such as PT0.2S.")
    backoff_max: str | None = doc("Longest wait between two tries, as an ISO 8601 duration.")
    retry_after_max: str | None = doc("Longest Retry-After (of 429 and 503) that is obeyed; PT0S obeys none.")
    format: str | None = doc("json or binary; without it events are sent as they were received.")


class DeliveryStatus(Model):
    """What a status says of the dead letter sink; mixed into statuses."""

    dead_letter_sink_uri: str | None = doc("Where events go that could not be delivered.")
    dead_letter_sink_ca_certs: str | None = doc("Its certificates.", alias="deadLetterSinkCACerts")
    dead_letter_sink_audience: str | None = doc("Its OIDC audience.")


def default_delivery(delivery: Json | None, namespace: str) -> None:
    default_destination((delivery or {}).get("deadLetterSink"), namespace)


def validate_delivery(delivery: Json | None) -> Errors:
    if delivery is None:
        return []
    errors: Errors = []
    if (sink := delivery.get("deadLetterSink")) is not None:
        errors += via("deadLetterSink", validate_destination(sink))
    if delivery.get("retry", 0) < 0:
        errors += invalid(delivery["retry"], "retry")
    for field, choices in (("backoffPolicy", BackoffPolicy), ("format", Format)):
        value = delivery.get(field)
        if value is not None and value not in tuple(choices):
            errors += invalid(value, field)
    errors += _check_duration(delivery, "timeout", zero=False)
    errors += _check_duration(delivery, "backoffDelay", zero=True)
    errors += _check_duration(delivery, "backoffMax", zero=False)
    return errors + _check_duration(delivery, "retryAfterMax", zero=True)


def _check_duration(delivery: Json, field: str, *, zero: bool) -> Errors:
    text = delivery.get(field)
    if text is None:
        return []
    try:
        seconds = parse_iso_duration(text)
    except ValueError as error:
        return invalid(text, field, str(error))
    return [] if seconds > 0 or (zero and seconds == 0) else invalid(text, field)
