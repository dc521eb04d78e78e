"""Data sets that are deflated as a whole (PS3.5 A.5)."""

from __future__ import annotations

import zlib

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import InvalidObject
from dcm4py_leading.model.bounds import INFLATED_BYTES, INFLATED_TIMES

_CHUNK = 1 << 18


def most_inflated(deflated_length: int) -> int:
    """How many octets a data set of so many may have when it is inflated.

    A mask of nothing shrinks to a thousandth, a bomb does so too: what is small in memory may, what is large may not.
    """
    return max(INFLATED_BYTES, INFLATED_TIMES * deflated_length)


def inflated(data: Buffer, *, most: int | None = None) -> bytearray:
    """What ``data`` is when it is inflated; a zlib header and check sum, which do not belong there, are taken too.

    Raises InvalidObject, also where that has more than ``most`` octets (as `most_inflated` has it, if None).
    """
    limit = most_inflated(len(data)) if most is None else most
    view = memoryview(data)
    inflate = zlib.decompressobj(zlib.MAX_WBITS if has_zlib_header(view) else -zlib.MAX_WBITS)
    whole = bytearray()
    for at in range(0, len(view), _CHUNK):
        piece: Buffer = view[at : at + _CHUNK]
        while not inflate.eof:
            try:
                part = inflate.decompress(piece, _CHUNK)
            except zlib.error as err:
                raise InvalidObject("the data set is not deflated, as its transfer syntax says, or damaged") from err
            if len(whole) + len(part) > limit:
                raise InvalidObject(f"the deflated data set has more than {limit} octets when it is inflated")
            whole += part
            piece = inflate.unconsumed_tail
            if not piece and len(part) < _CHUNK:
                break
        if inflate.eof:
            return whole
    raise InvalidObject("the deflated data set ends early")


def has_zlib_header(data: Buffer) -> bool:
    """True if it begins as RFC 1950 has it; raw deflate would be a stored block, with padding that is not zero."""
    return len(data) >= 2 and data[0] & 0x8F == 8 and (data[0] << 8 | data[1]) % 31 == 0


def deflated(data: Buffer) -> bytes:
    """PS3.5 A.5: raw deflate, padded to even length."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    small = compressor.compress(data) + compressor.flush()
    return small + b"\0" * (len(small) % 2)
