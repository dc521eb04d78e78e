"""The page of one study: what the archive has of it, with its series and their objects."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dcm4py_leading.editing import editor_of
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.editing.edit import Edit
from dcm4py_leading.web.pages.studies.values import date_shown, time_shown, value_shown
from tests.fixtures.pacs import ScriptedPacs, has
from tests.fixtures.pages import Reader, reading
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scu import identifier
from tests.fixtures.service import Seed
from tests.fixtures.studies import NAME, STUDY, STUDY_PAGE


def test_attributes_are_those_of_the_archive(studies_to_read: Reader) -> None:
    page = studies_to_read.get(STUDY_PAGE)
    assert page.tree.xpath("string(//h1)") == NAME
    facts = dict(
        zip(page.tree.xpath("//dt/text()"), (dd.text_content() for dd in page.tree.xpath("//dd")), strict=True)
    )
    assert facts["Patient ID"] == "P-G"
    assert facts["Patient's Birth Date"] == "1970-01-31"
    assert facts["Study Date"] == "2024-01-01"
    assert facts["Study Description"] == "<b>Knee</b> & hip"
    assert facts["Study Instance UID"] == f"{STUDY}.1"


def test_title_and_addresses_have_no_patient_data(studies_to_read: Reader) -> None:
    page = studies_to_read.get(STUDY_PAGE)
    assert page.tree.xpath("string(//title)") == "Study – dcm4py-leading"
    assert not any("Gr" in address for address in page.tree.xpath("//@href"))


def test_series_unfold_to_their_objects(studies_to_read: Reader) -> None:
    page = studies_to_read.get(STUDY_PAGE)
    addresses = page.tree.xpath("//details/@hx-get")
    assert len(addresses) == 2
    assert page.tree.xpath("//details//a/@href") == addresses  # without JavaScript
    series = studies_to_read.get(addresses[0])
    rows = series.tree.xpath("//*[@id='objects']//tbody/tr")
    assert len(rows) == 3
    assert "CT Image Storage" in series.text


def test_values_edited_here_are_marked(studies: Reader) -> None:
    assert "edited here" not in studies.get(STUDY_PAGE).text
    study = {
        "00081030": {"vr": "LO", "Value": ["Hip"]},
        "00100020": {"vr": "LO", "Value": ["P-G"]},
        "0020000D": {"vr": "UI", "Value": [f"{STUDY}.1"]},
    }
    studies.service.edit(  # type: ignore[attr-defined]
        Edit(ae_title="DCM4CHEE", level=Level.STUDY, identifier=f"{STUDY}.1", attributes=study)
    )
    page = studies.get(STUDY_PAGE)
    (edited,) = page.tree.xpath("//dt[.='Study Description']/following-sibling::dd[1]")
    assert edited.text_content() == "Hip edited here"
    assert "edited here" in studies.post("/ui/studies", aet="DCM4CHEE", AccessionNumber="").text


def test_picture_is_shown_without_a_name(studies_to_read: Reader) -> None:
    assert f"{STUDY_PAGE}/picture" in studies_to_read.get(STUDY_PAGE).tree.xpath("//a/@href")  # without JavaScript
    page = studies_to_read.get(f"{STUDY_PAGE}/picture")
    (source,) = page.tree.xpath("//*[@id='decoded']/img/@src")
    assert source.startswith("data:image/png;base64,iVBOR")
    assert NAME not in page.html
    assert page.answer.headers["Cache-Control"] == "no-store"


def test_where_there_is_no_picture_the_page_says_why(studies_to_read: Reader) -> None:
    page = studies_to_read.get(f"/ui/studies/DCM4CHEE/{STUDY}.9/picture")
    assert "There is no picture. No object of the study is stored here." in page.text


def test_study_of_a_pacs_names_its_archive_and_cannot_be_edited_or_deleted(
    seed: Seed, scripted_pacs: Callable[..., ScriptedPacs]
) -> None:
    row = identifier("STUDY", StudyInstanceUID=f"{STUDY}.1", PatientName="Of^Pacs", PatientID="OLD")
    stand_in_front_of(seed, scripted_pacs(seed.archive_port, find=has(row)).port)
    with reading(editor_of(seed.site), seed.start()) as reader:
        found = reader.post("/ui/studies", aet="DCM4CHEE")
        assert "at PACS" in found.text
        assert "DCM4CHEE – in front of PACS" in found.text
        page = reader.get(STUDY_PAGE)
        links = page.tree.xpath("//a/@href")
        assert "at PACS" in page.text
        assert f"{STUDY_PAGE}/send" in links
        assert not [link for link in links if link.endswith(("/delete", "/edit", "/patient", "/picture"))]
        assert "delete it there" in reader.get(f"{STUDY_PAGE}/delete").text
        assert reader.post(f"{STUDY_PAGE}/delete").status == 409


@pytest.mark.parametrize(
    "path",
    [
        f"/ui/studies/DCM4CHEE/{STUDY}.9",
        "/ui/studies/DCM4CHEE/*",
        f"/ui/studies/NOBODY/{STUDY}.1",
        f"{STUDY_PAGE}/series/1.2.3",
        f"/ui/studies/DCM4CHEE/{STUDY}.9/series/1.2.3",
    ],
)
def test_absent_things_are_told(studies_to_read: Reader, path: str) -> None:
    assert studies_to_read.get(path).status == 404


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"vr": "DA", "Value": ["20240131"]}, "2024-01-31"),
        ({"vr": "DA", "Value": ["soon"]}, "soon"),
        ({"vr": "TM", "Value": ["101500.123"]}, "10:15:00"),
        ({"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane", "Ideographic": "山田"}]}, "Doe^Jane=山田"),
        ({"vr": "CS", "Value": ["A", "B"]}, "A, B"),
        ({"vr": "LO"}, ""),
        ({"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["X"]}}, {}]}, "X"),
    ],
)
def test_values_are_shown_as_people_read_them(value: dict[str, object], text: str) -> None:
    assert value_shown("00080000", value) == text


def test_dates_and_times_that_are_none_stay_as_they_are() -> None:
    assert (date_shown("2024"), time_shown("10"), time_shown("1015")) == ("2024", "10", "10:15")
