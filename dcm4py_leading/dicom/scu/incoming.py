"""Data sets that peers send on associations that we opened: collected in memory, up to a maximum length."""

from __future__ import annotations

from collections.abc import Iterable

from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.model.bounds import ANSWER_BYTES


def joined(parts: Iterable[memoryview]) -> bytes:
    """Join the parts of a data set in memory; each part is valid until the next one. Raises AssociationFailed."""
    whole: list[bytes] = []
    length = 0
    for part in parts:
        length += len(part)
        if length > ANSWER_BYTES:
            raise AssociationFailed(f"an answer is longer than {ANSWER_BYTES} bytes")
        whole.append(bytes(part))
    return b"".join(whole)
