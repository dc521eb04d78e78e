"""A rule that is tried before it is saved does what the service does once it is saved: over a table of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.app import Service
from dcm4py_leading.coercion.explain import explained_elements
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.dataset import data_sets
from dcm4py_leading.editing import editor_of
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.editing.edit import Edit
from dcm4py_leading.service.trying.dropped import data_set_of_file
from dcm4py_leading.service.trying.trial import Trial, TrialResult
from tests.fixtures.datasets import CT, make_instance
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import find, identifier, move, store
from tests.fixtures.service import AE, DEVICE, Seed
from tests.fixtures.slapd import SlapdFactory

STUDY = "1.2.826.0.1.3680043.8.498.1515"
NAME = "dcm4chee-arc"
LEGACY, SECOND = "dcmArchiveAttributeCoercion", "dcmArchiveAttributeCoercion2"

SENT = {"dimse": "C_STORE_RQ", "role": "SCP", "receiving-ae": "STORESCP"}
ANSWERED = {"dimse": "C_FIND_RSP", "role": "SCU", "sending-ae": "WORKSTATION"}
RECEIVED = {"dimse": "C_STORE_RQ", "role": "SCU", "sending-ae": "MODALITY1"}
COMPUTED = {"QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability"}
_MOMENT = "AttributeModificationDateTime"

STYLE_SHEET = """<?xml version="1.0" encoding="UTF-8"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/NativeDicomModel"><NativeDicomModel>
<DicomAttribute tag="00081010" vr="SH"><Value number="1">XSLT</Value></DicomAttribute>
<DicomAttribute tag="00081030" vr="LO"><Value number="1">
<xsl:value-of select="DicomAttribute[@tag='00100020']/Value"/></Value></DicomAttribute>
</NativeDicomModel></xsl:template>
</xsl:stylesheet>
"""

SCANNER = DEVICE.replace("dcm4chee-arc", "scanner")
SCANNER_LDIF = f"""dn: {SCANNER}
objectClass: dicomDevice
dicomDeviceName: scanner
dicomInstalled: TRUE
dicomInstitutionAddress: Main Street 1
dicomManufacturerModelName: Model
"""

Values = str | list[str]


@dataclass(frozen=True)
class Rule:
    """An entry that is not saved yet; of the name of one that is, it takes its place."""

    kind: str = LEGACY
    cn: str = "tried"
    below: str = DEVICE
    attributes: Mapping[str, Values] = field(default_factory=dict)

    @property
    def dn(self) -> str:
        return f"cn={self.cn},{self.below}"


def legacy(cn: str = "tried", below: str = DEVICE, **attributes: Values) -> Rule:
    return Rule(kind=LEGACY, cn=cn, below=below, attributes=attributes)


def second(uri: str, cn: str = "tried", below: str = DEVICE, **attributes: Values) -> Rule:
    return Rule(kind=SECOND, cn=cn, below=below, attributes={"dcmURI": uri, **attributes})


@dataclass(frozen=True)
class Case:
    """A rule to try, the message to try it on, and rules that are saved before."""

    rule: Rule
    message: Mapping[str, str]
    saved: Sequence[Rule] = ()
    changes: bool = True
    """True if it makes a difference."""
    is_edited: bool = False
    """True if the index knows the patient by another name than the object has."""


TO_VIEWER = "ReceivingApplicationEntityTitle=STORESCP"
MERGED = "StationName={PatientID}"
CASES = {
    "leading": Case(legacy(dcmLeadingCFindSCP="QRSCP", dcmProperty=TO_VIEWER), SENT),
    "leading, supplemented": Case(legacy(dcmLeadingCFindSCP="QRSCP", dcmAttributeUpdatePolicy="SUPPLEMENT"), SENT),
    "leading, overwritten": Case(
        second("leading-arc:QRSCP", dcmAttributeUpdatePolicy="OVERWRITE", dcmProperty=TO_VIEWER), SENT
    ),
    "leading, for answers": Case(legacy(dcmLeadingCFindSCP="QRSCP"), ANSWERED),
    "leading, on arrival": Case(second("leading-arc:QRSCP"), RECEIVED),
    "merge attribute": Case(legacy(dcmMergeAttribute=[MERGED, "InstitutionName="]), SENT),
    "merge attribute, version 2": Case(second("merge-attrs:", dcmMergeAttribute=[MERGED, "PatientName!"]), SENT),
    "merge attribute, on arrival": Case(legacy(dcmMergeAttribute=MERGED), RECEIVED),
    "merge attribute, for answers": Case(second("merge-attrs:", dcmMergeAttribute="StudyDescription=X"), ANSWERED),
    "nullify": Case(legacy(dcmNullifyTag=["00100040", "00081010"]), SENT),
    "nullify issuer": Case(legacy(dcmNullifyIssuerOfPatientID="MATCHING", dcmIssuerOfPatientID="STALE-ISSUER"), SENT),
    "issuer": Case(legacy(dcmIssuerOfPatientIDFormat="{PatientID,md5}"), RECEIVED),
    "supplement from device": Case(second("sup-from-dev:", dcmSupplementFromDeviceReference=SCANNER), RECEIVED),
    "XSLT": Case(legacy(dcmURI="${jboss.server.temp.url}/tried.xsl"), SENT),
    "XSLT, version 2": Case(second("xslt:${jboss.server.temp.url}/tried.xsl"), RECEIVED),
    "trim": Case(legacy(dcmTrimISO2022CharacterSet="TRUE"), SENT),
    "character set": Case(second("change-charset:ISO_IR 192"), SENT),
    "pixel data": Case(second("nullify-pixel-data:"), SENT),
    "de-identified": Case(second("deidentify:RetainUIDsOption"), SENT),
    "as received": Case(second("retrieve-as-received:"), SENT, is_edited=True),
    "condition that holds for others": Case(
        legacy(dcmMergeAttribute=MERGED, dcmProperty="ReceivingApplicationEntityTitle!=STORESCP"), SENT, changes=False
    ),
    "condition on an attribute, negated": Case(
        legacy(dcmMergeAttribute=MERGED, dcmProperty=["Modality!=MR", "PatientID=STALE.*"]), SENT
    ),
    "condition on several AEs": Case(
        second("merge-attrs:", dcmMergeAttribute=MERGED, dcmProperty="SendingApplicationEntityTitle=A|MODALITY1"),
        RECEIVED,
    ),
    "of the AE, before that of the device": Case(
        legacy(below=AE, dcmMergeAttribute="StationName=AE"),
        SENT,
        saved=[legacy("old", dcmMergeAttribute="StationName=DEVICE")],
    ),
    "after one of higher priority": Case(
        legacy(dcmMergeAttribute=MERGED),
        SENT,
        saved=[legacy("old", dcmRulePriority="1", dcmNullifyTag="00081010")],
        changes=False,
    ),
    "sufficient": Case(
        second("merge-attrs:", dcmMergeAttribute=MERGED, dcmCoercionSufficient="TRUE", dcmRulePriority="1"),
        SENT,
        saved=[second("merge-attrs:", "old", dcmMergeAttribute="InstitutionName=second")],
    ),
    "in place of one that is saved": Case(
        legacy(dcmMergeAttribute="StationName=NEW"), SENT, saved=[legacy(dcmMergeAttribute="StationName=OLD")]
    ),
    "version 2 beside a legacy rule": Case(
        second("merge-attrs:", dcmMergeAttribute="InstitutionName={StationName}"),
        SENT,
        saved=[legacy("old", dcmMergeAttribute="StationName=FIRST")],
    ),
}


def entry_of(rule: Rule, message: Mapping[str, str]) -> Entry:
    values = {
        "objectClass": rule.kind,
        "cn": rule.cn,
        "dcmDIMSE": message["dimse"],
        "dicomTransferRole": message["role"],
        **rule.attributes,
    }
    return Entry.of(rule.dn, {name: [one] if isinstance(one, str) else one for name, one in values.items()})


@dataclass
class Scene:
    """The seed's archive, its directory an OpenLDAP."""

    seed: Seed
    service: Service
    editor: Editor
    viewer: Viewer

    def save(self, rules: Iterable[Rule], message: Mapping[str, str]) -> None:
        for rule in rules:
            self.editor.save(self.plan(rule, message))
        self.service.reload()

    def rename_patient(self) -> None:
        attributes = {
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Edited^Name"}]},
            "00100020": {"vr": "LO", "Value": ["STALE-ID"]},
        }
        edit = Edit(ae_title="DCM4CHEE", level=Level.PATIENT, identifier="STALE-ID", attributes=attributes)
        self.service.edit(edit)

    def plan(self, rule: Rule, message: Mapping[str, str]) -> Any:
        before = self.editor.entries(NAME)
        new = entry_of(rule, message)
        plan = self.editor.plan(NAME, [*(entry for entry in before if entry.key != new.key), new], base=before)
        assert plan.changes and not plan.errors
        return plan

    def becomes(self, message: Mapping[str, str], file: Path) -> tuple[Dataset, Dataset]:
        """The object before and after the message, which is sent."""
        if message is RECEIVED:
            assert store(self.seed.archive_port, [file], calling="MODALITY1") == [0x0000]
            (path,) = self.seed.objects
            return data_sets.read_file(file), data_sets.read_file(path)
        if message is ANSWERED:
            keys = identifier("STUDY", StudyInstanceUID=STUDY, PatientName="", PatientID="", StudyDescription="")
            keys.PatientBirthDate = keys.PatientSex = keys.IssuerOfPatientID = ""
            status, (answer,) = find(self.seed.archive_port, keys, calling="WORKSTATION")
            assert status == 0x0000
            return data_sets.read_file(file), answer
        (path,) = self.seed.objects
        assert move(self.seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0].Status == 0x0000
        return data_sets.read_file(path), self.viewer.received[-1]


@pytest.fixture
def scene(
    seed: Seed,
    slapd_factory: SlapdFactory,
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
) -> Iterator[Scene]:
    slapd = slapd_factory(content=[seed.directory / "tree.ldif", SCANNER_LDIF])
    source = LdapSource([f"{slapd.url}/{slapd.base_dn}"], bind_dn=slapd.bind_dn, password=slapd.password)
    (seed.data_dir / "temp").mkdir()
    (seed.data_dir / "temp" / "tried.xsl").write_text(STYLE_SHEET)
    right = Dataset()
    right.StudyInstanceUID, right.PatientName, right.PatientID = STUDY, "Right^Name", "RIGHT-ID"
    right.PatientBirthDate, right.PatientSex, right.StudyDescription = "19700102", "", "Right description"
    leading_scp(seed.leading_port, knows(right))
    site = replace(seed.site, source=source)
    with ExitStack() as running:
        service = Service(site)
        running.callback(service.stop, 5)
        yield Scene(seed=seed, service=service, editor=editor_of(site), viewer=viewer(seed.viewer_port))


@pytest.fixture
def stale(tmp_path: Path) -> Path:
    values = {
        "PatientID": "STALE-ID",
        "PatientName": "Müller^Jürgen",
        "SpecificCharacterSet": "ISO 2022 IR 100",
        "IssuerOfPatientID": "STALE-ISSUER",
        "OtherPatientIDsSequence": None,
        "InstitutionName": "Stale institution",
        "StationName": "STALE",
        "StudyDescription": None,
        "PatientSex": "M",
        "Modality": "CT",
    }
    return make_instance(tmp_path / "stale.dcm", source=CT, study_uid=STUDY, attributes=values)


def told(elements: Iterable[Any]) -> dict[str, tuple[Any, Any]]:
    """Before and after by path, without the moment of the change."""
    return {
        one.path: (one.before and one.before.json, one.after and one.after.json)
        for one in elements
        if _MOMENT not in one.path
    }


def tried_changes(tried: TrialResult) -> dict[str, tuple[Any, Any]]:
    return {
        one["path"]: (one["before"], one["after"])
        for one in tried.explanation["elements"]
        if _MOMENT not in one["path"]
    }


@pytest.mark.ldap("dcmArchiveAttributeCoercion")
@pytest.mark.parametrize("name", CASES)
def test_rule_does_what_it_did_when_it_was_tried(scene: Scene, stale: Path, name: str) -> None:
    case = CASES[name]
    if case.message is not RECEIVED:
        assert store(scene.seed.archive_port, [stale]) == [0x0000]
    if case.is_edited:
        scene.rename_patient()
    scene.save(case.saved, case.message)
    if case.message is RECEIVED:
        trial = Trial(message=case.message, data_set=data_set_of_file(stale.read_bytes()))
    else:
        trial = Trial(message=case.message, study_instance_uid=STUDY)
    plan = scene.plan(case.rule, case.message)

    before = scene.service.try_rules(trial)
    tried = scene.service.try_rules(replace(trial, configuration=scene.editor.configuration_after(plan)))
    assert [rule["cn"] for rule in tried.explanation["rules"]].count("tried") == 1
    assert not tried.has_failed
    assert (tried_changes(tried) != tried_changes(before)) is case.changes
    assert scene.editor.entries(NAME) and scene.plan(case.rule, case.message).changes, "nothing was saved by the trial"

    scene.editor.save(plan)
    scene.service.reload()
    old, new = scene.becomes(case.message, stale)
    data_sets.decode_text(new)
    found = told(explained_elements(old, new))
    if case.message is ANSWERED:  # an answer has what was asked for alone, empty where there is none
        changes = {path: (after or {}).get("Value") for path, (_, after) in tried_changes(tried).items()}
        assert changes and changes == {path: (found[path][1] or {}).get("Value") for path in changes}
        assert {path for path in found if path in new} - changes.keys() <= COMPUTED
    elif case.rule.attributes.get("dcmURI") == "nullify-pixel-data:":
        assert found.keys() == tried_changes(tried).keys() == {"PixelData"}
    else:
        assert tried_changes(tried) == found
    assert (tried_changes(scene.service.try_rules(trial)) == tried_changes(tried)) or case.message is RECEIVED
