"""Fragmenting of messages into P-DATA-TF PDUs, one fragment in each (PS3.8 9.3.5, Annex E)."""

from __future__ import annotations

from collections.abc import Sequence

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper.pdu_codec import data_header
from dcm4py_leading.model.bounds import SENT_PDU_LEAST_BYTES

COMMAND, LAST = 1, 2
"""Bits of the message control header (PS3.8 E.2)."""
LONGEST_SENT = 1 << 17
"""Longest P-DATA-TF to a peer that takes any."""
_PDV_OVERHEAD = 6


class Fragmenter:
    """Cuts messages into fragments that one peer accepts."""

    def __init__(self, peer_maximum_length: int) -> None:
        """``peer_maximum_length`` is the longest P-DATA-TF that the peer accepts; 0: no limit."""
        most = min(peer_maximum_length or LONGEST_SENT, LONGEST_SENT)
        self.takes_data_sets = most >= SENT_PDU_LEAST_BYTES
        """True if the peer takes P-DATA-TF long enough to be sent data sets."""
        # Of even length (PS3.8 E.1), whatever the peer announces, if there is room for two octets.
        self._length = max(most - _PDV_OVERHEAD, 1) & ~1 or 1

    def command(self, context_id: int, encoded: bytes) -> list[Buffer]:
        """Fragment a whole command set."""
        most = self._length
        if len(encoded) <= most:
            return [data_header(context_id, COMMAND | LAST, len(encoded)) + encoded]
        buffers: list[Buffer] = []
        for at in range(0, len(encoded), most):
            part = encoded[at : at + most]
            last = LAST if at + most >= len(encoded) else 0
            buffers.append(data_header(context_id, COMMAND | last, len(part)) + part)
        return buffers

    def data_set(self, context_id: int, batch: Sequence[Buffer], size: int, left: int) -> list[Buffer]:
        """Fragment the next ``size`` bytes of a data set; ``left`` bytes are still to send."""
        most = self._length
        if not left:
            return [data_header(context_id, LAST, 0)]
        if 0 < size <= most:
            return [data_header(context_id, LAST if size == left else 0, size), *batch]
        packed: list[Buffer] = []
        due = 0
        for buffer in batch:
            length, at = len(buffer), 0
            view = buffer if length <= due else memoryview(buffer)
            while at < length:
                if not due:
                    due = size if size < most else most
                    packed.append(data_header(context_id, LAST if due == left else 0, due))
                    size -= due
                    left -= due
                if not at and length <= due:  # as most are: small ones between the edits of rules
                    packed.append(view)
                    due -= length
                    break
                taken = length - at if length - at < due else due
                packed.append(view[at : at + taken])
                at += taken
                due -= taken
        return packed


def without_last(batch: Sequence[Buffer]) -> tuple[list[Buffer], bytes]:
    """Split the last octet off the buffers."""
    buffers = [buffer for buffer in batch if len(buffer)]
    last = memoryview(buffers.pop())
    return [*buffers, last[:-1]], bytes(last[-1:])
