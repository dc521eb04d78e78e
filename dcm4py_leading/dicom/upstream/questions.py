"""Questions by C-FIND to an archive behind an AE, in the Study Root model (PS3.4 C.6.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydicom import Dataset

from dcm4py_leading.dicom.scu.leading import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND
from dcm4py_leading.model.values import Level

QUERY_CONTEXTS = [(STUDY_ROOT_FIND, (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN))]
"""Presentation contexts to propose for such questions."""


def study_root_identifier(level: Level, keys: Mapping[str, str | Sequence[str] | None]) -> Dataset:
    """Identifier of a query at ``level`` with these keys by keyword; None for a return key."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level.value
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier
