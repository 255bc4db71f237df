"""EventType there and back again."""

from __future__ import annotations

import pytest

from core.resources.eventing import EVENT_TYPE
from core.resources.eventing_v1beta2 import EVENT_TYPE_V1BETA1, EVENT_TYPE_V1BETA2, from_stored, to_stored
from core.resources.meta import Json
from tests.support.eventing_documents import admitted, document, refusal

BROKER = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default", "namespace": "ns"}


def test_fields_become_attributes() -> None:
    old = document({"type": "t", "source": "/s", "schema": "http://x/", "schemaData": "{}", "reference": BROKER})
    new = to_stored(old)
    assert new["spec"] == {
        "reference": BROKER,
        "attributes": [
            {"name": "type", "required": True, "value": "t"},
            {"name": "source", "required": True, "value": "/s"},
            {"name": "schemadata", "required": False, "value": "{}"},
            {"name": "dataschema", "required": False, "value": "http://x/"},
            {"name": "specversion", "required": True},
            {"name": "id", "required": True},
        ],
    }
    assert refusal(EVENT_TYPE, new) == ""
    back = from_stored(new)
    assert back["spec"] == {**old["spec"], "broker": "default"}
    assert to_stored(back) == new


@pytest.mark.parametrize(
    "schema", [{"schema": "http://x/y.json"}, {"schemaData": '{"type": "object"}'}, {"schemaData": "message A {}"}]
)
def test_one_schema_is_one_attribute(schema: Json) -> None:
    new = to_stored(document({"type": "t", "source": "/s", **schema}))
    values = {each["name"]: each.get("value") for each in new["spec"]["attributes"]}
    assert values["schemadata"] == next(iter(schema.values()))
    assert "dataschema" not in values
    assert from_stored(new)["spec"] == {"type": "t", "source": "/s", **schema}
    cells = {column.name: column.value(new) for column in EVENT_TYPE.columns if column.value}
    assert cells["Schema"] == schema.get("schema")


def test_a_broker_by_name_is_a_reference() -> None:
    new = to_stored(document({"type": "t", "broker": "default"}))
    assert new["spec"]["reference"] == BROKER
    assert refusal(EVENT_TYPE, new) == ""


def test_a_type_is_all_it_needs() -> None:
    assert refusal(EVENT_TYPE_V1BETA2, document({"type": "t"})) == ""
    assert refusal(EVENT_TYPE_V1BETA1, document({"source": "s"})) == "missing field(s): spec.type"
    reference: Json = {name: value for name, value in BROKER.items() if name != "namespace"}
    found = admitted(EVENT_TYPE_V1BETA2, document({"type": "t", "reference": reference}))
    assert found["spec"]["reference"] == BROKER
