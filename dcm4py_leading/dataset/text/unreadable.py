"""Errors that pydicom raises when a value is not what its VR says."""

from __future__ import annotations

import struct

from pydicom.errors import BytesLengthException

UNREADABLE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, NotImplementedError),
    *(EOFError, OSError, BytesLengthException, struct.error),
)
"""Exceptions of reading, converting and writing values, as many as have been seen."""
