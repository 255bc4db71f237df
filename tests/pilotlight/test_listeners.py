"""Ports: free ones are found, taken ones are explained."""

from __future__ import annotations

import pytest

from pilotlight.listeners import PortProblem, bind, bind_if_free, bind_inside


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
    first, second = bind_inside(), bind_inside()
    try:
        if first is not None and second is not None:  # both or neither: it depends on the user's privileges
            assert first.host != second.host
            assert (first.port, second.port) == (80, 80)
    finally:
        for listener in (first, second):
            if listener is not None:
                listener.socket.close()


def test_a_port_that_is_only_wanted_is_done_without() -> None:
    first = bind_if_free("127.0.0.1", 0)
    assert first is not None
    with first.socket:
        assert bind_if_free("127.0.0.1", first.port) is None
