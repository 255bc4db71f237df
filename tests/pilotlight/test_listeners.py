"""Ports: free ones are found, taken ones are explained."""

from __future__ import annotations

import pytest

from pilotlight import listeners
from pilotlight.listeners import Listener, PortProblem, bind, bind_if_free, bind_inside


def test_zero_picks_a_free_port() -> None:
    listener = bind("gateway", "127.0.0.1", 0)
    try:
        assert listener.port > 0
        assert listener.socket.getsockname() == ("127.0.0.1", listener.port)
    finally:
        listener.socket.close()


def test_a_port_in_use_is_named_with_the_option_that_helps() -> None:
    first = bind("api", "127.0.0.1", 0)
    try:
        with pytest.raises(PortProblem, match=rf"api port {first.port} .* in use .* --api-port"):
            bind("api", "127.0.0.1", first.port)
    finally:
        first.socket.close()


def test_two_platforms_get_different_addresses_inside() -> None:
    with bind("gateway", "127.0.0.1", 0).socket as gateway:
        public_port = gateway.getsockname()[1]
        first, second = bind_inside(public_port), bind_inside(public_port)
    assert first is not None
    assert second is not None
    with first.socket, second.socket:
        assert first.host != second.host
        assert first.port in (80, public_port)


def test_without_the_right_to_port_80_the_inside_has_the_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind_as_nobody(host: str, port: int) -> Listener | None:
        return None if port < 1024 else bind_if_free(host, port)

    monkeypatch.setattr(listeners, "bind_if_free", bind_as_nobody)
    with bind("gateway", "127.0.0.1", 0).socket as gateway:
        port = gateway.getsockname()[1]
        inside = listeners.bind_inside(port)
    assert inside is not None
    with inside.socket:
        assert (inside.host, inside.port) == (listeners.INSIDE_ADDRESSES[0], port)


def test_a_port_that_is_only_wanted_is_done_without() -> None:
    first = bind_if_free("127.0.0.1", 0)
    assert first is not None
    with first.socket:
        assert bind_if_free("127.0.0.1", first.port) is None
