"""Calls with a body, and with a long answer."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

from dcm4py_leading.calls.call import Form
from dcm4py_leading.calls.stream import StreamCall, stream_here, write_stream
from dcm4py_leading.service.dicomweb.chunks import nothing


def test_long_answer_before_the_end_of_a_long_question_arrives() -> None:
    """Nobody waits for the other side to read."""
    long = "x" * (1 << 22)
    call: StreamCall[str, str] = StreamCall(
        name="asked",
        do=lambda here, question, asker: (long, nothing()),
        question=Form(to_json=str, from_json=str),
        head=Form(to_json=str, from_json=str),
    )
    here: Any = None

    def answer(name: str, question: Any, sock: socket.socket, error: Any) -> None:
        write_stream(sock, call, here, question, error)

    with closing(stream_here(call, "question", answer, [bytes(1 << 22)] * 4)) as stream:
        assert stream.head == long
