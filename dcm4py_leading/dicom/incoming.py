"""Data sets that others send us on associations that we opened, with an end: of their length, and of their time.

A peer that sends without end, or a few octets a second, is given up, whatever time-outs are configured between pieces.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from dcm4py_leading.dicom.association import AssociationFailed
from dcm4py_leading.model.bounds import ANSWER_BYTES, ARRIVING_BYTES_A_SECOND, ARRIVING_SECONDS


def joined(parts: Iterable[memoryview]) -> bytes:
    """The parts of an answer as one, in memory; each is good until the next one. Raises AssociationFailed."""
    whole: list[bytes] = []
    length = 0
    for part in parts:
        length += len(part)
        if length > ANSWER_BYTES:
            raise AssociationFailed(f"an answer is longer than {ANSWER_BYTES} bytes")
        whole.append(bytes(part))
    return b"".join(whole)


def paced(parts: Iterable[memoryview]) -> Iterator[memoryview]:
    """The parts as they come. Raises AssociationFailed where they come so slowly that nobody should wait."""
    began = time.monotonic()
    length = 0
    for part in parts:
        length += len(part)
        waited = time.monotonic() - began
        if waited > ARRIVING_SECONDS and length < waited * ARRIVING_BYTES_A_SECOND:
            raise AssociationFailed(f"{length} bytes in {waited:.0f} s are too few")
        yield part
