"""What the other tests rely on when they make objects of pydicom's test files."""

from __future__ import annotations

import pydicom
import pytest

from tests.fixtures import datasets

EVERY_SAMPLE = sorted(
    {
        *datasets.UNCOMPRESSED,
        *datasets.COMPRESSED,
        *datasets.MULTI_FRAME,
        *datasets.RADIOTHERAPY,
        *datasets.REPORTS,
        *datasets.CHARACTER_SETS,
    }
)


@pytest.mark.parametrize("name", EVERY_SAMPLE)
def test_copied_sample_is_a_part_10_file_in_its_own_transfer_syntax(tmp_path, name):
    path = datasets.make_instance(tmp_path / "copy.dcm", source=name, study_uid="2.25.1", sop_instance_uid="2.25.2")

    ds = pydicom.dcmread(path)
    assert ds.file_meta.TransferSyntaxUID == datasets.read_sample(name).file_meta.TransferSyntaxUID
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID == "2.25.2"
    assert ds.file_meta.MediaStorageSOPClassUID == ds.SOPClassUID
    assert ds.StudyInstanceUID == "2.25.1"


def test_same_study_of_another_patient_has_the_same_uids(tmp_path):
    ours = datasets.make_study(
        tmp_path / "ours", patient_id="1", patient_name="OLD^NAME", study_uid="2.25.7", instances=2, series=2
    )
    leading = datasets.make_study(
        tmp_path / "leading", patient_id="2", patient_name="NEW^NAME", study_uid="2.25.7", instances=2, series=2
    )

    def identity(path):
        ds = pydicom.dcmread(path)
        return ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID

    assert [identity(path) for path in ours] == [identity(path) for path in leading]
    assert len({identity(path) for path in ours}) == 4
    assert {str(pydicom.dcmread(path).PatientName) for path in leading} == {"NEW^NAME"}


@pytest.mark.parametrize(
    ("character_set", "name"),
    [(None, "山田^太郎"), ("ISO_IR 100", "Müller^Jörg"), (["", "ISO 2022 IR 87"], "山田^太郎")],
)
def test_name_is_written_in_the_wanted_character_set(tmp_path, character_set, name):
    (path,) = datasets.make_study(
        tmp_path, patient_id="1", patient_name=name, instances=1, sources=["chrGerm.dcm"], character_set=character_set
    )

    ds = pydicom.dcmread(path)
    assert str(ds.PatientName) == name
    assert ds.SpecificCharacterSet == (character_set or "ISO_IR 192")


def test_name_outside_the_character_set_is_refused(tmp_path):
    with pytest.raises(UserWarning, match="Failed to encode"):
        datasets.make_study(tmp_path, patient_id="1", patient_name="山田^太郎", character_set="ISO_IR 100")


def test_attribute_of_none_is_removed(tmp_path):
    path = datasets.make_instance(tmp_path / "copy.dcm", attributes={"StudyDate": None, "StudyID": "S1"})

    ds = pydicom.dcmread(path)
    assert "StudyDate" not in ds
    assert ds.StudyID == "S1"
