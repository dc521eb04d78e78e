"""Sets of tags that a step may read or write."""

from __future__ import annotations

import enum


class AllTags(enum.Enum):
    """Every tag, for steps that cannot name their tags beforehand."""

    ALL = "ALL"


Tags = frozenset[int] | AllTags
"""Tags at the top of a data set; those of attributes inside a sequence count as the sequence."""
