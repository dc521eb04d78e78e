"""Every row: one text of the attribute, and the value of the field that it becomes."""

import dataclasses
from collections.abc import Sequence
from datetime import timedelta

import pytest

from dcm4py_leading.config.attributes import OBJECT_CLASSES, read_attributes
from dcm4py_leading.config.attributes.known import ATTRIBUTES
from dcm4py_leading.config.binding import bind, many, one
from dcm4py_leading.config.converters import integer
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.placeholders import expander
from dcm4py_leading.errors import Problem
from dcm4py_leading.model.archive import (
    AllowDeleteStudy,
    AttributeSetType,
    Entity,
    OnStoragePathAlreadyExists,
    OverwritePolicy,
    PatientInfo,
    RelationalMismatchPolicy,
    SpanningPolicy,
)
from dcm4py_leading.model.codes import Code, Issuer
from dcm4py_leading.model.coercion import Dimse, OnFailure, UpdatePolicy
from dcm4py_leading.model.device import ConnectionProtocol
from dcm4py_leading.model.values import Tag, TransferRole

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"

COERCION = {
    "cn": ("lead", "lead"),
    "dcmDIMSE": ("C_STORE_RQ", Dimse.C_STORE_RQ),
    "dicomTransferRole": ("SCP", TransferRole.SCP),
    "dcmRulePriority": ("-3", -3),
    "dcmSOPClass": ([MR, CT], frozenset({CT, MR})),
    "dcmProperty": (["b=$", "a=${x}"], ("a=${x}", "b=$")),
    "dcmAttributeUpdatePolicy": ("OVERWRITE", UpdatePolicy.OVERWRITE),
    "dcmSupplementFromDeviceReference": ("dicomDeviceName=d,cn=x", "dicomDeviceName=d,cn=x"),
    "dcmMergeAttribute": (["b=1", "a={b}"], ("b=1", "a={b}")),
}
SETTINGS = {
    "dcmQidoMaxNumberOfResults": ("100", 100),
    "dcmQueryMaxNumberOfResults": ("100", 100),
    "dcmQueryRetrieveViewID": ("hideRejected", "hideRejected"),
    "dcmRelationalQueryNegotiationLenient": ("TRUE", True),
    "dcmRelationalRetrieveNegotiationLenient": ("TRUE", True),
    "dcmOverwritePolicy": ("SAME_SOURCE", OverwritePolicy.SAME_SOURCE),
    "dcmRelationalMismatchPolicy": ("REJECT", RelationalMismatchPolicy.REJECT),
    "dcmAllowDeleteStudyPermanently": ("ALWAYS", AllowDeleteStudy.ALWAYS),
    "dcmSendPendingCGet": ("TRUE", True),
    "dcmSendPendingCMoveInterval": ("PT5S", timedelta(seconds=5)),
    "dcmMultipleStoreAssociations": (["3", " QRSCP : 4"], ("3", "QRSCP:4")),
    "dcmDefaultCharacterSet": ("ISO_IR 100", "ISO_IR 100"),
    "dcmRetrieveAET": (["B", "A "], ("A", "B")),
    "dcmReturnRetrieveAET": (["B", "A"], ("A", "B")),
    "dcmSpanningCFindSCP": (" PACS ", ("PACS",)),
    "dcmSpanningCFindSCPPolicy": ("MERGE", SpanningPolicy.MERGE),
    "dcmSpanningCFindSCPRetrieveAET": (["B", "A "], ("A", "B")),
    "dcmFallbackCMoveSCP": ("PACS_B\\ PACS_A", ("PACS_B", "PACS_A")),
    "dcmFallbackCMoveSCPDestination": ("DCM4CHEE", "DCM4CHEE"),
    "dcmFallbackCMoveSCPCallingAET": ("VIEWER", "VIEWER"),
    "dcmFallbackCMoveSCPLeadingCFindSCP": ("QRSCP", "QRSCP"),
    "dcmFallbackCMoveSCPRetries": ("-1", -1),
    "dcmFallbackCMoveSCPStudyOlderThan": ("20200131", "20200131"),
    "dcmExternalRetrieveAEDestination": ("DCM4CHEE", "DCM4CHEE"),
    "dcmPersonNameComponentOrderInsensitiveMatching": ("TRUE", True),
}
EXAMPLES: dict[str, dict[str, tuple[Sequence[str], object]]] = {
    "dicomDevice": {
        "dicomManufacturer": ("Maker", "Maker"),
        "dicomManufacturerModelName": ("Model", "Model"),
        "dicomSoftwareVersion": (["2.0", "1.0"], ("2.0", "1.0")),
        "dicomStationName": ("CT1", "CT1"),
        "dicomDeviceSerialNumber": ("4711", "4711"),
        "dicomInstitutionName": (["B", "A"], ("B", "A")),
        "dicomInstitutionAddress": (["B", "A"], ("B", "A")),
        "dicomInstitutionCode": (['(A1, 99X, "Clinic")'], (Code(value="A1", scheme="99X", meaning="Clinic"),)),
        "dicomInstitutionDepartmentName": (["B", "A"], ("B", "A")),
        "dicomIssuerOfPatientID": ("A&1.2&ISO", Issuer.parse("A&1.2&ISO")),
        "dicomIssuerOfAccessionNumber": ("A&1.2&ISO", Issuer.parse("A&1.2&ISO")),
        "dicomOrderPlacerIdentifier": ("A&1.2&ISO", Issuer.parse("A&1.2&ISO")),
        "dicomOrderFillerIdentifier": ("A&1.2&ISO", Issuer.parse("A&1.2&ISO")),
        "dicomIssuerOfAdmissionID": ("A&1.2&ISO", Issuer.parse("A&1.2&ISO")),
        "dicomIssuerOfServiceEpisodeID": ("A&1.2&ISO", Issuer.parse("A&1.2&ISO")),
        "dicomIssuerOfContainerIdentifier": ("A&1.2&ISO", Issuer.parse("A&1.2&ISO")),
        "dicomIssuerOfSpecimenIdentifier": ("A&1.2&ISO", Issuer.parse("A&1.2&ISO")),
        "dicomDeviceName": ("dcm4chee-arc ", "dcm4chee-arc"),
        "dicomDescription": ("an archive", "an archive"),
        "dicomInstalled": ("FALSE", False),
    },
    "dcmDevice": {"dcmLimitOpenAssociations": ("20", 20)},
    "dicomNetworkConnection": {
        "cn": ("dicom", "dicom"),
        "dicomHostname": ("${host}", "archive.example"),
        "dicomPort": ("104", 104),
        "dicomInstalled": ("FALSE", False),
        "dicomTLSCipherSuite": (["TLS_B", "TLS_A"], ("TLS_A", "TLS_B")),
    },
    "dcmNetworkConnection": {
        "dcmProtocol": ("SYSLOG_UDP", ConnectionProtocol.SYSLOG_UDP),
        "dcmBindAddress": ("0.0.0.0", "0.0.0.0"),
        "dcmClientBindAddress": ("127.0.0.1", "127.0.0.1"),
        "dcmTCPBacklog": ("5", 5),
        "dcmTCPConnectTimeout": ("5000", timedelta(seconds=5)),
        "dcmAARQTimeout": ("5000", timedelta(seconds=5)),
        "dcmAAACTimeout": ("5000", timedelta(seconds=5)),
        "dcmARRPTimeout": ("5000", timedelta(seconds=5)),
        "dcmAATimeout": ("0", None),
        "dcmSendTimeout": ("5000", timedelta(seconds=5)),
        "dcmStoreTimeout": ("5000", timedelta(seconds=5)),
        "dcmResponseTimeout": ("5000", timedelta(seconds=5)),
        "dcmRetrieveTimeout": ("5000", timedelta(seconds=5)),
        "dcmIdleTimeout": ("0", None),
        "dcmSendPDULength": ("32768", 32768),
        "dcmReceivePDULength": ("0", 0),
        "dcmMaxOpsInvoked": ("16", 16),
        "dcmMaxOpsPerformed": ("0", 0),
    },
    "dicomNetworkAE": {
        "dicomAETitle": (" DCM4CHEE ", "DCM4CHEE"),
        "dicomDescription": ("an AE", "an AE"),
        "dicomInstalled": ("FALSE", False),
        "dicomAssociationInitiator": ("true", True),
        "dicomAssociationAcceptor": ("FALSE", False),
        "dicomNetworkConnectionReference": (["cn=b,cn=x", "cn=a,cn=x"], ("cn=a,cn=x", "cn=b,cn=x")),
    },
    "dcmNetworkAE": {
        "dcmOtherAETitle": (["B", "A"], ("A", "B")),
        "dcmAcceptedCallingAETitle": (["B", "A"], frozenset({"A", "B"})),
        "dcmMasqueradeCallingAETitle": ("[ QRSCP ]ARC", ("[QRSCP]ARC",)),
    },
    "dicomTransferCapability": {
        "cn": ("CT", "CT"),
        "dicomSOPClass": (CT, CT),
        "dicomTransferRole": ("SCU", TransferRole.SCU),
        "dicomTransferSyntax": (
            ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"],
            ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"),
        ),
    },
    "dcmTransferCapability": {"dcmRelationalQueries": ("TRUE", True)},
    "dcmArchiveDevice": {
        "dcmLeadingCFindSCPQueryCacheStaleTimeout": ("PT5M", timedelta(minutes=5)),
        "dcmLeadingCFindSCPQueryCacheSize": ("50", 50),
        "dcmAECacheStaleTimeout": ("P1D", timedelta(days=1)),
        "dcmCStoreSCUOfCMoveSCP": (["B = PACS", "A=PACS"], {"A": "PACS", "B": "PACS"}),
        "dcmShowPatientInfoInSystemLog": ("HASH_NAME", PatientInfo.HASH_NAME),
        "dcmQueryFetchSize": ("10", 10),
        "dcmIdentifyPatientByIDAndName": ("TRUE", True),
        "dcmIdentifyPatientByAllAttributes": ("TRUE", True),
        **SETTINGS,
    },
    "dcmArchiveNetworkAE": {
        **SETTINGS,
        "dcmAcceptedMoveDestination": (["B", "A"], frozenset({"A", "B"})),
        "dcmAcceptedUserRole": (["user", "cardiology"], frozenset({"user", "cardiology"})),
        "dcmObjectStorageID": (["fs2", "fs1"], ("fs1", "fs2")),
    },
    "dcmAttributeFilter": {
        "dcmEntity": ("Study", Entity.STUDY),
        "dcmTag": (["0020000D", "00080050"], (Tag(0x00080050), Tag(0x0020000D))),
        "dcmAttributeUpdatePolicy": ("SUPPLEMENT", UpdatePolicy.SUPPLEMENT),
    },
    "dcmAttributeSet": {
        "dcmAttributeSetType": ("LEADING_CFIND_SCP", AttributeSetType.LEADING_CFIND_SCP),
        "dcmAttributeSetID": ("*", "*"),
        "dcmTag": ("00100010", (Tag(0x00100010),)),
    },
    "dcmStorage": {
        "dcmStorageID": ("fs1", "fs1"),
        "dcmURI": ("file:///${host}/fs1", "file:///archive.example/fs1"),
        "dcmStoragePathFormat": ("{now,date,yyyy}/{00080018}", "{now,date,yyyy}/{00080018}"),
        "dcmOnStoragePathAlreadyExists": ("FAILURE", OnStoragePathAlreadyExists.FAILURE),
        "dcmDigestAlgorithm": ("MD5", "MD5"),
        "dcmReadOnly": ("TRUE", True),
        "dcmExternalRetrieveAET": (["B", "A"], ("A", "B")),
    },
    "dcmQueryRetrieveView": {
        "dcmQueryRetrieveViewID": ("hideRejected", "hideRejected"),
        "dcmHideNotRejectedInstances": ("TRUE", True),
    },
    "dcmArchiveAttributeCoercion": {
        **COERCION,
        "dcmLeadingCFindSCP": ("QRSCP", "QRSCP"),
        "dcmRetrieveAsReceived": ("TRUE", True),
        "dcmDeIdentification": ("RetainUIDsOption", ("RetainUIDsOption",)),
        "dcmURI": ("${jboss.server.temp.url}/a.xsl", "${jboss.server.temp.url}/a.xsl"),
        "dcmNoKeywords": ("TRUE", True),
        "dcmMergeMWLMatchingKey": ("AccessionNumber", "AccessionNumber"),
        "dcmMergeMWLTemplateURI": ("a.xsl", "a.xsl"),
        "dcmMergeMWLSCP": ("MWL", "MWL"),
        "dcmMergeLocalMWLWorklistLabel": ("L", ("L",)),
        "dcmMergeLocalMWLWithStatus": ("SCHEDULED", ("SCHEDULED",)),
        "dcmMWLImportFilterBySCU": ("TRUE", True),
        "dcmTrimISO2022CharacterSet": ("TRUE", True),
        "dcmUseCallingAETitleAs": ("ScheduledStationAETitle", "ScheduledStationAETitle"),
        "dcmNullifyTag": (["7FE00010", "00100010"], (Tag(0x00100010), Tag(0x7FE00010))),
        "dcmNullifyIssuerOfPatientID": ("ALWAYS", "ALWAYS"),
        "dcmIssuerOfPatientID": ("A&1.2&ISO", ("A&1.2&ISO",)),
        "dcmIssuerOfPatientIDFormat": ("{PatientName,hash}", "{PatientName,hash}"),
    },
    "dcmArchiveAttributeCoercion2": {
        **COERCION,
        "dcmURI": ("leading-arc:QRSCP", "leading-arc:QRSCP"),
        "dicomDescription": ("a rule", "a rule"),
        "dcmCoercionParam": (["b=2", "a=1"], ("a=1", "b=2")),
        "dcmCoercionSufficient": ("TRUE", True),
        "dcmCoercionOnFailure": ("CONTINUE", OnFailure.CONTINUE),
    },
}
ROWS = [
    pytest.param(object_class, row, id=f"{object_class.name}-{row.attribute}", marks=pytest.mark.ldap(row.attribute))
    for object_class in OBJECT_CLASSES
    for row in object_class.rows
]


@pytest.mark.parametrize(("object_class", "row"), ROWS)
def test_attribute_becomes_the_field(object_class, row):
    given, expected = EXAMPLES[object_class.name][row.attribute]
    values = (given,) if isinstance(given, str) else tuple(given)
    problems: list[Problem] = []
    entry = Entry.of("cn=x", {row.attribute.upper(): values})
    fields = bind([row], entry, problems, expander({"host": "archive.example"}, {}))
    assert problems == []
    assert fields == {row.field: expected}
    assert row.field in {field.name for field in dataclasses.fields(object_class.model)}


def test_no_example_is_without_a_row():
    rows = {(object_class.name, row.attribute) for object_class in OBJECT_CLASSES for row in object_class.rows}
    assert {(name, attribute) for name, examples in EXAMPLES.items() for attribute in examples} == rows


def test_every_attribute_that_is_read_is_in_the_schema():
    assert read_attributes() - ATTRIBUTES == {"cn"}


SIZE = one("size", "size", integer(0))
SIZES = many("size", "sizes", integer(0))


def bound(rows, **attributes):
    problems: list[Problem] = []
    return bind(rows, Entry.of("cn=x", attributes), problems), problems


def test_absent_attribute_leaves_the_field_to_the_model():
    assert bound([SIZE, SIZES]) == ({}, [])


def test_second_value_of_a_single_valued_attribute_is_a_problem():
    fields, (problem,) = bound([SIZE], size=["2", "1"])
    assert fields == {}
    assert (problem.attribute, problem.value, problem.reason) == ("size", "1, 2", "expected one value, not several")


def test_values_that_mean_the_same_count_once():
    assert bound([SIZES], size=["1", "01", " 1"])[0] == {"sizes": (1,)}


def test_every_bad_value_is_its_own_problem():
    fields, problems = bound([SIZES], size=["1", "x", "-1"])
    assert fields == {}
    assert [(problem.dn, problem.value) for problem in problems] == [("cn=x", "x"), ("cn=x", "-1")]


def test_missing_required_attribute_is_a_problem():
    (problem,) = bound([one("size", "size", required=True)])[1]
    assert str(problem) == "size: is required, but absent (cn=x)"


def test_unresolved_placeholder_is_a_problem_of_its_attribute():
    problems: list[Problem] = []
    bind([SIZE], Entry.of("cn=x", {"size": ["${n}"]}), problems, expander({}, {}))
    assert "${n}" in problems[0].reason
    assert problems[0].attribute == "size"
