"""DIMSE statuses by name, with the table that each comes from."""

from __future__ import annotations

SUCCESS = 0x0000
"""PS3.7 C.1.1"""
CANCEL = 0xFE00
"""PS3.7 C.3.1"""
PENDING = 0xFF00
"""PS3.4 C.4.1.1.4, C.4.2.1.5: further responses follow."""
PENDING_WITH_UNSUPPORTED_KEYS = 0xFF01
"""PS3.4 C.4.1.1.4: an optional key was not supported for matching."""
PROCESSING_FAILURE = 0x0110
"""PS3.7 C.4.1"""
SOP_CLASS_NOT_SUPPORTED = 0x0122
"""PS3.7 C.5.6"""
INVALID_SOP_INSTANCE = 0x0117
"""PS3.7 C.5"""
UNRECOGNIZED_OPERATION = 0x0211
"""PS3.7 C.5"""
MISTYPED_ARGUMENT = 0x0212
"""PS3.7 C.5"""
NOT_OF_SOP_CLASS = 0xA900
"""PS3.4 C.4.1.1.4, C.4.2.1.5: the identifier does not match the SOP class."""
UNABLE_TO_PROCESS = 0xC000
"""PS3.4 B.2.3, C.4.1.1.4, C.4.2.1.5"""
