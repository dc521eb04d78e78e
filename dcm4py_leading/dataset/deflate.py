"""Deflated data sets (PS3.5 A.5)."""

from __future__ import annotations

import threading
import zlib

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import InvalidObject, TooMuchInflated
from dcm4py_leading.model.bounds import INFLATED_AT_ONCE_BYTES, INFLATED_BYTES, INFLATED_TIMES

_CHUNK = 1 << 18


class _Budget:
    """Budget of octets for the inflated data sets of this process. Safe under threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        # It may be asked for again by the collector of garbage, within itself.
        self._lock = threading.RLock()
        self._taken = 0

    def take(self, more: int, own: int) -> None:
        """Room for so many ``more``, of one that has its ``own`` already. Raises TooMuchInflated."""
        with self._lock:
            others = self._taken - own
            if others and self._taken + more > self._most:
                raise TooMuchInflated(
                    f"a deflated data set does not fit beside {others} octets of others that are inflated"
                )
            self._taken += more

    def give_back(self, own: int) -> None:
        """One is held no longer."""
        with self._lock:
            self._taken -= own


_BUDGET = _Budget(INFLATED_AT_ONCE_BYTES)


class _Inflated(bytearray):
    """An inflated data set. Its octets count towards the limit as long as a view of it exists."""

    def __init__(self, budget: _Budget) -> None:
        super().__init__()
        self._budget = budget
        self._counted = 0

    def add(self, part: bytes) -> None:
        """Raises TooMuchInflated."""
        self._budget.take(len(part), self._counted)
        self._counted += len(part)
        self += part

    def __del__(self) -> None:
        self._budget.give_back(self._counted)


def most_inflated(deflated_length: int) -> int:
    """Number of octets that a data set of this length may have when it is inflated.

    A mask of nothing shrinks to a thousandth, a bomb does so too: what is small in memory may, what is large may not.
    """
    return max(INFLATED_BYTES, INFLATED_TIMES * deflated_length)


def inflated(data: Buffer, *, most: int | None = None) -> bytearray:
    """Inflated form of ``data``; a zlib header and check sum, which do not belong there, are taken too.

    Raises InvalidObject, also where that has more than ``most`` octets (as `most_inflated` has it, if None), and
    TooMuchInflated where there is no room for it at present.
    """
    limit = most_inflated(len(data)) if most is None else most
    view = memoryview(data)
    inflate = zlib.decompressobj(zlib.MAX_WBITS if has_zlib_header(view) else -zlib.MAX_WBITS)
    whole = _Inflated(_BUDGET)
    for at in range(0, len(view), _CHUNK):
        piece: Buffer = view[at : at + _CHUNK]
        while not inflate.eof:
            try:
                part = inflate.decompress(piece, _CHUNK)
            except zlib.error as err:
                raise InvalidObject("the data set is not deflated, as its transfer syntax says, or damaged") from err
            if len(whole) + len(part) > limit:
                raise InvalidObject(f"the deflated data set has more than {limit} octets when it is inflated")
            whole.add(part)
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
