"""What travels: one CloudEvent. The value that every stage between a producer and a subscriber hands on.

Made by the codecs, the bindings and the sources, which have checked it; whoever holds one may rely on `id`, `source`,
`type` and `specversion` being there. Knows no wire format.
"""

from __future__ import annotations

from typing import TypeAlias

Value: TypeAlias = str | int | bool
"""Text as it was received (a timestamp is not reparsed); numbers and truth only where JSON or AMQP gave them."""


class Event:
    """Attributes by lower-case name (extensions among them, `data` not) and data as bytes, None where there is none.

    Nobody changes an event: it may be in the log, in a match and in ten deliveries at once. `with_attributes` copies.
    Data without `datacontenttype` is JSON if it parses as JSON, as the JSON format has it.
    """

    __slots__ = ("attributes", "data")

    def __init__(self, attributes: dict[str, Value], data: bytes | None = None) -> None:
        self.attributes = attributes
        self.data = data

    @property
    def identity(self) -> tuple[str, str]:
        """Source and id: two events that share both are the same event, sent twice."""
        attributes = self.attributes
        return str(attributes["source"]), str(attributes["id"])

    @property
    def id(self) -> str:
        return str(self.attributes["id"])

    @property
    def source(self) -> str:
        return str(self.attributes["source"])

    @property
    def type(self) -> str:
        return str(self.attributes["type"])

    def with_attributes(self, **changes: Value | None) -> Event:
        """A copy in which these attributes have these values; None takes one away. The data is shared, not copied."""
        attributes = self.attributes | changes
        return Event({name: value for name, value in attributes.items() if value is not None}, self.data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self.attributes == other.attributes and self.data == other.data

    __hash__ = None  # type: ignore[assignment]  # it holds a dict; `identity` is what to key by

    def __repr__(self) -> str:
        return f"Event({self.attributes!r}, {self.data!r})"


def text_of(value: Value) -> str:
    """The canonical text of an attribute's value, as every binary mode carries it."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    return value if isinstance(value, str) else str(value)


def is_json(content_type: str) -> bool:
    """Whether data of this `datacontenttype` is JSON: subtype `json`, or a suffix `+json`."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))
