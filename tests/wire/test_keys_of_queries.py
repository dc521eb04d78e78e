"""Keys that are not supported, and private ones: what a client is told, from here and through a proxy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pynetdicom import build_context

from tests.fixtures.datasets import make_study
from tests.fixtures.pacs import Received, Script, ScriptedPacs
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scu import STUDY_FIND, associated, identifier, store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.221"


def pending(seed: Seed, keys: Dataset, syntax: str = "1.2.840.10008.1.2.1") -> list[tuple[int, Dataset]]:
    """The pending responses of a C-FIND."""
    with associated(seed.archive_port, [build_context(STUDY_FIND, syntax)]) as assoc:
        responses = list(assoc.send_c_find(keys, STUDY_FIND))
    assert responses[-1][0].Status == 0x0000
    return [(status.Status, ds) for status, ds in responses[:-1] if ds is not None]


def private_keys(creator: str = "ACME", block: int = 0x10) -> Dataset:
    keys = identifier("STUDY", StudyInstanceUID="")
    keys[0x00090000 | block] = DataElement(0x00090000 | block, "LO", creator)
    keys[0x00090000 | block << 8 | 0x10] = DataElement(0x00090000 | block << 8 | 0x10, "LO", None)
    return keys


def private(ds: Dataset) -> dict[int, object]:
    return {int(element.tag): element.value for element in ds if element.tag.is_private}


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({"StudyInstanceUID": "", "PatientName": "*", "StudyDate": "19000101-"}, 0xFF00),
        ({"StudyInstanceUID": "", "SeriesInstanceUID": ""}, 0xFF01),
        ({"StudyInstanceUID": "", "RequestAttributesSequence": [Dataset()]}, 0xFF01),
        ({"StudyInstanceUID": "", "AcquisitionNumber": ""}, 0xFF01),
    ],
)
def test_a_key_that_is_not_supported_is_told(seed: Seed, tmp_path: Path, keys: dict[str, object], status: int) -> None:
    seed.start()
    assert set(
        store(
            seed.archive_port,
            make_study(tmp_path / "study", study_uid=STUDY, instances=1, patient_id="P", patient_name="N"),
        )
    ) == {0x0000}
    ((told, ds),) = pending(seed, identifier("STUDY", **keys))
    assert (told, ds.StudyInstanceUID) == (status, STUDY)
    assert [told for told, _ in pending(seed, private_keys())] == [0xFF01]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_a_private_key_that_is_not_kept_is_not_answered(seed: Seed, tmp_path: Path, syntax: str) -> None:
    seed.start()
    store(
        seed.archive_port,
        make_study(tmp_path / "study", study_uid=STUDY, instances=1, patient_id="P", patient_name="N"),
    )
    ((_, ds),) = pending(seed, private_keys(), syntax)
    assert private(ds) == {}


# -- through a proxy -------------------------------------------------------------------------------------------------


def answers(status: int, **elements: DataElement) -> Script:
    row = identifier("STUDY", StudyInstanceUID=STUDY, PatientName="Old^Name")
    for element in elements.values():
        row[element.tag] = element

    def script(received: Received) -> None:
        received.respond(status, row)
        received.respond(0x0000)

    return script


StartPacs = Callable[..., ScriptedPacs]


@pytest.mark.parametrize("status", [0xFF00, 0xFF01])
def test_keys_supported_by_the_archive_behind_are_passed_on(seed: Seed, scripted_pacs: StartPacs, status: int) -> None:
    pacs = scripted_pacs(seed.archive_port, find=answers(status))
    stand_in_front_of(seed, pacs.port)
    seed.start()
    ((told, _),) = pending(seed, identifier("STUDY", StudyInstanceUID="", AcquisitionNumber=""))
    assert told == status


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
@pytest.mark.parametrize("block", [0x10, 0x11])
def test_private_elements_come_through_with_their_creator(
    seed: Seed, scripted_pacs: StartPacs, syntax: str, block: int
) -> None:
    creator = DataElement(0x00090010, "LO", "ACME")
    value = DataElement(0x00091010, "LO", "private")
    pacs = scripted_pacs(seed.archive_port, find=answers(0xFF00, creator=creator, value=value))
    stand_in_front_of(seed, pacs.port)
    seed.start()
    ((_, ds),) = pending(seed, private_keys(block=block), syntax)
    found = private(ds)
    assert found[0x00090000 | block] == "ACME"
    assert found[0x00090000 | block << 8 | 0x10] in ("private", b"private ")
    ((_, ds),) = pending(seed, private_keys("OTHER", block), syntax)
    assert private(ds) == {}
    (asked, _) = pacs.finds
    assert asked[0x00090000 | block].value == "ACME"
