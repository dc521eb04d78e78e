"""Sets of tags that a step may read or write."""

from __future__ import annotations

import enum


class AllTags(enum.Enum):
    """Every tag, where a step cannot name them beforehand."""

    ALL = "ALL"


Tags = frozenset[int] | AllTags
"""Tags at the top of a data set; those of attributes inside a sequence count as the sequence."""
