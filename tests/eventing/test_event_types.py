"""EventTypes: of what passed, made once, and the schemas that users put into them."""

from __future__ import annotations

from core.resources.duck_v1 import Reference
from core.resources.eventing import EventAttributeDefinition, EventType, EventTypeSpec
from core.resources.meta import ObjectMeta
from eventing.event_types import TYPES_MAX, Seen, SeenTypes, event_type_for, schema_rule_of, sort_of
from eventing.schemas import BadSchema, SchemaRule, Schemas
from tests.support.events import plain

BROKER = Reference(kind="Broker", name="default", api_version="eventing.knative.dev/v1")


def test_each_type_of_each_source_is_new_once() -> None:
    calls: list[None] = []
    seen = SeenTypes([Seen("known", "/s", "")], lambda: calls.append(None))
    for event in (plain(type="known", source="/s"), plain(type="a"), plain(type="a"), plain(type="a", source="/other")):
        seen.note(event)
    assert seen.take_fresh() == [Seen("a", "/orders", ""), Seen("a", "/other", "")]
    assert seen.take_fresh() == []
    assert len(calls) == 2


def test_the_types_of_a_broker_are_bounded() -> None:
    seen = SeenTypes()
    for number in range(TYPES_MAX + 10):
        seen.note(plain(source=f"/device/{number}"))
    assert seen.is_full
    assert len(seen.take_fresh()) == TYPES_MAX


def test_an_event_type_for_what_passed() -> None:
    made = event_type_for(Seen("com.example.order", "/orders/eu", "urn:s"), "default", BROKER)
    assert {each.name: each.value for each in made.spec.attributes or ()} == {
        "type": "com.example.order",
        "source": "/orders/eu",
        "specversion": "1.0",
        "id": None,
        "schemadata": "urn:s",
    }
    assert made.spec.reference == BROKER
    assert made.metadata.namespace == "default"
    assert event_type_for(Seen("com.example.order", "/orders/eu", "other"), "default", BROKER).name == made.name
    assert event_type_for(Seen("com.example.order", "/orders", ""), "default", BROKER).name != made.name
    long = event_type_for(Seen("t" * 300, "/s", ""), "default", Reference(kind="Broker", name="b" * 63))
    assert len(long.name) <= 63


def described(name: str, **attributes: str) -> EventType:
    definitions = [EventAttributeDefinition(name=name, value=value) for name, value in attributes.items()]
    return EventType(metadata=ObjectMeta(name=name), spec=EventTypeSpec(attributes=definitions))


def test_schemas_are_taken_from_event_types() -> None:
    made = [
        described("good", type="a", schemadata=' {"type": "number"}'),
        described("of-one-source", type="b", source="/one", schemadata='{"type": "number"}'),
        described("elsewhere", type="c", schemadata="https://example.com/schema.json"),
        described("of-no-type", schemadata='{"type": "number"}'),
        described("bad", type="d", schemadata='{"type": 5}'),
        described("plain", type="e"),
    ]
    found = {each.name: schema_rule_of(each) for each in made}
    assert {name for name, rule in found.items() if isinstance(rule, BadSchema)} == {"bad"}
    schemas = Schemas(rule for rule in found.values() if isinstance(rule, SchemaRule))
    broken = {type for type in "abcde" if schemas.violation(plain(b'"x"', type=type))}
    assert broken == {"a"}
    assert schemas.violation(plain(b'"x"', type="b", source="/one"))


def test_an_event_type_that_is_gone_is_made_anew() -> None:
    seen = SeenTypes()
    made = described("x", type="com.example.order", source="/orders")
    assert sort_of(made) == ("com.example.order", "/orders")
    assert sort_of(described("x", type="com.example.order")) is None
    seen.learn("com.example.order", "/orders")
    seen.note(plain())
    assert seen.take_fresh() == []
    seen.forget("com.example.order", "/orders")
    seen.note(plain())
    assert len(seen.take_fresh()) == 1
