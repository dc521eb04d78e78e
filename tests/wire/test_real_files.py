"""pydicom's test files, stored and retrieved: what no rule changes leaves as it was stored, octet by octet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_context

from tests.fixtures.datasets import (
    CHARACTER_SETS,
    COMPRESSED,
    MULTI_FRAME,
    RADIOTHERAPY,
    REPORTS,
    UNCOMPRESSED,
    data_set_of,
    make_instance,
)
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import identifier, move, store
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.82"
NOT_TAKEN = {"MR_small_bigendian.dcm"}
"""In transfer syntaxes that the quickstart tree does not list."""
SOURCES = sorted({*CHARACTER_SETS, *COMPRESSED, *MULTI_FRAME, *RADIOTHERAPY, *REPORTS, *UNCOMPRESSED} - NOT_TAKEN)
EVERYTHING = [
    build_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    for context in AllStoragePresentationContexts
    if context.abstract_syntax is not None
]
"""Nothing has to be transcoded."""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        make_instance(
            tmp_path / "files" / source,
            source=source,
            study_uid=f"{STUDY}.{number}",
            series_uid=f"{STUDY}.{number}.1",
            sop_instance_uid=f"{STUDY}.{number}.1.1",
            attributes={"PatientID": f"P{number}"},
        )
        for number, source in enumerate(SOURCES, 1)
    ]


def test_unchanged_object_leaves_as_it_was_stored(seed: Seed, files: list[Path], viewer: Callable[..., Viewer]) -> None:
    seed.start()
    statuses = store(seed.archive_port, files)
    assert set(statuses) == {0x0000}
    station = viewer(seed.viewer_port, contexts=EVERYTHING)
    status = move(
        seed.archive_port,
        identifier("STUDY", StudyInstanceUID=[f"{STUDY}.{number}" for number in range(1, len(files) + 1)]),
    )[-1][0]
    assert status.NumberOfCompletedSuboperations == len(files)
    stored = {str(pydicom.dcmread(path).SOPInstanceUID): data_set_of(path) for path in seed.objects}
    arrived = {
        str(request.AffectedSOPInstanceUID): data
        for request, data in zip(station.requests, station.encoded, strict=True)
    }
    different = {uid for uid in stored if arrived.get(uid) != stored[uid]}
    assert not different


def test_object_changed_by_a_rule_leaves_changed(seed: Seed, files: list[Path], viewer: Callable[..., Viewer]) -> None:
    seed.change(
        f"dn: cn=rule,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ncn: rule\n"
        "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\ndcmURI: merge-attrs:\ndcmMergeAttribute: StudyID=COERCED"
    )
    seed.start()
    store(seed.archive_port, files)
    station = viewer(seed.viewer_port, contexts=EVERYTHING)
    move(
        seed.archive_port,
        identifier("STUDY", StudyInstanceUID=[f"{STUDY}.{number}" for number in range(1, len(files) + 1)]),
    )
    assert [ds.StudyID for ds in station.received] == ["COERCED"] * len(files)
