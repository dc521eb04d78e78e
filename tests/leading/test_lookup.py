from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from dcm4py_leading.coercion.chain import LeadingQuestion, coercion, run
from dcm4py_leading.coercion.update import update
from dcm4py_leading.dataset import data_sets
from dcm4py_leading.dataset.scan import IMPLICIT_LITTLE
from dcm4py_leading.dataset.text.text import decode
from dcm4py_leading.errors import LeadingUnavailable, LeadingUnreadable
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.archive import AttributeSet, AttributeSetType
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.device import Device
from dcm4py_leading.model.values import UID, AETitle, Tag
from tests.fixtures.rules import LEADING, application_entity, data_set, device, legacy_rule, selected
from tests.fixtures.scripted_query import Respond, ScriptedQuery

A, B, C = UID("1.2.3"), UID("1.2.4"), UID("1.2.5")
AE = application_entity()
KEYS = (0x00100010, 0x00100020, 0x00081030, 0x00081032)
ATTRIBUTE_SET = AttributeSet(
    dn="set",
    attribute_set_type=AttributeSetType.LEADING_CFIND_SCP,
    attribute_set_id="*",
    tags=tuple(Tag(tag) for tag in KEYS),
)


def from_the_wire(ds: Dataset) -> Dataset:
    """As pydicom gives what a peer sent: nothing decoded yet."""
    return data_sets.read(data_sets.write(ds, IMPLICIT_LITTLE), IMPLICIT_LITTLE)


def archive_of(respond: Respond) -> ScriptedQuery:
    """A leading archive that answers with this."""
    return ScriptedQuery(lambda uids: [from_the_wire(ds) for ds in respond(uids)])


def named(uids: Sequence[UID]) -> list[Dataset]:
    return [data_set(StudyInstanceUID=uid, PatientName=f"Name^{uid}") for uid in uids]


def lookup(archive: ScriptedQuery, of_device: Device | None = None, **settings: Any) -> LeadingLookup:
    return LeadingLookup(
        of_device or device(attribute_sets=(ATTRIBUTE_SET,)),
        archive,
        clock=lambda: 0.0,
        settings=LeadingSettings(**settings),
    )


def test_all_studies_of_a_request_cost_one_query() -> None:
    archive = archive_of(named)
    got = lookup(archive).get_many(LEADING, AE, [A, B])
    assert {uid: str(answer.PatientName) for uid, answer in got.items() if isinstance(answer, Dataset)} == {
        A: "Name^1.2.3",
        B: "Name^1.2.4",
    }
    (asked,) = archive.asked
    assert (asked.leading_cfind_scp, asked.local_ae_title, asked.uids) == (LEADING, "DCM4CHEE", (A, B))
    assert {*KEYS, 0x0020000D, 0x00080005, 0x00100021} <= asked.return_keys


def test_many_studies_go_out_in_pages() -> None:
    archive = archive_of(named)
    uids = [UID(f"1.{n}") for n in range(120)]
    assert len(lookup(archive, device(cache_size=200), page_size=50).get_many(LEADING, AE, uids)) == 120
    assert [len(asked.uids) for asked in archive.asked] == [50, 50, 20]


def test_study_that_is_not_in_the_answer_is_unknown() -> None:
    archive = archive_of(lambda uids: named([uid for uid in uids if uid == A]))
    assert lookup(archive).get_many(LEADING, AE, [A, B])[B] is None


@pytest.mark.parametrize(
    ("responses", "what"),
    [
        ([data_set(StudyInstanceUID=C)], "a study that was not asked for"),
        ([data_set(StudyInstanceUID=A), data_set(StudyInstanceUID=C)], "a study that was not asked for"),
        ([data_set(PatientName="X")], "a study that was not asked for"),
        ([data_set(StudyInstanceUID="")], "a study that was not asked for"),
    ],
)
def test_answer_about_another_study_is_an_error_and_never_used(responses: list[Dataset], what: str) -> None:
    archive = archive_of(lambda uids: responses)
    asking = lookup(archive)
    got = asking.get_many(LEADING, AE, [A, B])
    for answer in got.values():
        assert isinstance(answer, LeadingUnavailable)
        assert str(answer) == f"QRSCP answered with {what}"
    assert asking.counts.total(LookupOutcome.MISMATCH) == 2
    assert len(archive.asked) == 2  # the list, and one of its studies alone
    archive.respond = named
    assert isinstance(asking.get_many(LEADING, AE, [A])[A], Dataset)


def test_study_that_the_archive_has_twice_is_an_error_and_the_others_of_its_page_are_not() -> None:
    archive = archive_of(lambda uids: named([uid for uid in uids for _ in range(2 if uid == A else 1)]))
    asking = lookup(archive)
    got = asking.get_many(LEADING, AE, [B, A, C])
    assert str(got[A]) == "QRSCP answered with the same study twice"
    assert isinstance(got[B], Dataset) and isinstance(got[C], Dataset)
    assert asking.counts.outcomes[LEADING] == {LookupOutcome.MISS: 2, LookupOutcome.MISMATCH: 1}
    assert asking.counts.one_by_one == frozenset()


def test_answer_is_reduced_to_the_return_keys() -> None:
    archive = archive_of(
        lambda uids: [
            data_set(
                StudyInstanceUID=A,
                SpecificCharacterSet="ISO_IR 100",
                QueryRetrieveLevel="STUDY",
                RetrieveAETitle="QRSCP",
                InstanceAvailability="ONLINE",
                PatientName="N",
                PatientComments="not asked for",
            )
        ]
    )
    answer = lookup(archive).get_many(LEADING, AE, [A])[A]
    assert answer == data_set(SpecificCharacterSet="ISO_IR 100", PatientName="N", StudyInstanceUID=A)


@pytest.mark.ldap("dcmDefaultCharacterSet")
def test_answer_without_character_set_is_read_in_the_default_of_the_asking_ae() -> None:
    russian = "Люкceмбypг"
    archive = archive_of(
        lambda uids: [data_set(StudyInstanceUID=A, PatientName=decode(russian.encode("iso8859_5"), (), "PN"))]
    )
    asking = lookup(archive)
    russian_ae = application_entity("RUSSIAN", charset="ISO_IR 144")
    answer = asking.get_many(LEADING, russian_ae, [A])[A]
    assert isinstance(answer, Dataset) and answer.PatientName == russian
    assert answer.SpecificCharacterSet == "ISO_IR 144"
    other = asking.get_many(LEADING, AE, [A])[A]
    assert isinstance(other, LeadingUnreadable)


def test_text_outside_its_declared_set_is_no_answer_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    item = data_set(CodeMeaning=decode("Größe".encode("latin-1"), ("ISO_IR 192",), "LO"))
    archive = archive_of(
        lambda uids: [
            data_set(StudyInstanceUID=uid, SpecificCharacterSet="ISO_IR 192", ProcedureCodeSequence=[item])
            for uid in uids
        ]
    )
    asking = lookup(archive)
    looked = asking.look_up([LeadingQuestion(LEADING, A)], AE)
    (one,) = looked.values()
    assert one.outcome is LookupOutcome.UNREADABLE
    assert asking.counts.outcomes[LEADING] == {LookupOutcome.UNREADABLE: 1}
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert str(LEADING) in warning and "CodeMeaning" in warning and "Gr" not in warning


def test_text_that_nobody_asked_for_may_be_in_any_set() -> None:
    comments = decode(b"gr\xfcn", ("ISO_IR 192",), "LT")
    archive = archive_of(
        lambda uids: [
            data_set(
                StudyInstanceUID=A,
                SpecificCharacterSet="ISO_IR 192",
                PatientName="Müller",
                CurrentPatientLocation=comments,
            )
        ]
    )
    answer = lookup(archive).get_many(LEADING, AE, [A])[A]
    assert isinstance(answer, Dataset) and answer.PatientName == "Müller"


def test_shared_answer_is_decoded_to_its_last_item() -> None:
    item = data_set(SpecificCharacterSet="ISO_IR 101", CodeMeaning="Čelo")
    archive = archive_of(
        lambda uids: [data_set(StudyInstanceUID=A, SpecificCharacterSet="ISO_IR 100", ProcedureCodeSequence=[item])]
    )
    answer = lookup(archive).get_many(LEADING, AE, [A])[A]
    assert isinstance(answer, Dataset)
    for ds in (answer, answer.ProcedureCodeSequence[0]):
        for tag in list(ds.keys()):
            assert type(ds.get_item(tag)).__name__ == "DataElement"
    assert answer.ProcedureCodeSequence[0].CodeMeaning == "Čelo"


def test_one_answer_serves_threads_with_different_character_sets() -> None:
    archive = archive_of(
        lambda uids: [data_set(StudyInstanceUID=A, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Ö")]
    )
    asking = lookup(archive)
    together = threading.Barrier(8)

    def deliver(n: int) -> str:
        ds = from_the_wire(
            data_set(SpecificCharacterSet=["ISO_IR 100", "ISO_IR 192", "ISO_IR 144"][n % 3], PatientName="x")
        )
        answer = asking.get_many(LEADING, AE, [A])[A]
        assert isinstance(answer, Dataset)
        together.wait(60)
        update(ds, answer, UpdatePolicy.MERGE)
        return str(from_the_wire(ds).PatientName)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(deliver, range(8), timeout=30)) == {"Müller^Ö"}


def test_value_that_cannot_be_read_makes_the_answer_unusable() -> None:
    ds = data_set(StudyInstanceUID=A)
    tag = BaseTag(0x00081032)
    ds[tag] = RawDataElement(tag, "SQ", 6, b"SECRET", 0, True, True)
    answer = lookup(ScriptedQuery(lambda uids: [ds])).get_many(LEADING, AE, [A])[A]
    assert isinstance(answer, LeadingUnavailable)
    assert str(answer).startswith("QRSCP answered with what cannot be read")
    assert "SECRET" not in str(answer)


def down(uids: Sequence[UID]) -> list[Dataset]:
    raise LeadingUnavailable("QRSCP refused the connection")


def test_archive_that_is_down_is_told_once_without_naming_a_study(caplog: pytest.LogCaptureFixture) -> None:
    asking = lookup(archive_of(down), page_size=1)
    with caplog.at_level(logging.INFO):
        got = asking.get_many(LEADING, AE, [A, B])
    assert [str(answer) for answer in got.values()] == ["QRSCP refused the connection"] * 2
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "QRSCP gave no answer for 2 of 2 studies: QRSCP refused the connection" in record.getMessage()
    assert A not in caplog.text


def test_archive_that_recovers_is_asked_again() -> None:
    archive = archive_of(down)
    asking = lookup(archive)
    asking.get_many(LEADING, AE, [A])
    archive.respond = named
    assert isinstance(asking.get_many(LEADING, AE, [A])[A], Dataset)


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheSize")
@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheStaleTimeout")
def test_cache_settings_of_the_device_are_those_of_the_lookup() -> None:
    archive, now = archive_of(named), [0.0]
    of_device = device(cache_size=1, stale_timeout=timedelta(seconds=60))
    asking = LeadingLookup(of_device, archive, clock=lambda: now[0])
    for uid in (A, A, B, A):
        asking.get_many(LEADING, AE, [uid])
    assert len(archive.asked) == 3
    now[0] = 60.0
    asking.get_many(LEADING, AE, [A])
    assert len(archive.asked) == 4


def test_questions_to_several_archives_are_answered_each_by_its_own() -> None:
    archive = archive_of(named)
    other = AETitle("OTHER")
    questions = [LeadingQuestion(LEADING, A), LeadingQuestion(other, A), LeadingQuestion(LEADING, B)]
    assert list(lookup(archive).answers(questions, AE)) == [questions[0], questions[2], questions[1]]
    assert [(asked.leading_cfind_scp, asked.uids) for asked in archive.asked] == [
        (LEADING, (A, B)),
        (other, (A,)),
    ]


@pytest.mark.parametrize(("respond", "expected"), [(named, "Name^1.2.3"), (down, "Ours"), (lambda uids: [], "Ours")])
def test_chain_takes_its_answers(respond: Respond, expected: str) -> None:
    asking = lookup(archive_of(respond))
    ds = data_set(StudyInstanceUID=A, PatientName="Ours")
    selection = selected(legacy_rule(leading_cfind_scp=LEADING), ds=ds)

    def answer(question: object) -> Dataset | LeadingUnavailable | None:
        assert isinstance(question, LeadingQuestion)
        return asking.answers([question], AE)[question]

    run(coercion(ds, selection), answer)
    assert ds.PatientName == expected
