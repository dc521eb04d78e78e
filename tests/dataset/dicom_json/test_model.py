"""The DICOM JSON Model is read strictly, and refusals name tags, never values."""

from __future__ import annotations

from typing import Any

import pytest

from dcm4py_leading.dataset.dicom_json.model import data_set_of
from dcm4py_leading.errors import DocumentInvalid
from dcm4py_leading.model.bounds import JSON_SEQUENCE_DEPTH


def one(tag: str, vr: str | None, *values: object) -> dict[str, Any]:
    return {tag: {**({} if vr is None else {"vr": vr}), "Value": list(values)}}


def nested(depth: int) -> dict[str, Any]:
    return {"00400275": {"vr": "SQ", "Value": [nested(depth - 1)] if depth else []}}


def test_values_of_every_kind_are_read() -> None:
    ds = data_set_of(
        {
            **one("00100010", "PN", {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}),
            **one("00101030", "DS", 70.5),
            **one("00201208", "IS", "12"),
            **one("00280010", "US", 512),
            **one("00080061", "CS", "CT", "MR"),
            **one("0020000D", None, "1.2.3"),
            **one("00100030", "DA"),
            **one("00400275", "SQ", one("00400007", "LO", "Step")),
            **one("00100000", "UL", 4),
        }
    )
    assert str(ds.PatientName) == "Yamada^Tarou=山田^太郎"
    assert (ds.PatientWeight, ds.NumberOfStudyRelatedInstances, ds.Rows) == (70.5, 12, 512)
    assert list(ds.ModalitiesInStudy) == ["CT", "MR"]
    assert ds.StudyInstanceUID == "1.2.3"
    assert ds.PatientBirthDate in (None, "")
    assert ds.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "Step"
    assert 0x00100000 not in ds


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"PatientName": {"vr": "PN"}},
        {"00100010": "Secret"},
        one("00100010", "LO", "Secret"),
        one("00100010", "PN", "Secret"),
        one("00100010", "PN", {"Alphabetic": "Secret", "Other": "Secret"}),
        one("00100010", "PN", {"Alphabetic": "Secret=Secret"}),
        one("00100030", "DA", "Secret"),
        one("00080061", "CS", "secret in small letters"),
        one("00081030", "LO", "Secret\\Secret"),
        one("00081030", "LO", 5),
        one("00081030", "LO", True),
        one("00280010", "US", True),
        one("00280010", "US", 1 << 16),
        one("00280010", "US", None),
        one("00101030", "DS", "Secret"),
        one("7FE00010", "OW", "Secret"),
        one("00091001", None, "Secret"),
        {"00081030": {"vr": "LO", "Value": "Secret"}},
        {"00081030": {"vr": "LO", "BulkDataURI": "http://Secret"}},
        nested(JSON_SEQUENCE_DEPTH + 1),
    ],
)
def test_value_against_its_vr_is_refused_without_being_told(document: object) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        data_set_of(document)
    assert "ecret" not in str(caught.value)


def test_sequences_may_lie_as_deep_as_the_bound() -> None:
    assert "RequestAttributesSequence" in data_set_of(nested(JSON_SEQUENCE_DEPTH))
