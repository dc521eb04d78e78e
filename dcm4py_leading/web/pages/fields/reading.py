"""Names that people type instead of UIDs and tags."""

from __future__ import annotations

from functools import cache

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import tag_for_keyword

_CATEGORIES = {"SOP Class": "sop", "Transfer Syntax": "syntax"}


@cache
def named_uids(kind: str) -> dict[str, str]:
    """Registered UIDs (PS3.6 Annex A) that are not retired, by name: SOP classes (``sop``) or transfer syntaxes
    (``syntax``)."""
    return {
        name: uid
        for uid, (name, category, _, retired, _) in UID_dictionary.items()
        if _CATEGORIES.get(category) == kind and not retired
    }


@cache
def _by_folded_name() -> dict[str, str]:
    return {name.casefold(): uid for uid, (name, *_) in UID_dictionary.items()}


def uid_of(text: str) -> str:
    """The UID of that name; any other text as it is."""
    return _by_folded_name().get(text.strip().casefold(), text)


def tag_of(text: str) -> str:
    """Eight hexadecimal digits for a keyword such as PatientName; any other text as it is."""
    tag = tag_for_keyword(text.strip())
    return text if tag is None else f"{tag:08X}"
