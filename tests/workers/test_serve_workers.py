"""``serve --workers N``, with real processes: shared listeners, one configuration, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from pydicom import Dataset

from tests.fixtures.datasets import make_study
from tests.fixtures.pages import Page
from tests.fixtures.ports import free_port
from tests.fixtures.raw_echo import ACCEPTED, DATA, ECHO, REJECTED, RELEASE, RELEASED, RawAssociation
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import echoes, identifier, move, store
from tests.fixtures.service import CONNECTION, DEVICE, Seed
from tests.fixtures.workers import Serve, Served, kill, occupy, until, until_replaced

STUDY = "1.2.826.0.1.3680043.8.498.71"


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Connections that are closed after the test."""
    with ExitStack() as stack:
        yield stack


def test_all_workers_take_associations_and_their_sum_is_told(seed: Seed, serve: Serve, running: ExitStack) -> None:
    served = serve(2)
    opened = occupy(seed, served, running)
    assert served.state()["associations"] == len(opened)
    assert served.metric("dcm4py_open_associations") == len(opened)
    assert served.metric("dcm4py_workers") == 2
    assert served.metric("dcm4py_worker_restarts_total") == 0


def test_a_second_service_does_not_share_the_port(seed: Seed, serve: Serve) -> None:
    serve(2)
    with ExitStack() as running:
        second = Served(seed, running, workers=2)
        assert second.process.wait(60) == 1
        assert "dicomPort" in second.told() and str(seed.archive_port) in second.told()
    assert echoes(seed.archive_port)


def test_a_reload_reaches_every_worker_with_a_new_port_and_closes_the_old_one(
    seed: Seed, serve: Serve, running: ExitStack
) -> None:
    served = serve(2)
    old_port, seed.archive_port = seed.archive_port, free_port()
    seed.set(CONNECTION, dicomPort=str(seed.archive_port))
    assert served.http.post("/dcm4chee-arc/ctrl/reload").status_code == 204
    occupy(seed, served, running)
    with pytest.raises(ConnectionRefusedError):
        RawAssociation(old_port)


def test_a_bad_reload_changes_no_worker(seed: Seed, serve: Serve, running: ExitStack) -> None:
    served = serve(2)
    before = served.state()["configuration"]
    seed.set(DEVICE, dcmLimitOpenAssociations="many")
    answer = served.http.post("/dcm4chee-arc/ctrl/reload")
    assert answer.status_code == 409
    assert [problem["attribute"] for problem in answer.json()["problems"]] == ["dcmLimitOpenAssociations"]
    assert served.state()["configuration"] == before
    assert served.metric("dcm4py_configuration_last_reload_successful") == 0
    occupy(seed, served, running)


def test_a_worker_started_later_has_the_configuration_in_force_and_not_a_newer_one(
    seed: Seed, serve: Serve, running: ExitStack
) -> None:
    served = serve(2)
    seed.set(DEVICE, dcmLimitOpenAssociations="many")  # in the directory, but never in force
    victim, other = served.pids()
    kill(victim)
    until_replaced(served, [victim])
    occupy(seed, served, running)
    assert other in served.pids()


@pytest.mark.ldap("dcmLimitOpenAssociations")
def test_the_limit_of_open_associations_holds_over_all_workers(seed: Seed, serve: Serve, running: ExitStack) -> None:
    seed.set(DEVICE, dcmLimitOpenAssociations="20")
    served = serve(2)
    opened = []
    for _ in range(20):
        opened.append(running.enter_context(closing(RawAssociation(seed.archive_port))))
        assert opened[-1].receive()[0] == ACCEPTED
    for _ in range(10):
        with closing(RawAssociation(seed.archive_port)) as surplus:
            assert surplus.receive() == (REJECTED, bytes((0, 2, 3, 2)))
    for association in opened:
        association.socket.sendall(RELEASE)
        assert association.receive()[0] == RELEASED
    until(lambda: served.state()["associations"] == 0)
    assert echoes(seed.archive_port)


def simultaneously(port: int, count: int, running: ExitStack) -> tuple[list[RawAssociation], list[bytes]]:
    """So many associations requested before the first answer is read: those accepted, and what the others got."""
    requested = [running.enter_context(closing(RawAssociation(port))) for _ in range(count)]
    answers = [(association, *association.receive()) for association in requested]
    assert {kind for _, kind, _ in answers} <= {ACCEPTED, REJECTED}
    accepted = [association for association, kind, _ in answers if kind == ACCEPTED]
    return accepted, [content for _, kind, content in answers if kind == REJECTED]


def test_200_simultaneous_associations_all_get_their_answers(seed: Seed, serve: Serve, running: ExitStack) -> None:
    serve(2)
    accepted, rejected = simultaneously(seed.archive_port, 200, running)
    assert (len(accepted), rejected) == (200, [])
    for message, answer in ((ECHO, DATA), (RELEASE, RELEASED)):
        for association in accepted:
            association.socket.sendall(message)
        assert {association.receive()[0] for association in accepted} == {answer}


@pytest.mark.ldap("dcmLimitOpenAssociations")
def test_associations_above_the_limit_are_rejected_for_now(seed: Seed, serve: Serve, running: ExitStack) -> None:
    seed.set(DEVICE, dcmLimitOpenAssociations="50")
    serve(2)
    accepted, rejected = simultaneously(seed.archive_port, 200, running)
    assert 40 <= len(accepted) <= 50
    assert set(rejected) == {bytes((0, 2, 3, 2))}
    for association in accepted:
        association.socket.sendall(ECHO)
    assert {association.receive()[0] for association in accepted} == {DATA}


def test_a_dropped_answer_is_dropped_in_every_worker(
    seed: Seed,
    serve: Serve,
    running: ExitStack,
    tmp_path: Path,
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
) -> None:
    seed.lead()
    served = serve(2)
    store(seed.archive_port, make_study(tmp_path / "s", patient_id="P", patient_name="Stale^Name", study_uid=STUDY))
    study = Dataset()
    study.StudyInstanceUID = STUDY
    study.PatientName = "Right^Name"
    study.PatientID = "RIGHT-ID"
    viewer(seed.viewer_port)
    leading_scp(seed.leading_port, knows(study))

    def cached() -> float:
        return served.metric("dcm4py_leading_cache_answers")

    def retrieve_until_every_worker_knows() -> bool:
        final, _ = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1]
        if cached() < 2:  # an association that stays open leaves the next retrieve to the other worker
            assert running.enter_context(closing(RawAssociation(seed.archive_port))).receive()[0] == ACCEPTED
        return final.Status == 0x0000 and cached() == 2

    until(retrieve_until_every_worker_knows)
    assert [entry["studyInstanceUID"] for entry in served.http.get("/leading-cache").json()] == [STUDY]
    explained = served.http.get(f"/dcm4py-leading/explain/{STUDY}", params={"dimse": "C_STORE_RQ", "role": "SCP"})
    assert explained.status_code == 200
    assert served.http.delete(f"/leading-cache/{STUDY}").json() == {"dropped": 2}
    assert cached() == 0


def test_a_rule_that_is_not_saved_is_tried_by_a_worker(seed: Seed, serve: Serve, tmp_path: Path) -> None:
    seed.lead()
    served = serve(2)
    store(seed.archive_port, make_study(tmp_path / "s", patient_id="P", patient_name="Stale^Name", study_uid=STUDY))
    rule = Page(served.http, served.http.get("/ui/devices/dcm4chee-arc/entry?at=cn%3DLeading%20DCMQRSCP"))
    typed = rule.send("try", dcmLeadingCFindSCP="", dcmMergeAttribute="StationName={PatientID}")
    form = next(form for form in typed.tree.forms if form.get("enctype"))
    fields = {**dict(form.form_values()), "study": STUDY, "leading": "none"}
    answer = served.http.post("/ui/try", files=[(name, (None, value)) for name, value in fields.items()])
    told = Page(served.http, answer).text
    assert answer.status_code == 200, told
    assert "Rules that apply: 1 of 1. Attributes that change: 1." in told
    assert "StationName (0008,1010)" in told
