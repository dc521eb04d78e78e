"""Of the LDAP attributes that are read, those that nothing or not everything acts on: edited by hand, kept honest by
tests/test_traceability.py."""

from __future__ import annotations

from collections.abc import Mapping

UNUSED = "read and checked; nothing acts on it yet"
_NOT_EXECUTED = "not executed yet"
_REFUSED = "not executed yet; what the rule matches is refused, never sent unchanged"
_MATCHING_BY_SOUND = "person names are not matched by sound"
_VIEW = "an AE whose view hides not rejected instances answers no matches; other views hide nothing yet"

PARTIAL: Mapping[str, Mapping[str, str]] = {
    "dcmNetworkConnection": {
        "dcmAATimeout": UNUSED,
        "dcmRetrieveTimeout": UNUSED,
        "dcmSendPDULength": UNUSED,
    },
    "dcmArchiveDevice": {
        "dcmShowPatientInfoInSystemLog": "whatever it says, no patient information is logged",
        "dcmQueryRetrieveViewID": _VIEW,
        "dcmPersonNameComponentOrderInsensitiveMatching": _MATCHING_BY_SOUND,
    },
    "dcmArchiveNetworkAE": {
        "dcmQueryRetrieveViewID": _VIEW,
        "dcmPersonNameComponentOrderInsensitiveMatching": _MATCHING_BY_SOUND,
    },
    "dcmArchiveAttributeCoercion": {
        "dcmDIMSE": "executed are rules for C_STORE_RQ with role SCP, others not yet",
        "dcmMergeAttribute": (
            "{rnd}, [INDEX], number, date, time, choice, offset and SpecificCharacterSet are not built; a rule with"
            " one of them executes none of its values"
        ),
        "dcmDeIdentification": _REFUSED,
        "dcmURI": _REFUSED,
        "dcmNoKeywords": _NOT_EXECUTED,
        "dcmMergeMWLMatchingKey": _NOT_EXECUTED,
        "dcmMergeMWLTemplateURI": _NOT_EXECUTED,
        "dcmMergeMWLSCP": _NOT_EXECUTED,
        "dcmMergeLocalMWLWorklistLabel": _NOT_EXECUTED,
        "dcmMergeLocalMWLWithStatus": _NOT_EXECUTED,
        "dcmMWLImportFilterBySCU": _NOT_EXECUTED,
        "dcmTrimISO2022CharacterSet": _NOT_EXECUTED,
        "dcmUseCallingAETitleAs": _NOT_EXECUTED,
        "dcmNullifyIssuerOfPatientID": _NOT_EXECUTED,
        "dcmIssuerOfPatientID": _NOT_EXECUTED,
        "dcmIssuerOfPatientIDFormat": _NOT_EXECUTED,
        "dcmSupplementFromDeviceReference": _NOT_EXECUTED,
    },
    "dcmArchiveAttributeCoercion2": {"*": "rules of version 2 are checked, not executed yet"},
}
"""By object class and attribute, ``*`` for all of a class: what is missing."""

READ_BY_LOADER: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "dcmNetworkAE": {
        "dcmShareTransferCapabilitiesFromAETitle": ("one: an AE title of the device", "its own capabilities"),
    },
    "dcmAttributeSet": {"dicomInstalled": ("one: TRUE or FALSE", "`TRUE`")},
}
"""Attributes without a row, since they decide which entries are read: the form of their values, and the default."""


def status(object_class: str, attribute: str) -> str:
    """``yes``, or ``partial`` with what is missing."""
    missing = PARTIAL.get(object_class, {})
    reason = missing.get(attribute) or missing.get("*")
    return f"partial: {reason}" if reason else "yes"
