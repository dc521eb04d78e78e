"""Trying rules on the page, without JavaScript: on what is stored, on a file, and with a rule that is being edited."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.app import Configured, create_app
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.pages.trying import upload
from tests.fixtures.datasets import make_instance
from tests.fixtures.http import served
from tests.fixtures.pages import Page
from tests.fixtures.scu import store
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.15"
RULE = "/ui/devices/dcm4chee-arc/entry?at=cn%3DLeading%20DCMQRSCP"
NEW = "/ui/devices/dcm4chee-arc/new?kind=rule2"
PATIENT = "Stale^Name"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    values = {"PatientID": "STALE-ID", "PatientName": PATIENT, "StationName": "OLD"}
    return make_instance(tmp_path / "stale.dcm", study_uid=STUDY, attributes=values)


@pytest.fixture
def client(seed: Seed, file: Path) -> Iterator[httpx.Client]:
    """The pages of the seed's archive, which has one study."""
    seed.lead()
    site = replace(seed.site, is_ldif_writable=True)
    seed.start()
    assert store(seed.archive_port, [file]) == [0x0000]
    with served(app=create_app(seed.service, configured=Configured(editor_of(site), "dcm4chee-arc"))) as client:
        client.timeout = httpx.Timeout(120)
        yield client


def get(client: httpx.Client, path: str) -> Page:
    return Page(client, client.get(path))


def tried(client: httpx.Client, page: Page | None = None, file: Path | None = None, **typed: str) -> Page:
    """The form of a page, typed into and sent."""
    page = page or get(client, "/ui/try")
    form = next(form for form in page.tree.forms if form.get("enctype"))
    fields = {name: [value] for name, value in form.form_values() if name != "file"} | {
        name: [value] for name, value in typed.items()
    }
    content = b"" if file is None else file.read_bytes()
    sent = [(name, (None, value)) for name, values in fields.items() for value in values]
    name = "" if file is None else file.name
    answer = client.post("/ui/try", files=[*sent, ("file", (name, content, "application/dicom"))])
    return Page(client, answer)


def table(page: Page, caption: str) -> list[list[str]]:
    """Rows of a table."""
    for found in page.tree.iter("table"):
        if caption in (found.findtext("caption") or ""):
            rows = found.iterfind("tbody//tr")
            return [[" ".join(cell.text_content().split()) for cell in row] for row in rows]
    return []


def test_newest_studies_are_offered(client: httpx.Client) -> None:
    page = get(client, "/ui/try")
    assert [option.get("value") for option in page.tree.xpath("//select[@name='picked']/option")] == ["", STUDY]
    assert PATIENT in page.text


def test_study_of_the_address_is_typed_already(client: httpx.Client) -> None:
    assert get(client, f"/ui/try?study={STUDY}").tree.xpath("//input[@name='study']/@value") == [STUDY]


def test_address_fills_in_nothing_of_a_patient(client: httpx.Client) -> None:
    page = get(client, "/ui/try?answer=PatientName%3DSecret&other=STORESCP")
    assert page.tree.xpath("//input[@name='other']/@value") == ["STORESCP"]
    assert "Secret" not in (page.tree.xpath("//textarea")[0].text or "")


def test_rule_that_applies_is_told_with_its_steps(client: httpx.Client) -> None:
    page = tried(client, picked=STUDY, other="STORESCP", leading="none")
    assert page.status == 200
    ((_, name, result, steps),) = table(page, "Rules, in the order")
    assert name.startswith("Leading DCMQRSCP")
    assert "applies" in result and "ReceivingApplicationEntityTitle=STORESCP" in result
    assert "would ask QRSCP" in steps
    assert "Rules that apply: 1 of 1. Attributes that change: 0." in page.text


def test_condition_that_decided_is_told_with_what_there_is(client: httpx.Client) -> None:
    page = tried(client, study=STUDY, other="OTHER", leading="none")
    ((_, _, result, _),) = table(page, "Rules, in the order")
    assert result == ("does not apply because of ReceivingApplicationEntityTitle=STORESCP; it is OTHER")


def test_answer_of_the_leading_archive_can_be_assumed(client: httpx.Client) -> None:
    answer = "PatientName=Right^Näme\nPatientBirthDate=19700102"
    page = tried(client, study=STUDY, other="STORESCP", leading="assume", answer=answer)
    rows = {row[0].partition(" ")[0]: row[1:] for row in table(page, "Attributes that change")}
    assert rows["PatientName"] == [PATIENT, "Right^Näme", "changed"]
    assert rows["PatientBirthDate"][1] == "19700102"
    assert "assumed" in page.text


def test_archive_that_does_not_know_the_study_can_be_assumed(client: httpx.Client) -> None:
    page = tried(client, study=STUDY, other="STORESCP", leading="assume", answer="")
    assert not table(page, "Attributes that change")
    assert "No attribute changes." in page.text


def test_wrong_line_of_an_answer_is_named_without_its_value(client: httpx.Client) -> None:
    page = tried(client, study=STUDY, other="STORESCP", leading="assume", answer="PatientName=A^B\nNothing=Secret")
    assert page.status == 422
    assert "line 2: expected a keyword or tag, = and a value" in page.text


def test_file_is_tried_and_not_kept(client: httpx.Client, seed: Seed, file: Path) -> None:
    before = seed.objects
    page = tried(client, file=file, other="STORESCP", leading="assume", answer="PatientName=Right^Name")
    assert ["PatientName (0010,0010)", PATIENT, "Right^Name", "changed"] in table(page, "Attributes that change")
    assert seed.objects == before


def test_file_other_than_dicom_is_refused(client: httpx.Client, tmp_path: Path) -> None:
    other = tmp_path / "letter.pdf"
    other.write_bytes(b"%PDF-1.7" + bytes(500))
    page = tried(client, file=other)
    assert page.status == 422
    assert "the file is no DICOM file" in page.text


def test_without_an_object_nothing_is_tried(client: httpx.Client) -> None:
    page = tried(client)
    assert (page.status, "Choose a study or a file." in page.text) == (422, True)


def test_unknown_study_is_told(client: httpx.Client) -> None:
    page = tried(client, study="1.2.3")
    assert (page.status, "the study is not stored here" in page.text) == (422, True)


def test_nothing_of_the_patient_is_in_an_address_or_title(client: httpx.Client) -> None:
    page = tried(client, study=STUDY, other="STORESCP", leading="assume", answer="PatientName=Right^Name")
    assert str(page.answer.url).endswith("/ui/try")
    assert "Name^" not in (page.tree.findtext("head/title") or "")
    links = " ".join(page.tree.xpath("//a/@href"))
    assert "Right" not in links and "Stale" not in links


# A rule that is being edited.


def from_rule(client: httpx.Client, path: str, **typed: str) -> Page:
    return get(client, path).send("try", **typed)


def test_rule_is_tried_as_it_was_typed(client: httpx.Client, seed: Seed) -> None:
    page = from_rule(client, RULE, dcmMergeAttribute="StationName={PatientID}", dcmLeadingCFindSCP="")
    assert page.status == 200
    assert page.tree.xpath("//input[@name='other']/@value") == ["STORESCP"], "as the rule's condition says"
    answer = tried(client, page, study=STUDY)
    assert ["StationName (0008,1010)", "OLD", "STALE-ID", "changed"] in table(answer, "Attributes that change")
    assert "not saved" in answer.text
    assert "StationName" not in (seed.directory / "changes.ldif").read_text()
    assert not table(tried(client, study=STUDY, other="STORESCP", leading="none"), "Attributes that change")


def test_new_rule_is_tried_and_edited_on_without_loss(client: httpx.Client) -> None:
    typed = {
        "cn": "Tried",
        "dcmDIMSE": "C_FIND_RSP",
        "dicomTransferRole": "SCU",
        "dcmURI.scheme": "merge-attrs",
        "dcmURI.specific": "",
        "dcmMergeAttribute": "StudyDescription=X",
    }
    page = from_rule(client, NEW, **typed)
    assert page.tree.xpath("//select[@name='message']/option[@selected]/@value") == ["answered"]
    answer = tried(client, page, study=STUDY)
    assert "Tried" in table(answer, "Rules, in the order")[1][1]
    assert any(row[0].startswith("StudyDescription") and row[2] == "X" for row in table(answer, "Attributes that"))
    back = next(form for form in answer.tree.forms if (form.action or "").startswith("/ui/devices"))
    again = client.post(back.action or "", data={**dict(back.form_values()), "action": "edit"})
    form = Page(client, again).form()
    assert {name: form.fields[name] for name in ("cn", "dcmDIMSE", "dcmURI.scheme")} == {
        name: typed[name] for name in ("cn", "dcmDIMSE", "dcmURI.scheme")
    }
    assert "StudyDescription=X" in again.text


def test_fault_of_the_rule_is_told_at_its_field(client: httpx.Client) -> None:
    page = from_rule(client, RULE, dcmNullifyTag="nonsense")
    assert page.status == 422
    assert "nonsense" in (page.tree.get_element_by_id("e-dcmNullifyTag").text_content())


def test_change_that_a_reload_would_refuse_is_told_at_its_field(client: httpx.Client) -> None:
    page = from_rule(client, RULE, dcmMergeAttribute="StationName={PatientID")
    assert page.status == 422
    assert page.tree.get_element_by_id("e-dcmMergeAttribute").text_content().strip()


def test_change_of_somebody_else_meanwhile_is_to_be_decided_first(client: httpx.Client, seed: Seed) -> None:
    page = from_rule(client, RULE, dcmLeadingCFindSCP="OTHER")
    assert page.status == 200
    seed.set(
        f"cn=Leading DCMQRSCP,{DEVICE}",
        dcmLeadingCFindSCP="THIRD",
    )
    answer = tried(client, page, study=STUDY)
    assert (answer.status, "Somebody else has changed the same attributes in the meantime" in answer.text) == (
        422,
        True,
    )


def test_pending_changes_of_the_directory_are_told(client: httpx.Client, seed: Seed) -> None:
    seed.set(
        DEVICE,
        dcmLeadingCFindSCPQueryCacheSize="7",
    )
    page = from_rule(client, RULE, dcmNullifyTag="00081010")
    assert "further changes that are not in force" in tried(client, page, study=STUDY, leading="none").text


def test_fields_of_no_rule_form_are_left_out(client: httpx.Client) -> None:
    sent = {"study": STUDY, "leading": "none", "rule.device": "dcm4chee-arc", "rule.at": "x", "rule.fields": "ä%ff"}
    answer = client.post("/ui/try", files=[(name, (None, value)) for name, value in sent.items()])
    assert answer.status_code == 200


def test_rule_of_another_device_cannot_be_tried(client: httpx.Client) -> None:
    assert not get(client, "/ui/devices/storescp").tree.xpath("//button[@value='try']")
    assert get(client, RULE).tree.xpath("//button[@value='try']")


class Viewer:
    """Lets everybody in as a viewer."""

    async def identify(self, request: Request) -> Identity:
        return Identity("vera", frozenset({Role.VIEWER}))


def test_viewer_tries_what_is_in_force_alone(client: httpx.Client, seed: Seed) -> None:
    page = from_rule(client, RULE, dcmNullifyTag="00081010")
    configured = Configured(editor_of(seed.site), "dcm4chee-arc")
    with served(app=create_app(seed.service, configured=configured, doorkeeper=Viewer())) as viewer:
        assert tried(viewer, study=STUDY, leading="none").status == 200
        refused = tried(viewer, page, study=STUDY, leading="none")
    assert (refused.status, "Only administrators" in refused.text) == (422, True)


# Bounds.


def test_file_stays_in_memory(client: httpx.Client, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    large = file.parent / "large.dcm"
    large.write_bytes(file.read_bytes() + bytes(3_000_000))
    page = tried(client, file=large, other="STORESCP", leading="none")
    assert page.status in (200, 422)
    assert re.search("Rules that apply|cannot be read", page.text)


def test_too_many_files_at_once_are_refused(client: httpx.Client, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "TRIED_FILES_AT_ONCE", 0)
    answer = tried(client, file=file)
    assert answer.status == 503
