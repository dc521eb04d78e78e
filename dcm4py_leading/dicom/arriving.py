"""Where an object belongs that comes from another archive, without decoding it."""

from __future__ import annotations

from dcm4py_leading.dataset.layout import Layouts
from dcm4py_leading.dataset.scan import Buffer, Unscannable, encoding_of

_STUDY_INSTANCE_UID = 0x0020000D
_layouts = Layouts()


def study_of(data: Buffer, transfer_syntax_uid: str) -> str:
    """Study Instance UID of a data set; empty where it cannot be read."""
    encoding = encoding_of(transfer_syntax_uid)
    if encoding is None:
        return ""
    try:
        spans, _ = _layouts.scan(memoryview(data), encoding, start=0, stop_before=_STUDY_INSTANCE_UID + 1)
    except Unscannable:
        return ""
    span = spans.get(_STUDY_INSTANCE_UID)
    return "" if span is None else bytes(data[span[1] : span[2]]).decode("ascii", "replace").rstrip("\0 ")
