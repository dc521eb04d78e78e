"""A DICOM client of a few bytes, for messages so short that any other client would be what is measured.

One association with one request, release: PS3.8 and PS3.7 by hand. Requests leave in one write with TCP_NODELAY;
answers are only cut into fragments, never decoded.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scripts.benchmark.raw.messages import (
    A_ASSOCIATE_AC,
    A_RELEASE_RP,
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    COMMAND,
    CT_IMAGE,
    LAST,
    RELEASE_RQ,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    accepts_first,
    associate_rq,
    command_fields,
    fragment,
    has_data,
    identifier,
    request,
    request_field,
)
from scripts.benchmark.raw.stream import SECONDS, StoreResponses, Stream, WireError

__all__ = ["SECONDS", "WireError", "echo", "find", "get", "move"]

_CALLING = "BENCH"
_PENDING = (0xFF00, 0xFF01)


def echo(port: int, called_ae_title: str, *, calling_ae_title: str = _CALLING) -> None:
    """C-ECHO on an association of its own. Raises WireError, OSError."""
    with _associated(port, called_ae_title, calling_ae_title, VERIFICATION) as stream:
        stream.send(fragment(request(C_ECHO_RQ, VERIFICATION, has_data=False), COMMAND | LAST))
        _final(_answer(stream))


def find(
    port: int,
    called_ae_title: str,
    level: str,
    keys: Mapping[int, tuple[str, str]],
    *,
    calling_ae_title: str = _CALLING,
) -> list[bytes]:
    """C-FIND on an association of its own: the encoded identifiers of the answers. Raises WireError, OSError.

    ``keys`` are VR and value by tag, the Query/Retrieve Level left out.
    """
    answers: list[bytes] = []
    with _associated(port, called_ae_title, calling_ae_title, STUDY_ROOT_FIND) as stream:
        _ask(stream, request(C_FIND_RQ, STUDY_ROOT_FIND, has_data=True), identifier(level, keys))
        while has_data(command := _answer(stream)):
            answers.append(stream.data())
        _final(command)
    return answers


def get(port: int, called_ae_title: str, study_uid: str, *, calling_ae_title: str = _CALLING) -> int:
    """C-GET of a study of CT images on an association of its own: the number of objects. Raises WireError, OSError."""
    count, responses = 0, StoreResponses()
    with _associated(port, called_ae_title, calling_ae_title, STUDY_ROOT_GET, stores=CT_IMAGE) as stream:
        _ask(stream, request(C_GET_RQ, STUDY_ROOT_GET, has_data=True), _study(study_uid))
        while True:
            received = stream.command()
            if received is None:
                raise WireError("the peer released instead of answering")
            context_id, command = received
            if request_field(command) == C_STORE_RQ:
                stream.skip_data()
                stream.send(responses.of(context_id, command))
                count += 1
            elif _is_final(stream, command):
                _final(command)
                return count


def move(port: int, called_ae_title: str, study_uid: str, destination: str, *, calling_ae_title: str = _CALLING) -> int:
    """C-MOVE of a study on an association of its own: the number of objects delivered. Raises WireError, OSError."""
    with _associated(port, called_ae_title, calling_ae_title, STUDY_ROOT_MOVE) as stream:
        command = request(C_MOVE_RQ, STUDY_ROOT_MOVE, has_data=True, destination=destination)
        _ask(stream, command, _study(study_uid))
        while not _is_final(stream, command := _answer(stream)):
            continue
        _final(command)
    completed = command_fields(command).get(0x1021)
    if completed is None:
        raise WireError("the number of delivered objects is not told")
    return int(struct.unpack("<H", completed)[0])


def _study(study_uid: str) -> bytes:
    return identifier("STUDY", {0x0020000D: ("UI", study_uid)})


@contextmanager
def _associated(
    port: int, called_ae_title: str, calling_ae_title: str, sop_class_uid: str, stores: str | None = None
) -> Iterator[Stream]:
    """An association for one SOP class, released at the end; objects of the class ``stores`` are taken on it."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        stream = Stream(connection)
        stream.send(associate_rq(called_ae_title, calling_ae_title, sop_class_uid, stores))
        if not accepts_first(stream.pdu(A_ASSOCIATE_AC)):
            raise WireError(f"{called_ae_title} does not accept {sop_class_uid}")
        yield stream
        stream.send(RELEASE_RQ)
        stream.pdu(A_RELEASE_RP)


def _ask(stream: Stream, command: bytes, data: bytes) -> None:
    stream.send(fragment(command, COMMAND | LAST) + fragment(data, LAST))


def _answer(stream: Stream) -> bytes:
    received = stream.command()
    if received is None:
        raise WireError("the peer released instead of answering")
    return received[1]


def _is_final(stream: Stream, command: bytes) -> bool:
    """True if a response to a retrieve is the last one; a list of failed objects is read."""
    if has_data(command):
        stream.skip_data()
    return _status(command) not in _PENDING


def _final(command: bytes) -> None:
    """Raises WireError unless the status is Success."""
    if status := _status(command):
        raise WireError(f"final status {status:#06x}")


def _status(command: bytes) -> int:
    return int(struct.unpack("<H", command_fields(command)[0x0900])[0])
