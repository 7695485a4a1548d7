"""Ports of this machine as the kernel sees them: which are free, and who holds the others."""

from __future__ import annotations

import errno
import secrets
import socket
from collections import deque
from collections.abc import Mapping

import psutil

from runner.errors import PortBusy

LOOPBACK = "127.0.0.1"

# Below the range from which Linux takes the ports of outgoing connections (32768 and up). A client that reconnects in a
# loop to a dead server in that range can be given the server's own port as its source, connect to itself, and keep the
# server from ever binding again.
FREE_RANGE = range(15000, 32000)


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now, judged by binding it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections in TIME_WAIT must not count: servers bind over them, a listener is refused all the same.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


# What was given is bound a moment later, an installation's ports half a minute later: until then it looks free.
_given: deque[int] = deque(maxlen=200)


def free_port() -> int:
    """A port on which nobody listens now, outside the range of outgoing connections; another one each time."""
    for tried in range(500):
        port = secrets.choice(FREE_RANGE)
        if is_free(port) and (port not in _given or tried > 400):
            _given.append(port)
            return port
    raise PortBusy(f"No free port was found between {FREE_RANGE.start} and {FREE_RANGE.stop}.")


def holder_of(port: int) -> str:
    """Who listens on the port: pid and command, as far as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "a process that this user may not see"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return _describe(connection.pid)
    return "a process of another user"


def _describe(pid: int) -> str:
    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return f"pid {pid}"
    return f"pid {pid}: {command[:160]}"


def require_free(ports: Mapping[str, int]) -> None:
    """Raise PortBusy that names every taken port, what it is wanted for, and its holder."""
    taken = [f"port {port} ({name}) is held by {holder_of(port)}" for name, port in ports.items() if not is_free(port)]
    if taken:
        raise PortBusy("; ".join(taken) + ". End it, or move all ports of this installation with DESK_PORT_BASE.")
