"""The container's health check: 0 when this process's own /livez answers 200. Needs nothing but the socket."""

import os
import socket
import sys

ANSWER_SECONDS = 3.0

try:
    # A bare socket, because importing an HTTP client takes longer than the question.
    with socket.create_connection(("127.0.0.1", int(os.environ["DESK_PORT"])), ANSWER_SECONDS) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = connection.recv(64)
except OSError as error:
    sys.exit(f"no answer: {error}")
sys.exit(0 if answer.startswith(b"HTTP/1.1 200 ") else answer.decode(errors="replace").splitlines()[0])
