from __future__ import annotations

from typing import Any

from core.resources.eventing_delivery import BackoffPolicy
from core.resources.eventing_options import BrokerOptions, SubscriptionOptions, read_options
from core.resources.meta import Json, ObjectKey
from eventing.filters.clauses import everything
from eventing.log.base import Origin, Retention, Start
from eventing.plans import (
    Ends,
    broker_stream,
    filter_source,
    plan_subscription,
    policy_of,
    retention_of,
    start_of,
    trigger_name,
)
from eventing.subscriptions import Append, Subscription


def make(spec: Json | None = None, **annotations: str) -> Json:
    said = {f"pilotlight.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {"metadata": {"name": "t", "namespace": "n", "annotations": said}, "spec": spec or {}}


def plan(**annotations: str) -> Subscription:
    ends = Ends("http://fn", Append("broker/n/b"), "http://dls")
    return plan_subscription("trigger/n/t", make(**annotations), everything(), ends, policy_of(make(), None))


def test_names_say_whose_they_are() -> None:
    assert broker_stream(ObjectKey("n", "b")) == "broker/n/b"
    assert trigger_name(ObjectKey("n", "t")) == "trigger/n/t"


def test_a_policy_is_filled_up_field_by_field() -> None:
    trigger = make({"delivery": {"retry": 3}}, backoff_jitter="0.5")
    broker = make({"delivery": {"retry": 7, "backoffPolicy": "linear", "backoffDelay": "PT2S"}}, backoff_jitter="0.1")
    policy = policy_of(trigger, broker)
    assert (policy.retry, policy.backoff, policy.backoff_delay_s, policy.jitter) == (3, BackoffPolicy.LINEAR, 2.0, 0.5)
    assert policy_of(make(), None).retry == 10


def test_annotations_say_the_rest() -> None:
    ordered = plan(delivery_order="ordered", order_key="subject", parallelism="7", rate_limit="2.5", backlog_max="9")
    assert (ordered.order_key, ordered.parallelism, ordered.rate_per_s, ordered.backlog_max) == ("subject", 7, 2.5, 9)
    plain = plan()
    assert (plain.order_key, plain.parallelism, plain.rate_per_s, plain.backlog_max) == (None, 100, None, None)
    assert (plain.namespace, plain.subscriber, plain.dead_letter_sink) == ("n", "http://fn", "http://dls")


def test_a_start_is_read() -> None:
    def start(text: str) -> Start:
        return start_of(read_options(SubscriptionOptions, {"pilotlight.dev/start": text}))

    assert start("earliest") == Start(Origin.EARLIEST)
    assert start("42") == Start(Origin.OFFSET, 42)
    assert start("1970-01-01T00:01:00Z") == Start(Origin.TIME, 60)


def test_retention_is_what_is_said_and_else_the_default() -> None:
    def retention(**said: Any) -> Retention:
        return retention_of(read_options(BrokerOptions, make(**said)["metadata"]["annotations"]))

    assert retention() == Retention()
    assert retention(retention_age="P1D") == Retention(86_400, Retention().bytes_max)
    assert retention(retention_bytes="1Mi") == Retention(Retention().age_s, 1 << 20)


def test_an_unchanged_document_makes_an_equal_plan_and_another_filter_another() -> None:
    assert plan() == plan()
    assert plan() != plan(parallelism="7")
    spec: Json = {"filters": [{"exact": {"type": "a"}}]}
    assert filter_source(spec) == filter_source({"filters": [{"exact": {"type": "a"}}], "broker": "b"})
    assert filter_source(spec) != filter_source({"filters": [{"exact": {"type": "b"}}]})
