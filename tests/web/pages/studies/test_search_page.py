"""Studies are searched by a form, of which nothing is left in addresses, titles and logs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dcm4py_leading.archive.index.querying import newest
from dcm4py_leading.log import ref
from dcm4py_leading.web.pages.studies import search_form
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import storescu
from tests.fixtures.pages import Page, Reader
from tests.fixtures.service import Seed
from tests.fixtures.studies import NAME, STUDY, STUDY_PAGE

SEARCH = "/ui/studies"


def search(reader: Reader, **fields: str) -> Page:
    return reader.post(SEARCH, aet="DCM4CHEE", **fields)


def links(page: Page) -> list[str]:
    return [str(link) for link in page.tree.xpath("//tbody//th/a/@href")]


def test_nothing_is_searched_before_somebody_wants_it(studies_to_read: Reader) -> None:
    page = studies_to_read.get(SEARCH)
    assert links(page) == []
    assert "search" in page.text
    assert page.tree.xpath("//select[@name='aet']/option/@value") == ["DCM4CHEE"]


def test_studies_are_listed_the_newest_first(studies_to_read: Reader) -> None:
    page = search(studies_to_read)
    assert links(page) == [f"{SEARCH}/DCM4CHEE/{STUDY}.{number}" for number in (2, 1, 3)]
    assert "Studies: 3" in page.text
    assert "2024-03-01 10:15:00" in page.text
    assert "P-G · 1970-01-31" in page.text
    assert "<b>Knee</b> & hip" in page.text
    assert "before any coercion" in page.text


@pytest.mark.parametrize(
    ("fields", "numbers"),
    [
        ({"PatientName": "grösse*"}, [2, 1]),
        ({"PatientID": "P-S"}, [3]),
        ({"from": "2024-02-01"}, [2]),
        ({"from": "2024-01-01", "to": "2024-01-31"}, [1]),
        ({"to": "2024-01-31"}, [1]),
        ({"PatientBirthDate": "1970-01-31", "AccessionNumber": "A3"}, [3]),
        ({"StudyDescription": "*hip"}, [2, 1, 3]),
        ({"ModalitiesInStudy": "US"}, []),
    ],
    ids=repr,
)
def test_fields_are_keys_of_a_cfind(studies_to_read: Reader, fields: dict[str, str], numbers: list[int]) -> None:
    assert links(search(studies_to_read, **fields)) == [f"{SEARCH}/DCM4CHEE/{STUDY}.{number}" for number in numbers]


def test_where_nothing_matches_the_page_says_what_to_do(studies_to_read: Reader) -> None:
    page = search(studies_to_read, PatientName="nobody")
    assert "No study matches." in page.text
    assert "Fewer fields find more" in page.text


def test_wrong_date_is_told(studies_to_read: Reader) -> None:
    page = search(studies_to_read, **{"from": "yesterday"})
    assert page.status == 422
    assert "StudyDate" in page.tree.xpath("string(//*[@role='alert'])")


def test_pages_go_forth_and_back(studies_to_read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_form, "PAGE_LENGTH", 1)

    def turn(page: Page, text: str) -> Page:
        (form,) = (form for form in page.tree.forms if form.xpath(f".//button[text()='{text}']"))
        return studies_to_read.post(SEARCH, **dict(form.form_values()))

    first = search(studies_to_read, PatientName=NAME)
    second = turn(first, "Older")
    assert [links(first), links(second)] == [[f"{SEARCH}/DCM4CHEE/{STUDY}.2"], [STUDY_PAGE]]
    assert "Page 2" in second.text
    assert not second.tree.xpath("//button[text()='Older']")
    assert links(turn(second, "Newer")) == links(first)


def test_a_page_that_did_not_look_at_all_studies_says_so(
    studies_to_read: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "WALK", 1)
    page = search(studies_to_read, StudyDescription="none")
    assert "back to 2024-03-01" in page.text
    assert "No study matches" not in page.text
    assert page.tree.xpath("//button[text()='Older']")


def test_nothing_of_a_search_is_left_behind(studies_to_read: Reader, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    page = search(studies_to_read, PatientName=NAME)
    assert str(page.answer.url).endswith(SEARCH)
    assert page.tree.xpath("string(//title)") == "Studies – dcm4py-leading"
    assert page.answer.headers["Cache-Control"] == "no-store"
    assert not any("Größe" in address for address in page.tree.xpath("//@href | //@action | //@hx-get | //@hx-post"))
    ours = [record for record in caplog.records if record.name.startswith("dcm4py_leading")]
    assert not any("Größe" in record.getMessage() and record.levelno >= logging.INFO for record in ours)


def test_typed_values_stay_in_the_form(studies_to_read: Reader) -> None:
    page = search(studies_to_read, PatientName='"><script>', PatientBirthDate="1970-01-31")
    assert page.tree.xpath("//input[@id='PatientName']/@value") == ['"><script>']
    assert page.tree.xpath("//input[@id='PatientBirthDate']/@value") == ["1970-01-31"]
    assert "<script>" not in page.html.replace("<script src=", "")


def test_unknown_ae_is_no_page(studies_to_read: Reader) -> None:
    page = studies_to_read.post(SEARCH, aet="NOBODY")
    assert page.status == 404
    assert "NOBODY" in page.text


@pytest.mark.peers
def test_a_name_in_another_character_set_than_its_object_says_hides_no_page(
    studies: Reader, seed: Seed, tmp_path: Path
) -> None:
    uid = f"{STUDY}.4"
    (file,) = make_study(tmp_path / "odd", patient_id="ODD", patient_name="Gr@@e^Å", study_uid=uid, instances=1)
    file.write_bytes(file.read_bytes().replace(b"Gr@@e", "Größe".encode("latin-1")))
    assert storescu(seed.archive_port, [file], called_ae_title="DCM4CHEE").returncode == 0
    found = search(studies, PatientID="ODD")
    assert found.status == 200
    assert "Gr\N{REPLACEMENT CHARACTER}" in found.text
    for page in ("", "/values", "/patient", "/edit", "/send"):
        assert studies.get(f"{SEARCH}/DCM4CHEE/{uid}{page}").status == 200


def test_each_search_and_each_study_that_is_opened_is_a_line_without_patient_data(
    studies_to_read: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    search(studies_to_read, PatientName="grösse*")
    studies_to_read.get(STUDY_PAGE)
    studies_to_read.get(f"{STUDY_PAGE}/values")
    told = [record.getMessage().rpartition(" ms=")[0] for record in caplog.records if record.name.endswith("use_log")]
    who, study = "from=127.0.0.1 user=loopback to=DCM4CHEE", ref(STUDY_PAGE.rpartition("/")[2])
    assert told[0] == f"page studies {who} status=200 matches=2"
    assert told[1].startswith(f"page study {who} status=200 study={study} series=")
    assert told[2] == f"page values {who} status=200 study={study}"
