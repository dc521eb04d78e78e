"""Attributes that are the same in object and index are not decoded, and objects become the same nevertheless."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset

from dcm4py_leading.archive.index.attributes import encode, selected
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.retrieve.differing import differing_parts
from tests.fixtures.encoded import encoded
from tests.fixtures.outgoing import LEVELS, Retrieve, encoding_syntax, indexed, sent, write_object
from tests.fixtures.rules import CT, LEADING, data_set, legacy_rule

SYNTAX = encoding_syntax(EXPLICIT_LITTLE)
RULE = legacy_rule(leading_cfind_scp=AETitle(LEADING), attribute_update_policy=UpdatePolicy.OVERWRITE)
ANSWER = data_set(StudyInstanceUID="1.2.1", PatientName="Right^Name", PatientID="RIGHT-ID")


def made(**values: object) -> Dataset:
    return data_set(
        **{
            "SOPClassUID": CT,
            "SOPInstanceUID": "1.2.3",
            "StudyInstanceUID": "1.2.1",
            "SeriesInstanceUID": "1.2.2",
            "Modality": "CT",
            "PatientName": "Stale^Name",
            "PatientID": "STALE-ID",
            "StudyDescription": "As stored",
            **values,
        }
    )


def kept_of(ds: Dataset) -> list[bytes]:
    return [encode(selected(ds, tags)) for tags in LEVELS]


def left(encoded_part: bytes) -> set[str]:
    """The keywords of the elements in it."""
    ds = read_dataset(BytesIO(encoded_part), is_implicit_VR=False, is_little_endian=True)
    return {element.keyword for element in ds}


def test_equal_elements_are_left_out_but_for_patient_and_rules() -> None:
    ds, other = made(), made(StudyDescription="Edited", SeriesDescription="Told to the index alone")
    found = differing_parts(encoded(ds, EXPLICIT_LITTLE), kept_of(other), (), {0x0020000D})
    assert found is not None
    part, attributes = map(left, found)
    assert part == {"PatientName", "PatientID", "StudyInstanceUID", "StudyDescription"}
    assert attributes == {"PatientName", "PatientID", "StudyDescription", "SeriesDescription"}


@pytest.mark.parametrize(
    "values",
    [
        {"SpecificCharacterSet": "ISO_IR 192"},
        {"SpecificCharacterSet": "ISO_IR 13"},
        {"SpecificCharacterSet": "ISO_IR 100", "StudyDescription": "Schädel"},
        {"StudyDescription": "   "},
    ],
)
def test_values_undecided_by_octets_are_decoded(values: dict[str, object]) -> None:
    assert differing_parts(encoded(made(), EXPLICIT_LITTLE), kept_of(made(**values)), (), ()) is None


def prepare_all(retrieve: Retrieve, folder: Path, objects: Iterable[Dataset]) -> list[Dataset]:
    out = []
    for number, ds in enumerate(objects):
        path = write_object(folder / str(number), encoded(ds, EXPLICIT_LITTLE), SYNTAX)
        instance = indexed(path, SYNTAX, [(ds, tags) for tags in LEVELS], str(ds.SOPInstanceUID))
        data = sent(retrieve.instance(instance).prepare([SYNTAX]))
        out.append(read_dataset(BytesIO(data), is_implicit_VR=False, is_little_endian=True))
    return out


def test_the_series_of_a_study_are_decoded_once(tmp_path: Path) -> None:
    retrieve = Retrieve(tmp_path, RULE, answer=ANSWER)
    series = [made(SeriesInstanceUID=f"1.2.2.{n}", SOPInstanceUID=f"1.2.3.{n}", Modality=f"M{n}") for n in range(5)]
    out = prepare_all(retrieve, tmp_path, series)
    assert retrieve.common.bytewise.decoded == 1
    assert {str(ds.PatientName) for ds in out} == {"Right^Name"}
    assert [ds.SeriesInstanceUID for ds in out] == [ds.SeriesInstanceUID for ds in series]
    assert [ds.Modality for ds in out] == [ds.Modality for ds in series]


def test_text_that_is_the_same_is_brought_into_another_character_set_too(tmp_path: Path) -> None:
    answer = data_set(StudyInstanceUID="1.2.1", SpecificCharacterSet="ISO_IR 192", PatientName="Иванов^Иван")
    retrieve = Retrieve(tmp_path, RULE, answer=answer)
    (out,) = prepare_all(retrieve, tmp_path, [made(SpecificCharacterSet="ISO_IR 100", StudyDescription="Schädel")])
    assert (str(out.PatientName), out.StudyDescription) == ("Иванов^Иван", "Schädel")
