"""Handover of objects that arrive at one worker to the worker with their retrieve.

Each worker listens on a Unix socket in a directory that only this user may enter. A message is four octets of length,
big endian, a JSON object, and the octets of a data set if there is one; the answer has the same form.
"""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves, PeerRetrieves, WaitingRetrieve
from dcm4py_leading.workers.slots import Slots

LOG = logging.getLogger(__name__)

_LENGTH = struct.Struct(">I")
_PIECE = 1 << 20
_ANSWER_SECONDS = 5.0
"""For a question; an object waits as long as there is no room for it."""


class ObjectHandover:
    """One worker's end; implements `service.proxy.forwarded_retrieves.PeerWorkers`."""

    def __init__(self, directory: Path, slot: int, expecting: Slots) -> None:
        """``expecting`` has for each worker the number of its retrieves for which objects may come."""
        self._directory = directory
        self._slot = slot
        self._expecting = expecting
        self._listener: socket.socket | None = None

    def serve(self, forwards: ForwardedRetrieves) -> None:
        """Start to accept objects from other workers. Raises OSError."""
        path = _path(self._directory, self._slot)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener, forwards), name="passing", daemon=True).start()

    # -- of others, to us ---------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket, forwards: ForwardedRetrieves) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: this process ends
                return
            threading.Thread(target=self._answer, args=(connection, forwards), name="passing on", daemon=True).start()

    def _answer(self, connection: socket.socket, forwards: ForwardedRetrieves) -> None:
        with connection:
            try:
                asked = _receive(connection)
                if asked["kind"] == "known":
                    _send(connection, forwards.known_here(asked["scp"], asked["study"])._asdict())
                    return
                if asked["kind"] == "claim":
                    claimed = forwards.claim_here(asked["originator"], asked["messageID"], asked["sopInstance"])
                    _send(connection, {"claimed": claimed})
                    return
                if asked["kind"] == "refuse":
                    forwards.refuse_here(asked["originator"], asked["messageID"], asked["sopInstance"], asked["reason"])
                    _send(connection, {})
                    return
                data = forwards.spool.collect(_pieces(connection, asked["size"]))
                arrived = ArrivedObject(
                    sop_class_uid=asked["sopClass"],
                    sop_instance_uid=asked["sopInstance"],
                    transfer_syntax_uid=asked["transferSyntax"],
                    data=data,
                    study_instance_uid=asked["study"],
                    series_instance_uid=asked["series"],
                    patient_id=asked["patient"],
                    is_in_order=asked["isInOrder"],
                )
                taken = forwards.offer_here(
                    asked["originator"], asked["messageID"], arrived, is_claimed=asked["isClaimed"]
                )
                _send(connection, {"taken": taken})
            except (OSError, EOFError, KeyError, ValueError, StorageUnavailable) as err:
                LOG.warning(
                    "an object that another worker handed over could not be read (%s)",
                    type(err).__name__,
                )

    # -- of ours, to others -------------------------------------------------------------------------------------

    def report(self, expecting: int) -> None:
        """Publish the number of our retrieves for which objects may come (see `PeerWorkers`)."""
        self._expecting.set(self._slot, expecting)

    @property
    def are_expecting(self) -> bool:
        """True if objects may come for retrieves of other workers (see `PeerWorkers`)."""
        return self._expecting.others(self._slot) > 0

    def known(self, scp: str, study_instance_uid: str) -> PeerRetrieves:
        """Retrieves of a study at other workers (see `PeerWorkers`)."""
        waiting: list[WaitingRetrieve] = []
        was_given_up = False
        for slot in range(len(self._expecting)):
            if slot != self._slot and self._expecting.of(slot):
                answer = self._ask(slot, {"kind": "known", "scp": scp, "study": study_instance_uid}, b"")
                if answer is not None:
                    waiting += [WaitingRetrieve(*one) for one in answer["waiting"]]
                    was_given_up = was_given_up or answer["was_given_up"]
        return PeerRetrieves(waiting, was_given_up)

    def claim(self, waiting: WaitingRetrieve, sop_instance_uid: str) -> bool:
        """Claim an object for a retrieve of another worker (see `PeerWorkers`)."""
        content = {
            "kind": "claim",
            "originator": waiting.originator,
            "messageID": waiting.message_id,
            "sopInstance": sop_instance_uid,
        }
        answer = self._ask(waiting.slot, content, b"")
        return answer is not None and answer["claimed"] is True

    def offer(self, waiting: WaitingRetrieve, arrived: ArrivedObject, *, is_claimed: bool = False) -> bool | None:
        """Offer an object to the worker that waits for it (see `PeerWorkers`)."""
        if not 0 <= waiting.slot < len(self._expecting) or waiting.slot == self._slot:
            return None
        content = {
            "kind": "offer",
            "originator": waiting.originator,
            "messageID": waiting.message_id,
            "sopClass": arrived.sop_class_uid,
            "sopInstance": arrived.sop_instance_uid,
            "transferSyntax": arrived.transfer_syntax_uid,
            "study": arrived.study_instance_uid,
            "series": arrived.series_instance_uid,
            "patient": arrived.patient_id,
            "isInOrder": arrived.is_in_order,
            "isClaimed": is_claimed,
            "size": len(arrived.octets),
        }
        answer = self._ask(waiting.slot, content, arrived.octets)
        taken: bool | None = None if answer is None else answer["taken"]
        return taken

    def refuse(self, waiting: WaitingRetrieve, sop_instance_uid: str, reason: str) -> None:
        """Tell the worker that waits that an object could not be taken (see `PeerWorkers`)."""
        if not 0 <= waiting.slot < len(self._expecting) or waiting.slot == self._slot:
            return
        content = {
            "kind": "refuse",
            "originator": waiting.originator,
            "messageID": waiting.message_id,
            "sopInstance": sop_instance_uid,
            "reason": reason,
        }
        self._ask(waiting.slot, content, b"")

    def _ask(self, slot: int, content: Mapping[str, Any], data: bytes | bytearray | memoryview) -> Any:
        """Send a request to a worker; None if that worker cannot be reached."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(None if data else _ANSWER_SECONDS)
                connection.connect(str(_path(self._directory, slot)))
                _send(connection, content)
                if data:  # the other end may already have answered and closed
                    connection.sendall(data)
                return _receive(connection)
        except (OSError, EOFError) as err:
            LOG.warning("worker %d cannot be asked for its retrieves: %s", slot, err)
            return None

    def close(self) -> None:
        """Stop accepting objects."""
        if self._listener is not None:
            self._listener.close()


def _path(directory: Path, slot: int) -> Path:
    return directory / f"worker-{slot}"


def _send(connection: socket.socket, content: Mapping[str, Any]) -> None:
    payload = json.dumps(content).encode()
    connection.sendall(_LENGTH.pack(len(payload)) + payload)


def _receive(connection: socket.socket) -> Any:
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return json.loads(_exactly(connection, length))


def _pieces(connection: socket.socket, size: int) -> Iterator[bytearray]:
    for at in range(0, size, _PIECE):
        yield _exactly(connection, min(_PIECE, size - at))


def _exactly(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        count = connection.recv_into(view[at:])
        if not count:
            raise EOFError("the connection was closed")
        at += count
    return data
