"""A study as the archive has it, as the leading archive says it is, and as an AE gets it: what is told is delivered."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from dcm4py_leading.app import Service
from dcm4py_leading.coercion.differences import shown_element
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.editing.amend import Amendment
from dcm4py_leading.service.editing.edit import Edit
from dcm4py_leading.service.studies.three_values import AttributeValues, ThreeValues, ValueSource
from tests.fixtures.datasets import make_instance, make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, movescu, storescu
from tests.fixtures.dcmtk import Peer as Destination
from tests.fixtures.service import AE, DEVICE, Seed

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.77"
RECEIVERS = ["DCM4CHEE", "OTHER", "QRSCP", "STORESCP"]
NAME, ID, DESCRIPTION, ACCESSION, INSTITUTION = 0x00100010, 0x00100020, 0x00081030, 0x00080050, 0x00080080


@pytest.fixture
def service(seed: Seed, tmp_path: Path) -> Service:
    """An archive with one study, and a rule of a leading archive for what STORESCP gets."""
    seed.lead()
    service = seed.start()
    attributes = {"StudyDescription": "Old", "AccessionNumber": "OLD"}
    files = make_study(
        tmp_path / "sent", patient_id="P-1", patient_name="Old^Name", study_uid=STUDY, attributes=attributes
    )
    assert storescu(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    return service


def leading(seed: Seed, folder: Path) -> DcmQrScp:
    """The leading archive, with the study under another name."""
    ours = Destination(ae_title="DCM4CHEE", port=seed.archive_port)
    scp = DcmQrScp(folder / "leading", port=seed.leading_port, destinations=[ours])
    attributes = {"StudyDescription": "Right", "AccessionNumber": "OLD"}
    scp.__enter__()
    scp.store(
        make_study(
            folder / "right", patient_id="RIGHT", patient_name="Right^Name", study_uid=STUDY, attributes=attributes
        )
    )
    return scp


def delivered(seed: Seed, folder: Path) -> Dataset:
    """The first object of the study, as STORESCP gets it."""
    with StoreScp(folder, port=seed.viewer_port, options=("+xa", "+B", "+uf")) as viewer:
        outcome = movescu(
            seed.archive_port,
            called_ae_title="DCM4CHEE",
            destination="STORESCP",
            level="STUDY",
            keys={"StudyInstanceUID": STUDY},
        )
        assert outcome.status == 0
        return viewer.datasets()[0]


def asked(service: Service, receiver: str = "STORESCP") -> ThreeValues:
    return service.three_values("DCM4CHEE", STUDY, receiver, RECEIVERS)


def row(values: ThreeValues, tag: int) -> AttributeValues:
    return next(one for one in values.attributes if one.tag == tag)


def amend(service: Service, level: Level, tag: int, old: str, new: str) -> None:
    amendment = Amendment(
        ae_title="DCM4CHEE", study_instance_uid=STUDY, level=level, shown={tag: (old,)}, wanted={tag: (new,)}
    )
    service.amend(amendment)


def test_rule_of_leading_archive_decides_and_page_shows_delivered_values(
    seed: Seed, service: Service, tmp_path: Path
) -> None:
    scp = leading(seed, tmp_path)
    try:
        values = asked(service)
        ds = delivered(seed, tmp_path / "viewer")
    finally:
        scp.__exit__(None, None, None)
    name = row(values, NAME)
    assert (name.archived, name.leading, name.delivered) == ("Old^Name", ("Right^Name",), "Right^Name")
    assert (name.is_stale, name.decider, name.rule, name.step) == (
        (True,),
        ValueSource.RULE,
        "Leading DCMQRSCP",
        "leading-arc",
    )
    assert (name.overridden_by, name.overriding_rule, name.level) == ("QRSCP", "Leading DCMQRSCP", "PATIENT")
    accession = row(values, ACCESSION)
    assert (accession.is_stale, accession.decider, accession.overridden_by) == ((False,), ValueSource.ARCHIVE, "QRSCP")
    for told in values.attributes:
        shown = shown_element(ds.get(told.tag))
        assert told.delivered == (None if shown is None else shown.text), told.keyword
    (archive,) = values.leading
    assert (archive.ae_title, archive.outcome, archive.is_applied) == ("QRSCP", "miss", True)
    assert [(group.rule, group.receivers) for group in values.led] == [("Leading DCMQRSCP", ("STORESCP",))]


def test_ae_without_matching_rule_gets_local_values_and_sees_the_condition(
    seed: Seed, service: Service, tmp_path: Path
) -> None:
    scp = leading(seed, tmp_path)
    try:
        values = asked(service, "OTHER")
    finally:
        scp.__exit__(None, None, None)
    name = row(values, NAME)
    assert (name.leading, name.delivered, name.decider) == (("Right^Name",), "Old^Name", ValueSource.ARCHIVE)
    assert (name.is_stale, name.overridden_by) == ((True,), "")
    (rule,) = values.rules
    assert rule.cn == "Leading DCMQRSCP"
    assert rule.decided_by == "dcmProperty=ReceivingApplicationEntityTitle=STORESCP"
    assert rule.found == "OTHER"
    assert not values.leading[0].is_applied


def test_leading_archive_without_answer_is_shown_with_reason(service: Service) -> None:
    values = asked(service)
    (archive,) = values.leading
    assert (archive.outcome, bool(archive.failure), values.failure) == ("failed", True, "")
    name = row(values, NAME)
    assert (name.leading, name.delivered, name.overridden_by) == ((None,), "Old^Name", "")


def test_study_unknown_to_leading_archive_is_reported(seed: Seed, service: Service, tmp_path: Path) -> None:
    ours = Destination(ae_title="DCM4CHEE", port=seed.archive_port)
    with DcmQrScp(tmp_path / "leading", port=seed.leading_port, destinations=[ours]) as scp:
        scp.store(make_study(tmp_path / "other", patient_id="P-2", patient_name="Other", study_uid=f"{STUDY}.9"))
        values = asked(service)
    (archive,) = values.leading
    assert (archive.outcome, archive.failure) == ("not-found", "")
    assert row(values, NAME).delivered == "Old^Name"


def test_the_last_known_answer_is_marked(seed: Seed, service: Service, tmp_path: Path) -> None:
    scp = leading(seed, tmp_path)
    try:
        assert asked(service).leading[0].outcome == "miss"
    finally:
        scp.__exit__(None, None, None)
    service.reload()  # the cache begins anew
    values = asked(service)
    assert values.leading[0].is_last_known
    assert row(values, NAME).delivered == "Right^Name"


@pytest.mark.parametrize("policy", ["PRESERVE", "MERGE"])
def test_an_edit_decides_where_no_rule_does(seed: Seed, service: Service, policy: str) -> None:
    seed.set(f"dcmEntity=Patient,{DEVICE}", dcmAttributeUpdatePolicy=policy)
    service.reload()
    amend(service, Level.PATIENT, NAME, "Old^Name", "Edited^Name")
    name = row(asked(service, "OTHER"), NAME)
    assert (name.archived, name.delivered, name.decider) == ("Edited^Name", "Edited^Name", ValueSource.EDIT)
    assert name.edited_at


def test_attributes_outside_the_filter_are_those_of_the_object(seed: Seed, service: Service, tmp_path: Path) -> None:
    more = make_instance(
        tmp_path / "more.dcm",
        study_uid=STUDY,
        series_uid=f"{STUDY}.9",
        sop_instance_uid=f"{STUDY}.9.1",
        attributes={"PatientID": "P-1", "PatientName": "Old^Name", "StudyDescription": "Later"},
    )
    seed.set(f"dcmEntity=Study,{DEVICE}", dcmAttributeUpdatePolicy="MERGE")
    service.reload()
    assert storescu(seed.archive_port, [more], called_ae_title="DCM4CHEE").returncode == 0
    seed.set(f"dcmEntity=Study,{DEVICE}", dcmAttributeUpdatePolicy="PRESERVE")
    service.reload()
    description = row(asked(service, "OTHER"), DESCRIPTION)
    assert (description.archived, description.delivered, description.decider) == ("Later", "Old", ValueSource.OBJECT)


def test_rule_that_lets_objects_leave_as_received_is_told(seed: Seed, service: Service, tmp_path: Path) -> None:
    seed.change(
        f"dn: cn=As received,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ncn: As received\n"
        "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\ndcmURI: retrieve-as-received:\n"
        "dcmProperty: ReceivingApplicationEntityTitle=OTHER"
    )
    service.reload()
    service.edit(
        Edit(
            ae_title="DCM4CHEE",
            level=Level.STUDY,
            identifier=STUDY,
            attributes={
                "00100020": {"vr": "LO", "Value": ["P-1"]},
                "0020000D": {"vr": "UI", "Value": [STUDY]},
                "00081030": {"vr": "LO", "Value": ["Edited"]},
            },
        )
    )
    description = row(asked(service, "OTHER"), DESCRIPTION)
    assert (description.archived, description.delivered) == ("Edited", "Old")
    assert (description.decider, description.rule) == (ValueSource.RULE, "As received")


def test_default_receiver_is_the_first_with_a_leading_archive(service: Service) -> None:
    assert asked(service, "").receiver == "STORESCP"
    assert service.three_values("DCM4CHEE", STUDY, "", ["DCM4CHEE", "OTHER"]).receiver == "OTHER"
    assert service.three_values("DCM4CHEE", STUDY, "", ["AN_ARCHIVE", "QRSCP"]).receiver == "AN_ARCHIVE"
    assert service.three_values("DCM4CHEE", STUDY, "", ["QRSCP"]).receiver == "DCM4CHEE"


def test_values_in_front_of_a_pacs_are_those_of_the_pacs(seed: Seed, tmp_path: Path) -> None:
    seed.set(AE, dcmSpanningCFindSCP="QRSCP", dcmSpanningCFindSCPPolicy="REPLACE", dcmFallbackCMoveSCP="QRSCP")
    service = seed.start()
    scp = leading(seed, tmp_path)
    try:
        values = asked(service)
    finally:
        scp.__exit__(None, None, None)
    assert not values.is_stored_here
    assert (row(values, NAME).archived, row(values, NAME).delivered) == ("Right^Name", "Right^Name")
    assert any("QRSCP" in note for note in values.notes)
