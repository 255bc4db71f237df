"""Annotations of ours: read, refused, hinted at; and the page that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.resources import eventing_options as options
from core.resources.eventing_options import (
    BrokerOptions,
    DeliveryOptions,
    Order,
    SchemaMode,
    Start,
    StartRule,
    SubscriptionOptions,
    check_options,
    read_options,
    warn_options,
)
from core.resources.knative_errors import sentences
from core.resources.meta import Json

DOCUMENT = Path(__file__).parents[3] / "docs/eventing.md"


def annotated(**annotations: str) -> Json:
    return {
        "metadata": {
            "name": "a",
            "annotations": {f"pilotlight.dev/{k.replace('_', '-')}": v for k, v in annotations.items()},
        }
    }


def test_all_of_a_broker() -> None:
    obj = annotated(
        deduplicate="PT10M",
        retention_age="P7D",
        retention_bytes="10Gi",
        schema_mode="dead-letter",
        backlog_max="100",
        backoff_jitter="0.2",
    )
    assert check_options(BrokerOptions, obj) == []
    assert warn_options(BrokerOptions, obj) == []
    assert read_options(BrokerOptions, obj["metadata"]["annotations"]) == BrokerOptions(
        deduplicate_s=600.0,
        retention_age_s=604800.0,
        retention_bytes=10 * 2**30,
        schema_mode=SchemaMode.DEAD_LETTER,
        backlog_max=100,
        backoff_jitter=0.2,
    )


def test_all_of_a_trigger() -> None:
    obj = annotated(
        start="earliest",
        keep_cursor="true",
        delivery_order="ordered",
        order_key="subject",
        parallelism="8",
        rate_limit="2.5",
    )
    assert check_options(SubscriptionOptions, obj) == []
    assert read_options(SubscriptionOptions, obj["metadata"]["annotations"]) == SubscriptionOptions(
        start=Start(StartRule.EARLIEST),
        keep_cursor=True,
        order=Order.ORDERED,
        order_key="subject",
        parallelism=8,
        rate_limit=2.5,
    )
    assert read_options(SubscriptionOptions, {}) == SubscriptionOptions()


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("now", Start()),
        ("earliest", Start(StartRule.EARLIEST)),
        ("0", Start(StartRule.OFFSET, 0)),
        ("1234", Start(StartRule.OFFSET, 1234)),
        ("2026-01-31T09:00:00Z", Start(StartRule.TIME, 1769850000.0)),
        ("2026-01-31T10:00:00+01:00", Start(StartRule.TIME, 1769850000.0)),
    ],
)
def test_where_a_trigger_starts(text: str, start: Start) -> None:
    assert read_options(SubscriptionOptions, {"pilotlight.dev/start": text}).start == start


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (BrokerOptions, "deduplicate", "10m"),
        (BrokerOptions, "deduplicate", "PT0S"),
        (BrokerOptions, "retention-bytes", "lots"),
        (BrokerOptions, "retention-bytes", "0"),
        (BrokerOptions, "schema-mode", "strict"),
        (BrokerOptions, "backoff-jitter", "1.5"),
        (BrokerOptions, "backoff-jitter", "nan"),
        (BrokerOptions, "backlog-max", "0"),
        (SubscriptionOptions, "start", "yesterday"),
        (SubscriptionOptions, "start", "-1"),
        (SubscriptionOptions, "start", "2026-01-31T09:00:00"),
        (SubscriptionOptions, "keep-cursor", "yes"),
        (SubscriptionOptions, "delivery-order", "fifo"),
        (SubscriptionOptions, "order-key", "Partition-Key"),
        (SubscriptionOptions, "parallelism", "1001"),
        (SubscriptionOptions, "parallelism", "0"),
        (SubscriptionOptions, "rate-limit", "0"),
        (SubscriptionOptions, "rate-limit", "inf"),
    ],
)
def test_what_cannot_be_read_is_refused(kind: type[DeliveryOptions], name: str, text: str) -> None:
    obj = {"metadata": {"annotations": {f"pilotlight.dev/{name}": text}}}
    refusal = sentences(check_options(kind, obj))
    assert refusal.startswith(f"invalid value: {text}: metadata.annotations[pilotlight.dev/{name}]\nmust be ")
    assert read_options(kind, obj["metadata"]["annotations"]) == kind()


def test_annotations_of_knatives_brokers_are_honored_and_ours_win() -> None:
    theirs = {
        "kafka.eventing.knative.dev/delivery.order": "ordered",
        "rabbitmq.eventing.knative.dev/parallelism": "7",
    }
    found = read_options(SubscriptionOptions, theirs)
    assert (found.order, found.parallelism) == (Order.ORDERED, 7)
    ours = read_options(SubscriptionOptions, {**theirs, "pilotlight.dev/parallelism": "9"})
    assert ours.parallelism == 9
    broken = {"kafka.eventing.knative.dev/delivery.order": "sorted"}
    assert check_options(SubscriptionOptions, {"metadata": {"annotations": broken}}) == []
    assert read_options(SubscriptionOptions, broken).order is Order.UNORDERED


def test_a_name_that_nobody_reads_gets_a_hint() -> None:
    assert warn_options(SubscriptionOptions, annotated(paralelism="3", deduplicate="PT1M")) == [
        "metadata.annotations[pilotlight.dev/paralelism]: has no effect on this kind; did you mean "
        "pilotlight.dev/parallelism?",
        "metadata.annotations[pilotlight.dev/deduplicate]: has no effect on this kind",
    ]


def test_the_page_lists_every_annotation() -> None:
    page = DOCUMENT.read_text()
    for kind in (BrokerOptions, SubscriptionOptions):
        for _, option in options._options(kind):
            assert f"`{option.name}`" in page
            assert not option.alias or f"`{option.alias}`" in page
