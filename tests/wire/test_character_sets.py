"""Text in every kind of character set on the wire: found, merged and delivered, or left as the octets that it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.valuerep import PersonName

from tests.fixtures.datasets import make_study
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import find, identifier, move, store
from tests.fixtures.service import AE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.11"
INSTITUTION, NAME = 0x00080080, 0x00100010
LATIN_NAME, LATIN_INSTITUTION = b"M\xfcller^J\xf6rg", b"Z\xfcrich"


def an_object(directory: Path, codes: str | None, name: bytes, institution: bytes) -> Dataset:
    """An object with these value fields, whatever character set they are in."""
    (file,) = make_study(directory, patient_id="4711", patient_name="x", study_uid=STUDY, instances=1, series=1)
    ds = dcmread(file)
    ds.pop("SpecificCharacterSet", None)
    if codes is not None:
        ds.SpecificCharacterSet = codes
    ds[NAME] = DataElement(NAME, "PN", PersonName(name), already_converted=True)
    ds[INSTITUTION] = DataElement(INSTITUTION, "LO", institution, already_converted=True)
    return ds


def octets_of(ds: Dataset, tag: int) -> bytes:
    value: object = ds.get_item(tag).value
    assert isinstance(value, bytes)
    return value.rstrip(b" ")


def leading(codes: str, name: bytes) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = codes
    ds.StudyInstanceUID, ds.PatientID, ds.PatientBirthDate = STUDY, "RIGHT-ID", "20010203"
    ds[NAME] = DataElement(NAME, "PN", PersonName(name), already_converted=True)
    return ds


@pytest.mark.parametrize("codes", [None, "ISO_IR 192"])
def test_octets_of_another_set_are_stored_and_found_as_they_are(seed: Seed, tmp_path: Path, codes: str | None) -> None:
    seed.start()
    assert store(seed.archive_port, [an_object(tmp_path, codes, LATIN_NAME, LATIN_INSTITUTION)]) == [0]
    _, (match,) = find(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY, PatientName="m?ller*"))
    assert (octets_of(match, NAME), match.get("SpecificCharacterSet")) == (LATIN_NAME, codes)
    query = identifier("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID="", InstitutionName="Z?rich")
    _, (match,) = find(seed.archive_port, query)
    assert octets_of(match, INSTITUTION) == LATIN_INSTITUTION


@pytest.mark.ldap("dcmDefaultCharacterSet")
@pytest.mark.parametrize("default", [None, "ISO_IR 100"])
def test_undeclared_text_stays_beside_a_leading_name_in_another_set(
    seed: Seed,
    tmp_path: Path,
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
    default: str | None,
) -> None:
    seed.lead()
    if default is not None:
        seed.set(AE, dcmDefaultCharacterSet=default)
    seed.start()
    assert store(seed.archive_port, [an_object(tmp_path, None, b"Stale^Name", LATIN_INSTITUTION)]) == [0]
    leading_scp(seed.leading_port, knows(leading("ISO_IR 192", "Müller^Jörg".encode())))
    station = viewer(seed.viewer_port)
    assert move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0].Status == 0x0000
    (received,) = station.received
    assert octets_of(received, INSTITUTION) == LATIN_INSTITUTION
    if default is None:
        assert list(received.SpecificCharacterSet) == ["", "ISO 2022 IR 100"]
        assert octets_of(received, NAME) == b"M\x1b-A\xfcller^J\x1b-A\xf6rg"
    else:
        assert received.SpecificCharacterSet == default
        assert octets_of(received, NAME) == LATIN_NAME


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_leading_text_that_cannot_be_decoded_is_not_merged_and_told(
    seed: Seed,
    tmp_path: Path,
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    seed.lead()
    seed.start()
    assert store(seed.archive_port, [an_object(tmp_path, None, b"Own^Name", b"Here")]) == [0]
    leading_scp(seed.leading_port, knows(leading("ISO_IR 192", LATIN_NAME)))
    station = viewer(seed.viewer_port)
    with caplog.at_level(logging.WARNING):
        final = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0]
    # As for any lookup that fails: the rule's dcmCoercionOnFailure decides, and nothing of the answer is merged.
    for ds in station.received:
        assert (octets_of(ds, NAME), ds.get("PatientBirthDate")) != (LATIN_NAME, "20010203")
        assert ds.PatientID != "RIGHT-ID"
    assert final.NumberOfFailedSuboperations + len(station.received) == 1
    told = [record.getMessage() for record in caplog.records if "PatientName" in record.getMessage()]
    assert any("another character set than it declares" in message for message in told)
    assert not any("ller" in message for message in told)


@pytest.mark.parametrize("key", ["Straße", "STRASSE", "Stra?e", "strass*", "STRAẞE", "stra*e", "strasse"])
def test_sharp_s_is_one_character_and_the_same_as_two(seed: Seed, tmp_path: Path, key: str) -> None:
    seed.start()
    ds = an_object(tmp_path, "ISO_IR 192", "Straße^Änne".encode(), b"Here")
    assert store(seed.archive_port, [ds]) == [0]
    query = identifier("STUDY", SpecificCharacterSet="ISO_IR 192", StudyInstanceUID="", PatientName=f"{key}^änne")
    _, matches = find(seed.archive_port, query)
    assert len(matches) == 1


@pytest.mark.ldap("dcmDefaultCharacterSet")
def test_key_that_names_no_set_is_read_in_the_default_one(seed: Seed, tmp_path: Path) -> None:
    seed.set(AE, dcmDefaultCharacterSet="ISO_IR 100")
    seed.start()
    assert store(seed.archive_port, [an_object(tmp_path, "ISO_IR 192", "Müller^Jörg".encode(), b"Here")]) == [0]
    query = identifier("STUDY", StudyInstanceUID="")
    query[NAME] = DataElement(NAME, "PN", PersonName(b"M\xdcLLER*"), already_converted=True)
    _, matches = find(seed.archive_port, query)
    assert len(matches) == 1
