"""Frames that decoder processes decompress, one by one when they are wanted."""

from __future__ import annotations

from collections.abc import Mapping

from dcm4py_leading.dataset.elements import Element, Elements, Fragments, Items
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.pixels.image_pixel import NUMBER_OF_FRAMES
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, is_encapsulated
from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.model.bounds import DECODED_BYTES
from dcm4py_leading.service.dicomweb.frame_places import DESCRIBING, Values, value_at
from dcm4py_leading.service.picture.decoders import decoders
from dcm4py_leading.service.picture.job import Job

_SHARED_GROUPS, _GROUPS_OF_FRAMES = 0x52009229, 0x52009230
_PIXEL_VRS: Mapping[int, bytes] = {0x7FE00008: b"OF", 0x7FE00009: b"OD"}


class NativeFrames:
    """Frames that a decoder process decompresses, one after the other."""

    def __init__(self, values: Values) -> None:
        """The first one is decompressed now. Raises SubOperationFailed, DecodersBusy, StorageUnavailable."""
        self._values = values
        self._number = 0
        self._first: bytes | None = self._decoded()

    def next(self) -> bytes:
        """The next frame in native form; raises as before."""
        first, self._first = self._first, None
        frame = self._decoded() if first is None else first
        self._number += 1
        return frame

    def _decoded(self) -> bytes:
        data = frame_data_set(self._values, self._number)
        return decoders().run(Job(transfer_syntax_uid=self._values.transfer_syntax_uid, data=data))


def frame_data_set(values: Values, index: int) -> bytes:
    """The description of an image with one of its frames, counted from 0; nothing tells whose it is.

    In Explicit VR Little Endian. Raises SubOperationFailed, StorageUnavailable.
    """
    places = values.places[index]
    length = sum(length for _, length in places)
    if length > DECODED_BYTES:
        raise SubOperationFailed(f"one frame takes {length >> 20} MB, more than is decoded")
    frame = value_at(values.source, places)
    elements = {tag: element for tag, element in values.elements.items() if tag >> 16 == DESCRIBING}
    elements |= _functional_groups(values.elements, index)
    elements[NUMBER_OF_FRAMES] = Element(NUMBER_OF_FRAMES, b"IS", b"1 ")
    if is_encapsulated(values.transfer_syntax_uid):
        elements[values.tag] = Element(values.tag, b"OB", Fragments((b"", frame)))
    else:
        elements[values.tag] = Element(values.tag, _PIXEL_VRS.get(values.tag, b"OW"), frame)
    return b"".join(encode(dict(sorted(elements.items())), EXPLICIT_LITTLE))


def _functional_groups(elements: Mapping[int, Element], index: int) -> Elements:
    """Functional groups that all frames have, and those of one (PS3.3 C.7.6.16)."""
    found = {tag: elements[tag] for tag in (_SHARED_GROUPS, _GROUPS_OF_FRAMES) if tag in elements}
    of_frames = found.pop(_GROUPS_OF_FRAMES, None)
    if of_frames is not None and isinstance(of_frames.value, Items) and index < len(of_frames.value.items):
        own = of_frames.value._replace(items=(of_frames.value.items[index],))
        found[_GROUPS_OF_FRAMES] = of_frames._replace(value=own)
    return found
