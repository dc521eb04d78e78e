"""A patient and a study are edited on their pages: previewed, saved, refused by field, and decided where two clash."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.editing import editor_of
from dcm4py_leading.service.studies.three_values import ThreeValues, ValueSource
from tests.fixtures.one_study import BIRTH_DATE, COMMENTS, DESCRIPTION, NAME, OTHER_NAMES, STUDY, VALUES
from tests.fixtures.pages import Reader, Watched, reading
from tests.fixtures.slapd import OUR_LDIF

PLACE = f"/ui/studies/DCM4CHEE/{STUDY}"
PATIENT, EDIT, VALUES_PAGE = f"{PLACE}/patient", f"{PLACE}/edit", f"{PLACE}/values"
ALPHABETIC, IDEOGRAPHIC = "00100010.Alphabetic", "00100010.Ideographic"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    source = LdifSource([OUR_LDIF / "quickstart.ldif"])
    site = Site(source=source, device_name="dcm4chee-arc", properties={}, data_dir=tmp_path)
    with reading(editor_of(site), Watched()) as found:
        yield found


def test_input_is_previewed_and_then_saved(reader: Reader) -> None:
    page = reader.get(PATIENT)
    assert page.form().fields[ALPHABETIC] == "Old^Name"
    preview = page.send("preview", **{ALPHABETIC: "New^Name", IDEOGRAPHIC: "新"})
    assert "Old^Name" in preview.text
    assert "New^Name=新" in preview.text
    assert "Leading archive" not in preview.text or "QRSCP" in preview.text
    assert reader.service.amended == []
    saved = preview.send("save")
    assert saved.answer.url.path == VALUES_PAGE
    assert "The edit is saved" in saved.text
    (amendment,) = reader.service.amended
    assert (amendment.shown, amendment.wanted) == ({NAME: ("Old^Name",)}, {NAME: ("New^Name=新",)})
    assert amendment.author == "loopback"


def test_the_preview_names_the_aes_that_will_not_get_it(reader: Reader) -> None:
    preview = reader.get(PATIENT).send("preview", **{ALPHABETIC: "New^Name"})
    assert "QRSCP, rule Leading DCMQRSCP: STORESCP" in preview.text
    reader.service.led = ()
    assert "No rule of a leading archive concerns it" in reader.get(EDIT).send("preview", **{"00081030": "x"}).text


def test_values_are_typed_line_by_line_and_an_empty_field_takes_the_value_out(reader: Reader) -> None:
    reader.get(PATIENT).send(
        "preview", **{"00101001": "One^Name\r\nTwo^Name\r\n", "00100030": "", "00104000": "a\r\nb"}
    ).send("save")
    (amendment,) = reader.service.amended
    assert amendment.wanted == {OTHER_NAMES: ("One^Name", "Two^Name"), BIRTH_DATE: (), COMMENTS: ("a\nb",)}


def test_the_order_of_values_counts(reader: Reader) -> None:
    reader.get(PATIENT).send("preview", **{"00101001": "Stage^Name\nBirth^Name"}).send("save")
    assert reader.service.kept[OTHER_NAMES] == ("Stage^Name", "Birth^Name")


def test_change_without_a_preview_is_not_saved(reader: Reader) -> None:
    preview = reader.get(PATIENT).send("preview", **{ALPHABETIC: "New^Name"})
    again = preview.send("save", **{ALPHABETIC: "Newer^Name"})
    assert "What it would change" in again.text
    assert reader.service.amended == []
    again.send("save")
    assert reader.service.kept[NAME] == ("Newer^Name",)


def test_nothing_typed_is_nothing_to_save(reader: Reader) -> None:
    page = reader.get(PATIENT).send("save")
    assert "There is nothing to change." in page.text
    assert reader.service.amended == []


def test_invalid_value_is_reported_at_its_field_and_input_stays(reader: Reader) -> None:
    page = reader.get(PATIENT).send("save", **{"00100030": "31.1.1970", ALPHABETIC: "New^Name"})
    assert page.status == 422
    (error,) = page.tree.xpath("//*[@id='e-00100030']")
    assert "VR DA" in error.text_content()
    assert page.tree.xpath("//*[@id='i-00100030']")[0].get("aria-invalid") == "true"
    fields = page.form().fields
    assert (fields["00100030"], fields[ALPHABETIC]) == ("31.1.1970", "New^Name")
    assert reader.service.amended == []


def test_untypable_value_is_shown_without_a_field(reader: Reader) -> None:
    page = reader.get(EDIT)
    assert "(1 item)" in page.text
    assert "00081032" not in page.form().fields


def test_somebody_elses_change_of_the_same_is_shown_and_decided(reader: Reader) -> None:
    page = reader.get(PATIENT)
    reader.service.kept[NAME] = ("Their^Name",)
    reader.service.kept[COMMENTS] = ("theirs",)
    conflict = page.send("save", **{ALPHABETIC: "My^Name", "00100030": "19700201"})
    assert conflict.status == 409
    assert all(value in conflict.text for value in ("Old^Name", "Their^Name", "My^Name"))
    assert reader.service.amended == []
    conflict.send("preview", **{"keep.00100010": "mine"}).send("save")
    (amendment,) = reader.service.amended
    assert amendment.wanted == {NAME: ("My^Name",), BIRTH_DATE: ("19700201",)}
    assert reader.service.kept[COMMENTS] == ("theirs",)


def test_taking_their_value_keeps_other_typed_values(reader: Reader) -> None:
    page = reader.get(PATIENT)
    reader.service.kept[NAME] = ("Their^Name",)
    page.send("save", **{ALPHABETIC: "My^Name", "00100030": "19700201"}).send("preview").send("save")
    assert (reader.service.kept[NAME], reader.service.kept[BIRTH_DATE]) == (("Their^Name",), ("19700201",))


def test_a_change_of_something_else_is_no_conflict(reader: Reader) -> None:
    page = reader.get(PATIENT)
    reader.service.kept[COMMENTS] = ("theirs",)
    preview = page.send("preview", **{ALPHABETIC: "My^Name"})
    assert "and kept: Patient Comments" in preview.text
    preview.send("save")
    assert (reader.service.kept[NAME], reader.service.kept[COMMENTS]) == (("My^Name",), ("theirs",))


def test_where_nothing_can_be_edited_the_page_says_why(reader: Reader) -> None:
    reader.service.why_no_edit = "AE DCM4CHEE is in front of QRSCP and holds nothing itself: edit it there"
    page = reader.get(PATIENT)
    assert page.status == 409
    assert "in front of QRSCP" in page.text
    assert not page.tree.xpath("//form//textarea")


def test_a_study_that_is_not_there_cannot_be_edited(reader: Reader) -> None:
    page = reader.get("/ui/studies/DCM4CHEE/1.2.3/patient")
    assert (page.status, "there is no such study" in page.text) == (404, True)


def test_no_patient_data_is_in_title_or_address(reader: Reader) -> None:
    for path in (PATIENT, EDIT, VALUES_PAGE):
        page = reader.get(path)
        assert "Name" not in page.tree.findtext(".//title", "Name")
    saved = reader.get(PATIENT).send("preview", **{ALPHABETIC: "New^Name"}).send("save")
    assert "New" not in str(saved.answer.url)


def test_three_values_are_side_by_side_with_who_decided(reader: Reader) -> None:
    page = reader.get(VALUES_PAGE)
    (name, description) = (row.text_content().split() for row in page.tree.xpath("//tbody//tr")[:2])
    assert {"Old^Name", "Right^Name"} <= set(name)
    assert "Knee" in description
    text = page.text
    assert "edited 2026-01-02" in text
    assert "stale" in text
    assert "Leading archive QRSCP has the last word on what STORESCP gets: rule Leading DCMQRSCP" in text
    assert "dcmProperty=ReceivingApplicationEntityTitle=VIEWER but it is STORESCP" in text


def test_states_of_the_leading_archive_are_said(reader: Reader) -> None:
    def told(**values: object) -> str:
        archive = replace(VALUES.leading[0], **values)  # type: ignore[arg-type]
        reader.service.values = replace(VALUES, leading=(archive,))
        return reader.get(f"{VALUES_PAGE}?to=VIEWER").text

    assert "gives no answer: Connection refused" in told(failure="Connection refused", is_known=False)
    assert "does not know this study" in told(outcome="not-found", is_known=False)
    assert "what it answered last" in told(outcome="stale-served")
    assert "is not asked for VIEWER" in told(is_applied=False)


def test_delivery_to_an_ae_without_a_rule_is_told(reader: Reader) -> None:
    rule = replace(VALUES.rules[1])
    row = replace(VALUES.attributes[1], decider=ValueSource.OBJECT, delivered="Hip")
    reader.service.values = replace(VALUES, leading=(), rules=(rule,), attributes=(row,), led=())
    text = reader.get(f"{VALUES_PAGE}?to=VIEWER").text
    assert "Nothing is changed for VIEWER: no rule applies." in text
    assert "No AE of the directory" in text
    row = replace(VALUES.attributes[1], leading=(), is_stale=(), decider=ValueSource.OBJECT, delivered="Hip")
    reader.service.values = replace(VALUES, leading=(), attributes=(row,), failure="it would fail")
    assert "VIEWER gets nothing: it would fail" in reader.get(f"{VALUES_PAGE}?to=VIEWER").text


def test_no_edit_is_offered_in_front_of_a_pacs(reader: Reader) -> None:
    reader.service.values = replace(VALUES, is_stored_here=False)
    page = reader.get(VALUES_PAGE)
    assert "The study is not stored here" in page.text
    assert not page.tree.xpath(f"//a[@href='{PATIENT}']")


def test_a_study_that_is_not_there_has_no_page(reader: Reader) -> None:
    assert reader.get("/ui/studies/DCM4CHEE/1.2.3/values").status == 404


@pytest.mark.parametrize("path", [PATIENT, EDIT, VALUES_PAGE])
def test_pages_are_in_german_too(reader: Reader, path: str) -> None:
    assert reader.get(f"{path}?lang=de").tree.get("lang") == "de"


def test_markup_in_values_is_text(reader: Reader) -> None:
    reader.service.kept[DESCRIPTION] = ("<script>alert(1)</script>",)
    page = reader.get(EDIT).send("preview", **{"00081030": '"><b>x</b>'})
    assert "<script>alert" not in page.html
    assert not page.tree.xpath("//b")


def test_pages_that_wait_for_another_archive_keep_no_other_page_waiting(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, answered = threading.Semaphore(0), threading.Event()

    def silent(*_: object) -> ThreeValues:
        waiting.release()
        assert answered.wait(60)
        return VALUES

    monkeypatch.setattr(reader.service, "three_values", silent)
    with ThreadPoolExecutor(8) as people:
        pages = [people.submit(reader.client.get, VALUES_PAGE) for _ in range(8)]
        try:
            assert all(waiting.acquire(timeout=60) for _ in range(4))
            assert reader.client.get("/ui/devices").status_code == 200
        finally:
            answered.set()
        assert {page.result().status_code for page in pages} == {200}
