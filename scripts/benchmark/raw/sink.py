"""A C-STORE SCP that takes everything and keeps nothing: ``python -m scripts.benchmark.raw.sink PORT``.

A few processes wait for associations; each has one at a time.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

from scripts.benchmark.raw.messages import (
    A_ASSOCIATE_RQ,
    C_ECHO_RQ,
    COMMAND,
    LAST,
    associate_ac,
    command_fields,
    fragment,
    request_field,
    response,
)
from scripts.benchmark.raw.stream import StoreResponses, Stream, WireError

PROCESSES = 4


def main() -> None:
    """Serve until the process is ended."""
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
    for _ in range(PROCESSES - 1):
        if os.fork() == 0:
            break
    while True:
        connection, _ = listening.accept()
        # What peers do wrong, and when they are ended, is for them to say.
        with connection, suppress(WireError, OSError):
            take(Stream(connection))


def take(stream: Stream) -> None:
    """One association to its end. Raises WireError, OSError."""
    stream.send(associate_ac(stream.pdu(A_ASSOCIATE_RQ)))
    responses = StoreResponses()
    while (received := stream.command()) is not None:
        context_id, command = received
        if request_field(command) == C_ECHO_RQ:
            stream.send(fragment(response(command_fields(command)), COMMAND | LAST, context_id))
        else:
            stream.skip_data()
            stream.send(responses.of(context_id, command))


if __name__ == "__main__":
    main()
