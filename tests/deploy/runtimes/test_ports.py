"""Ports for instances: free when given, not given twice, the last one given back used last."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import pytest

from deploy.runtimes.ports import Ports, PortsExhausted


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def free(count: int) -> list[int]:
    """Ports that nobody has just now."""
    ports = Ports()
    found = [ports.take() for _ in range(count)]
    for port in found:
        ports.give_back(port)
    return found


def test_two_platforms_do_not_share_a_port() -> None:
    candidates = free(4)
    one, other = Ports(candidates), Ports(candidates)
    taken = [platform.take() for platform in (one, other, one, other)]
    assert sorted(taken) == sorted(candidates)
    with pytest.raises(PortsExhausted):
        one.take()
    other.give_back(taken[1])
    assert one.take() == taken[1]


def test_a_port_in_use_is_passed_over_and_none_is_given_twice() -> None:
    with listening() as held:
        busy = held.getsockname()[1]
        ports = Ports([busy, *free(3)])
        taken = {ports.take() for _ in range(3)}
        assert len(taken) == 3
        assert busy not in taken
        with pytest.raises(PortsExhausted, match="all 4 ports"):
            ports.take()


def test_one_given_back_is_taken_last() -> None:
    ports = Ports(free(3))
    first, second = ports.take(), ports.take()
    ports.give_back(first)
    assert ports.take() not in (first, second)
    assert ports.take() == first


def test_a_preferred_port_is_given_only_where_it_is_free() -> None:
    ports = Ports()
    (wanted,) = free(1)
    assert ports.take(wanted) == wanted
    assert ports.take(wanted) != wanted
    with listening() as held:
        assert ports.take(held.getsockname()[1]) != held.getsockname()[1]


LED_AWAY = """
import subprocess
from deploy.runtimes.ports import Ports
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
rule = ["-d", "127.0.0.1", "-p", "tcp", "--dport", "28873", "-j", "DNAT", "--to-destination", "127.0.0.1:9"]
subprocess.run(["iptables", "-t", "nat", "-A", "OUTPUT", *rule], check=True)
print(Ports([28873, 28874]).take())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of one's own takes root")
@pytest.mark.skipif(not shutil.which("iptables"), reason="needs iptables: apt-get install iptables")
def test_a_port_whose_callers_the_firewall_leads_elsewhere_is_passed_over() -> None:
    """As a container engine publishes ports, and as the rule of a container that is no more stays behind."""
    command = ["unshare", "--net", sys.executable, "-c", LED_AWAY]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "28874"


def test_one_that_was_prepared_is_kept_from_others_and_taken_first() -> None:
    candidates = free(3)
    ports = Ports(candidates)
    for _ in range(2):
        ports.prepare()
    prepared = taken_of(ports)
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", prepared))  # with SO_REUSEADDR
    assert ports.take() == prepared
    with socket.create_server(("127.0.0.1", prepared)):
        assert {ports.take(), ports.take(), prepared} == set(candidates)
        ports.prepare()
        with pytest.raises(PortsExhausted):
            ports.take()


def test_the_prepared_one_may_be_preferred() -> None:
    ports = Ports(free(2))
    ports.prepare()
    prepared = taken_of(ports)
    other = ports.take(next(port for port in ports._candidates if port != prepared))
    assert other != prepared
    assert ports.take(prepared) == prepared


def taken_of(ports: Ports) -> int:
    (port,) = ports._taken
    return port
