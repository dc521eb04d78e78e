"""What a C-FIND costs: decodes for each match, statements for each page, questions to the leading archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from dcm4py_leading.archive.index import attributes
from dcm4py_leading.coercion import chain
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.dicom.scp.acceptor import AcceptedAssociation
from dcm4py_leading.dicom.scp.find import find_matches
from dcm4py_leading.dicom.status import CANCEL
from dcm4py_leading.service import coerce
from dcm4py_leading.service.find import matches_coerced, response
from dcm4py_leading.service.retrieve.encode import encoded as encode
from dcm4py_leading.service.runtime import Runtime
from tests.fixtures.archive import make_header
from tests.fixtures.archive import store as index
from tests.fixtures.datasets import make_study
from tests.fixtures.scripted import LeadingScp, knows
from tests.fixtures.scu import find, identifier, store
from tests.fixtures.service import DEVICE, Seed

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY = "1.2.826.0.1.3680043.8.498.31"


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[None]:
    """Grows with each call of the function."""
    calls: list[None] = []
    function = getattr(module, name)

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        return function(*args, **kwargs)

    monkeypatch.setattr(module, name, counting)
    return calls


def lead_answers(seed: Seed) -> None:
    """Coerce matches with what the leading archive says."""
    seed.set(DEVICE, dcmLeadingCFindSCPQueryCacheSize="100")
    seed.change(
        f"dn: cn=lead,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ncn: lead\n"
        "dcmDIMSE: C_FIND_RSP\ndicomTransferRole: SCU\ndcmURI: leading-arc:QRSCP"
    )


def keys() -> Dataset:
    return identifier("STUDY", StudyInstanceUID="", PatientName="", StudyDate="", NumberOfStudyRelatedInstances="")


def fill(seed: Seed, directory: Path, count: int) -> list[Dataset]:
    """Store that many studies; what the leading archive says of them."""
    leading = []
    for number in range(count):
        uid = f"{STUDY}.{number}"
        name = "Stale^Nâme" if number % 2 else "Stale^Name"
        store(
            seed.archive_port,
            make_study(directory / str(number), patient_id=f"P{number}", patient_name=name, study_uid=uid),
        )
        study = Dataset()
        study.SpecificCharacterSet = "ISO_IR 192"
        study.StudyInstanceUID = uid
        study.PatientName = "Right^Näme"
        leading.append(study)
    return leading


def asked_for(runtime: Runtime) -> int:
    """How many studies the leading archive, or its cache, was asked for."""
    return sum(sum(outcomes.values()) for outcomes in runtime.leading.counts.outcomes.values())


def test_matches_that_no_rule_changes_are_not_decoded(
    seed: Seed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed.start()
    fill(seed, tmp_path, 3)
    decodes = counted(monkeypatch, attributes, "decode")
    encodes = counted(monkeypatch, response, "encode")
    status, matches = find(seed.archive_port, keys())
    assert (status, len(matches)) == (0x0000, 3)
    assert not decodes and not encodes


def test_a_match_is_coerced_once_and_the_leading_archive_heard_each_time(
    seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp], monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_answers(seed)
    seed.start()
    leading_scp(seed.leading_port, knows(*fill(seed, tmp_path, 4)))
    _, first = find(seed.archive_port, keys())
    assert [str(match.PatientName) for match in first] == ["Right^Näme"] * 4
    runtime = seed.service._process._holder.current
    before, heard = dict(runtime.counts.read()), asked_for(runtime)
    coercions = counted(monkeypatch, chain, "_execute")
    decodes = counted(monkeypatch, matches_coerced, "decode")
    _, second = find(seed.archive_port, keys())
    assert second == first
    assert not coercions and not decodes
    assert dict(runtime.counts.read()) == {key: 2 * count for key, count in before.items()}
    assert asked_for(runtime) == 2 * heard == 8


def test_an_answer_that_changes_is_followed(seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp]) -> None:
    lead_answers(seed)
    seed.start()
    studies = fill(seed, tmp_path, 1)
    leading_scp(seed.leading_port, knows(*studies))
    find(seed.archive_port, keys())
    studies[0].PatientName = "Later^Name"
    seed.service.drop_answers(None)
    _, (match,) = find(seed.archive_port, keys())
    assert match.PatientName == "Later^Name"


def test_archive_without_answer_is_not_cached(seed: Seed, tmp_path: Path) -> None:
    lead_answers(seed)
    seed.set(f"cn=lead,{DEVICE}", dcmCoercionOnFailure="CONTINUE")
    seed.start()
    fill(seed, tmp_path, 2)
    status, matches = find(seed.archive_port, keys())
    assert (status, len(matches)) == (0x0000, 2)
    runtime = seed.service._process._holder.current
    assert not runtime.coerced_matches._known and not runtime.answers._known


@pytest.mark.parametrize(
    ("rule", "is_judged_again"),
    [
        ("dcmURI: merge-attrs:\ndcmMergeAttribute: StudyID={StudyDate}", False),
        ("dcmURI: merge-attrs:\ndcmMergeAttribute: StudyID={now,time,HHmmssSSS}", True),
        ("dcmURI: merge-attrs:\ndcmMergeAttribute: StudyID=today\ndcmProperty: StudyDate=§CURRENT_DATE", True),
        ("dcmURI: merge-attrs:\ndcmMergeAttribute: StudyID=past\ndcmProperty: StudyDate!=§CURRENT_DATE", True),
    ],
)
def test_an_outcome_that_the_time_decides_is_worked_out_by_each_query(
    seed: Seed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, is_judged_again: bool
) -> None:
    seed.change(
        f"dn: cn=timed,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ncn: timed\n"
        f"dcmDIMSE: C_FIND_RSP\ndicomTransferRole: SCU\n{rule}"
    )
    seed.start()
    fill(seed, tmp_path, 2)
    judged = counted(monkeypatch, coerce, "select_rules")
    for expected in (2, 4 if is_judged_again else 2):
        status, matches = find(seed.archive_port, keys())
        assert (status, len(matches), len(judged)) == (0x0000, 2, expected)


class CancelledMeanwhile:
    """An association whose peer cancels while the first page of answers is sent."""

    remote_peer = local_peer = Peer()

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.local_ae = runtime.device.application_entities[0]
        self.sent = 0
        self.last: int | None = None

    def is_relational(self, sop_class_uid: str) -> bool:
        return False

    def is_over(self, request: Request) -> bool:
        return self.sent > 0

    is_cancelled = is_over

    def respond_pending(self, request: Request, identifiers: Sequence[bytes]) -> None:
        self.sent += len(identifiers)

    def respond(self, request: Request, status: int) -> None:
        self.last = status


def test_a_cancel_is_heeded_within_one_page(seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    seed.start()
    runtime = seed.service._process._holder.current
    first, page = runtime.leading_settings.first_page_size, runtime.leading_settings.page_size
    for number in range(first + page + 5):
        index(runtime.index, make_header(f"{STUDY}.{number}", f"{STUDY}.{number}.1", f"{STUDY}.{number}.1.1"))
    cuts = counted(monkeypatch, response.Template, "cut")
    assoc = CancelledMeanwhile(runtime)
    request = Request(
        command="C-FIND",
        message_id=1,
        context_id=1,
        sop_class_uid=STUDY_FIND,
        sop_instance_uid="",
        move_destination="",
        move_originator=("", None),
        abstract_syntax=STUDY_FIND,
        transfer_syntax=ImplicitVRLittleEndian,
        data=iter([memoryview(encode(keys(), ImplicitVRLittleEndian))]),
    )
    assert find_matches(cast(AcceptedAssociation, assoc), request)[0] == assoc.last == CANCEL
    assert assoc.sent == first
    assert len(cuts) <= first + page
