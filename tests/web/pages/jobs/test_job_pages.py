"""Pages of jobs, and the form that begins one: what they show, in both languages, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dcm4py_leading.editing import editor_of
from dcm4py_leading.model.bounds import JOBS_AT_ONCE
from dcm4py_leading.service.jobs.job import Progress
from dcm4py_leading.service.jobs.jobs import Handle, JobFailed
from dcm4py_leading.service.sending.export import ExportOutcome
from dcm4py_leading.service.studies.found import FoundStudy
from tests.fixtures.pages import Page, Reader, Watched, reading
from tests.fixtures.service import AE, Seed
from tests.fixtures.workers import until

STUDY = "1.2.826.0.1.3680043.8.498.79"
SUBJECT = {"ae": "DCM4CHEE", "destination": "STORESCP", "study": STUDY}
SEND = f"/ui/studies/DCM4CHEE/{STUDY}/send"
FOUND = FoundStudy(
    study_instance_uid=STUDY,
    at="",
    attributes={"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}},
)


@pytest.fixture
def reader(seed: Seed) -> Iterator[Reader]:
    service = Watched(studies=[FOUND])
    with reading(editor_of(seed.site), service) as found:
        yield found
    service.jobs.stop(30)


def running(reader: Reader, progress: Progress, *problems: str) -> str:
    """Path of a job that runs until it is cancelled."""

    def work(handle: Handle) -> dict[str, Any]:
        handle.report(progress)
        for problem in problems:
            handle.problem(problem)
        handle.wait(60)
        return {"notSent": 270, "warning": 0}

    job_id = reader.service.jobs.start("send", SUBJECT, "anna", work)
    until(lambda: (job := reader.service.jobs.get(job_id)) is not None and job.progress == progress)
    return f"/ui/jobs/{job_id}"


def over(reader: Reader, path: str) -> None:
    """Wait until the job has ended."""
    job_id = path.rpartition("/")[2]
    until(lambda: (job := reader.service.jobs.get(job_id)) is not None and job.ended_at is not None)


def ended(reader: Reader, work: Callable[[Handle], dict[str, Any]], kind: str = "send") -> str:
    path = f"/ui/jobs/{reader.service.jobs.start(kind, SUBJECT, 'anna', work)}"
    over(reader, path)
    return path


def test_without_jobs_the_page_says_how_to_begin_one(reader: Reader) -> None:
    assert "No job has run since the service started." in reader.get("/ui/jobs").text


def test_a_running_job_shows_how_far_it_is_and_asks_again_by_itself(reader: Reader) -> None:
    path = running(reader, Progress(done=230, of=500, failed=1), "CT ab655c5d3a: the destination gave status 0xA700")
    page = reader.get(path)
    (bar,) = page.tree.xpath("//progress")
    assert (bar.get("value"), bar.get("max")) == ("230", "500")
    assert "running 230 of 500, 1 failed" in page.text
    assert "CT ab655c5d3a: the destination gave status 0xA700" in page.text
    assert page.tree.xpath(f"//a[@href='/ui/studies/DCM4CHEE/{STUDY}']")
    assert page.tree.xpath(f"//*[@hx-get='{path}/live']")
    assert page.tree.xpath(f"//noscript//a[@href='{path}']")
    assert "230 of 500" in reader.get(f"{path}/live").text
    german = reader.get(f"{path}?lang=de")
    assert "läuft 230 von 500, 1 fehlgeschlagen" in german.text
    assert "Senden an STORESCP" in german.tree.xpath("//title")[0].text


def test_a_job_of_unknown_length_has_a_bar_without_an_end(reader: Reader) -> None:
    (bar,) = reader.get(running(reader, Progress(done=3))).tree.xpath("//progress")
    assert (bar.get("value"), bar.get("max")) == (None, None)


def test_a_job_is_cancelled(reader: Reader) -> None:
    path = running(reader, Progress(done=230, of=500))
    assert reader.post(f"{path}/cancel").status == 200
    over(reader, path)
    page = reader.get(path)
    assert "cancelled 230 of 500" in page.text
    assert page.tree.xpath("//dt[text()='Not sent']/following-sibling::dd[1]")[0].text == "270"
    assert not page.tree.xpath("//*[@hx-trigger]")
    assert not page.tree.xpath("//form[contains(@action, 'cancel')]")


def test_a_failed_job_says_why_and_lists_what_failed_before(reader: Reader) -> None:
    def work(handle: Handle) -> dict[str, Any]:
        handle.report(Progress(done=4, of=4, failed=4))
        handle.problem("CT 1: refused")
        raise JobFailed("the destination took no object", result={"failedSOPInstanceUIDs": ["1.2.3"]})

    path = ended(reader, work)
    page = reader.get(path)
    assert page.tree.xpath("//*[@role='alert']")[0].text == "the destination took no object"
    assert [item.text for item in page.tree.xpath("//section//li")] == ["CT 1: refused"]
    assert "3 more failed." in page.text
    assert "the destination took no object" in reader.get("/ui/jobs").text


def test_only_failed_objects_are_sent_again(reader: Reader) -> None:
    reader.service.outcome = ExportOutcome(completed=1, failed=1, failed_sop_instance_uids=("1.2.3",))
    path = ended(reader, lambda _: {"failedSOPInstanceUIDs": ["1.2.3", "1.2.4"]})
    again = reader.post(f"{path}/again")
    assert again.status == 200 and str(again.answer.url.path) != path
    over(reader, str(again.answer.url.path))
    (sent,) = reader.service.sent
    assert (sent.sop_instance_uids, sent.destination) == (("1.2.3", "1.2.4"), "STORESCP")
    assert (sent.study_instance_uid, sent.author) == (STUDY, "loopback")
    nothing = ended(reader, lambda _: {})
    assert not reader.get(nothing).tree.xpath("//form[contains(@action, 'again')]")
    reader.post(f"{nothing}/again")
    assert len(reader.service.sent) == 1


def test_a_kind_that_the_page_does_not_know_is_shown_under_its_name(reader: Reader) -> None:
    path = ended(reader, lambda _: {}, kind="sweep")
    assert reader.get(path).tree.xpath("//h1")[0].text == "sweep"
    assert not reader.get(path).tree.xpath("//form[contains(@action, 'again')]")
    assert reader.post(f"{path}/again").answer.url.path == path


def test_a_comparison_has_a_page_of_its_own(reader: Reader) -> None:
    subject = {"ae": "DCM4CHEE", "leading": "QRSCP"}
    path = f"/ui/jobs/{reader.service.jobs.start('drift', subject, 'anna', lambda _: {})}"
    over(reader, path)
    assert reader.client.get(path, follow_redirects=False).headers["location"] == "/ui/drift/DCM4CHEE"


def test_a_job_that_is_not_known_is_no_page(reader: Reader) -> None:
    assert reader.get("/ui/jobs/nothing").status == 404
    assert reader.post("/ui/jobs/nothing/cancel").status == 404


def options(page: Page, name: str) -> list[str]:
    return [str(value) for value in page.tree.xpath(f"//select[@name='{name}']/option/@value")]


def test_the_form_offers_destinations_and_parts_of_the_study(reader: Reader) -> None:
    page = reader.get(SEND)
    assert "Doe^Jane" in page.text and "Doe^Jane" not in page.tree.xpath("//title")[0].text
    assert options(page, "destination") == ["", "QRSCP", "STORESCP"]
    assert options(page, "series") == ["", f"{STUDY}.1"]
    assert "series 1: CT Knee left" in page.text
    chosen = reader.get(f"{SEND}?series={STUDY}.1&instance={STUDY}.1.1")
    assert chosen.tree.xpath("//select[@name='series']/option[@selected]/@value") == [f"{STUDY}.1"]
    assert chosen.tree.xpath("//input[@name='instance']/@value") == [f"{STUDY}.1.1"]


def test_destinations_that_are_not_accepted_are_named_with_the_reason(seed: Seed, reader: Reader) -> None:
    seed.set(AE, dcmAcceptedMoveDestination="QRSCP")
    page = reader.get(SEND)
    assert options(page, "destination") == ["", "QRSCP"]
    assert "Not allowed by dcmAcceptedMoveDestination of DCM4CHEE (1): STORESCP" in page.text
    seed.set(AE, dcmAcceptedMoveDestination="NOBODY")
    page = reader.get(SEND)
    assert not page.tree.xpath("//form[contains(@action, '/send')]")
    assert "There is no destination for DCM4CHEE" in page.text


def test_sending_begins_a_job_and_shows_it(reader: Reader) -> None:
    page = reader.post(SEND, destination="STORESCP", series=f"{STUDY}.1", instance="1.2.3")
    assert page.answer.url.path.startswith("/ui/jobs/")
    over(reader, page.answer.url.path)
    assert "done 2 of 2" in reader.get(page.answer.url.path).text
    (sent,) = reader.service.sent
    assert sent.series_instance_uid == f"{STUDY}.1"
    assert sent.sop_instance_uids == ("1.2.3",)


def test_form_is_shown_again_with_the_reason_when_nothing_can_be_sent(reader: Reader) -> None:
    for typed, reason in (
        ({}, "Choose a destination"),
        ({"destination": "FORBIDDEN"}, "dcmAcceptedMoveDestination of DCM4CHEE does not list FORBIDDEN"),
    ):
        page = reader.post(SEND, **typed)
        assert page.status == 409
        assert reason in page.tree.xpath("//*[@role='alert']")[0].text
    for _ in range(JOBS_AT_ONCE):
        running(reader, Progress(done=1))
    page = reader.post(SEND, destination="STORESCP")
    assert page.status == 409
    assert f"{JOBS_AT_ONCE} jobs are running" in page.text
    assert reader.service.sent == []


def test_an_object_without_its_series_is_not_taken_for_the_whole_study(reader: Reader) -> None:
    page = reader.post(SEND, destination="STORESCP", instance="1.2.3")
    assert page.status == 409
    assert "choose the series too" in page.text
    assert reader.service.jobs.all() == []


def test_an_ae_that_takes_no_objects_is_refused_with_the_reason(seed: Seed, reader: Reader) -> None:
    store = "dicomAETitle=STORESCP,dicomDeviceName=storescp,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"
    seed.change(
        f"dn: cn=Find,{store}\nchangetype: add\nobjectClass: dicomTransferCapability\ncn: Find\n"
        "dicomSOPClass: 1.2.840.10008.5.1.4.1.2.2.1\ndicomTransferRole: SCP\n"
        "dicomTransferSyntax: 1.2.840.10008.1.2\n"
    )
    page = reader.post(SEND, destination="STORESCP")
    assert page.status == 409
    assert "STORESCP has transfer capabilities" in page.text


def test_a_study_that_is_not_there_is_no_page(reader: Reader) -> None:
    assert reader.get(SEND.replace(STUDY, "1.2.3")).status == 404
