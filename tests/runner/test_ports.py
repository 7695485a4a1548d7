"""Ports as the kernel sees them."""

from __future__ import annotations

import os
import socket

import pytest

from runner import ports
from runner.errors import PortBusy


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", ports.free_port()))


def test_a_busy_port_is_an_error_that_names_its_holder(listener: socket.socket) -> None:
    with listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortBusy) as caught:
            ports.require_free({"tickets": port, "sla": ports.free_port()})
    assert f"port {port} (tickets)" in caught.value.message
    assert f"pid {os.getpid()}" in caught.value.message
    assert "(sla)" not in caught.value.message


def test_a_port_is_free_again_at_once_when_its_listener_is_gone(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert not ports.is_free(port)
    # A connection that the server closes first leaves the port in TIME_WAIT, which must not count.
    with listener, socket.create_connection(("127.0.0.1", port)):
        listener.accept()[0].close()
    assert ports.is_free(port)


def test_free_ports_lie_outside_the_range_of_outgoing_connections() -> None:
    assert ports.FREE_RANGE.stop <= 32768
    assert all(port in ports.FREE_RANGE for port in (ports.free_port() for _ in range(20)))


def test_a_port_is_not_given_twice_before_anybody_listens_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation asks for all of its ports before it binds the first."""
    monkeypatch.setattr(ports, "FREE_RANGE", range(31000, 31040))
    given = [ports.free_port() for _ in range(20)]
    assert len(set(given)) == 20
    # Where there are no others, one is given again rather than none.
    assert all(ports.free_port() in range(31000, 31040) for _ in range(40))
