"""Of the LDAP attributes that are read, those that nothing or not everything acts on: edited by hand, kept honest by
tests/test_traceability.py; docs/configuration.md and ``check`` show it."""

from __future__ import annotations

from collections.abc import Mapping

UNUSED = "read and checked; nothing acts on it yet"
_NO_WORKLIST = "there is no worklist in this archive; beside dcmMergeMWLSCP it means nothing"
_MATCHING_BY_SOUND = "person names are not matched by sound"
_VIEW = "an AE whose view hides the instances that are not rejected answers no matches; other views hide nothing yet"
_REJECTION = "REJECTED lets no study be deleted: objects are not rejected here yet"

PARTIAL: Mapping[str, Mapping[str, str]] = {
    "dcmArchiveDevice": {
        "dcmShowPatientInfoInSystemLog": "whatever it says, no patient information is logged",
        "dcmQueryRetrieveViewID": _VIEW,
        "dcmPersonNameComponentOrderInsensitiveMatching": _MATCHING_BY_SOUND,
        "dcmAllowDeleteStudyPermanently": _REJECTION,
    },
    "dcmArchiveNetworkAE": {
        "dcmAcceptedUserRole": "limits DICOMweb and the pages of studies; administrators may ask every AE",
        "dcmQueryRetrieveViewID": _VIEW,
        "dcmPersonNameComponentOrderInsensitiveMatching": _MATCHING_BY_SOUND,
        "dcmAllowDeleteStudyPermanently": _REJECTION,
    },
    "dcmArchiveAttributeCoercion": {
        "dcmMergeLocalMWLWorklistLabel": _NO_WORKLIST,
        "dcmMergeLocalMWLWithStatus": _NO_WORKLIST,
    },
}
"""By object class and attribute, ``*`` for all of a class: what is missing."""

READ_BY_LOADER: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "dcmNetworkAE": {
        "dcmShareTransferCapabilitiesFromAETitle": ("one: an AE title of the device", "its own capabilities"),
    },
    "dcmAttributeSet": {"dicomInstalled": ("one: TRUE or FALSE", "`TRUE`")},
}
"""Attributes without a row, since they decide which entries are read: the form of their values, and the default."""


def shortcoming(object_class: str, attribute: str) -> str | None:
    """Part of a read attribute that is not acted on; None: all of it is."""
    missing = PARTIAL.get(object_class, {})
    return missing.get(attribute) or missing.get("*")
