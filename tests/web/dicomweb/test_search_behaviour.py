"""QIDO-RS when things change or fail: paging while objects are stored, rules, outages, bounds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from dcm4py_leading.model import bounds
from dcm4py_leading.model.options import parse_options
from dcm4py_leading.service.find import parts
from dcm4py_leading.web.app import create_app
from dcm4py_leading.web.http.addresses import PublicUrl
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.many_studies import fill
from tests.fixtures.pacs import Received, ScriptedPacs
from tests.fixtures.proxy import QUERY_RULE, stand_in_front_of
from tests.fixtures.scripted import LeadingScp, matches_keys
from tests.fixtures.scu import store
from tests.fixtures.service import AE, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.74"
STUDIES = "/dcm4chee-arc/aets/DCM4CHEE/rs/studies"


@contextmanager
def asked(seed: Seed, public_url: PublicUrl | None = None) -> Iterator[httpx.Client]:
    """A client to the service, which is started."""
    with served(app=create_app(seed.start(), public_url=public_url)) as client:
        yield client


def keep(seed: Seed, directory: Path, number: int, **attributes: Any) -> None:
    """Store a study of one object."""
    files = make_study(
        directory / str(number),
        patient_id=f"P{number}",
        patient_name="Old^Name",
        study_uid=f"{STUDY}.{number}",
        instances=1,
        attributes={"StudyDate": "20200101", "StudyTime": "120000", **attributes},
    )
    assert store(seed.archive_port, files) == [0x0000]


def found(answer: httpx.Response) -> list[tuple[str, str]]:
    if answer.status_code == 204:
        return []
    assert answer.status_code == 200, answer.text
    return [
        (row["0020000D"]["Value"][0].rpartition(".")[2], row["00100010"]["Value"][0]["Alphabetic"])
        for row in answer.json()
    ]


def test_pages_with_ties_neither_lose_nor_repeat_while_objects_are_stored(seed: Seed, tmp_path: Path) -> None:
    with asked(seed) as http:
        for number in range(10):
            keep(seed, tmp_path, number)
        pages: list[str] = []
        for offset in range(0, 14, 3):
            pages += [uid for uid, _ in found(http.get(f"{STUDIES}?limit=3&offset={offset}"))]
            if offset < 9:
                keep(seed, tmp_path, 10 + offset)
        assert len(pages) == len(set(pages))
        assert {str(number) for number in range(10)} <= set(pages)
        ordered = [
            uid
            for offset in range(0, 13, 2)
            for uid, _ in found(http.get(f"{STUDIES}?orderby=StudyDate&limit=2&offset={offset}"))
        ]
        assert len(ordered) == len(set(ordered)) == 13


@pytest.mark.slow
def test_small_pages_of_many_studies_with_ties(seed: Seed, tmp_path: Path) -> None:
    fill(seed.data_dir, 2500)
    with asked(seed) as http:
        pages: list[str] = []
        for offset in range(0, 2500, 7):
            answer = http.get(f"{STUDIES}?orderby=PatientBirthDate&limit=7&offset={offset}")
            pages += [row["0020000D"]["Value"][0] for row in answer.json()]
        assert len(pages) == len(set(pages)) == 2500
        assert http.get(f"{STUDIES}/count").json() == {"count": 2500}


def test_rules_see_the_client_and_the_ae_of_the_url(seed: Seed, tmp_path: Path) -> None:
    seed.set(AE, dcmOtherAETitle="ALIAS")
    seed.change(f"""
dn: cn=Web,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: Web
dcmDIMSE: C_FIND_RSP
dicomTransferRole: SCU
dcmProperty: SendingHostname=127.0.0.1
dcmProperty: SendingApplicationEntityTitle!=.*
dcmProperty: ReceivingApplicationEntityTitle=ALIAS
dcmMergeAttribute: PatientName=By^Alias
""")
    with asked(seed) as http:
        keep(seed, tmp_path, 0)
        assert found(http.get(STUDIES)) == [("0", "Old^Name")]
        alias = http.get(STUDIES.replace("DCM4CHEE", "ALIAS"))
        assert found(alias) == [("0", "By^Alias")]
        assert "/aets/ALIAS/rs/" in alias.json()[0]["00081190"]["Value"][0]
        patients = http.get(STUDIES.replace("DCM4CHEE", "ALIAS").replace("studies", "patients")).json()
        assert patients[0]["00100010"]["Value"] == [{"Alphabetic": "Old^Name"}]


def test_urls_are_public(seed: Seed, tmp_path: Path) -> None:
    with asked(seed, PublicUrl.parse("https://archive.example")) as http:
        keep(seed, tmp_path, 0)
        url = http.get(STUDIES).json()[0]["00081190"]["Value"][0]
    assert url == f"https://archive.example{STUDIES}/{STUDY}.0"


def test_line_and_count_have_no_patient_data(seed: Seed, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with asked(seed) as http, caplog.at_level(logging.INFO):
        keep(seed, tmp_path, 0)
        caplog.clear()
        http.get(f"{STUDIES}/{STUDY}.0/series?PatientName=Old*")
        told = [record.getMessage() for record in caplog.records if record.name.startswith("dcm4py_leading")]
        (line,) = [text for text in told if text.startswith("QIDO-RS")]
        assert "from=127.0.0.1 user=loopback to=DCM4CHEE status=0x0000 level=SERIES study=" in line
        assert "matches=1" in line and "leading=-" in line
        assert not any(STUDY in text or "Old" in text for text in told)
        assert seed.service.measure().requests["QIDO-RS", "DCM4CHEE", 0x0000] == 1


def leading_study(number: int, name: str) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID, ds.PatientName, ds.PatientID = f"{STUDY}.{number}", name, f"P{number}"
    ds.IssuerOfPatientID = None
    ds.StudyDate, ds.AccessionNumber = "20200101", ""
    return ds


@pytest.fixture
def leading(seed: Seed) -> Iterator[LeadingScp]:
    """A leading archive in which the studies have other names, in another order."""
    seed.lead()
    seed.change(QUERY_RULE)
    studies = [leading_study(0, "Zeta^New"), leading_study(1, "Alpha^New"), leading_study(2, "Mid^New")]
    scp = LeadingScp(seed.leading_port, matches_keys(*studies))
    yield scp
    scp.stop()


def test_every_row_has_the_leading_values_of_one_question(seed: Seed, leading: LeadingScp, tmp_path: Path) -> None:
    with asked(seed) as http:
        for number in range(3):
            keep(seed, tmp_path, number)
        leading.queries.clear()
        assert found(http.get(STUDIES)) == [("0", "Zeta^New"), ("1", "Alpha^New"), ("2", "Mid^New")]
        assert len(leading.queries) == 1
        # Sorted and matched by what the archive has.
        assert [uid for uid, _ in found(http.get(f"{STUDIES}?orderby=PatientName"))] == ["0", "1", "2"]
        assert found(http.get(f"{STUDIES}?PatientName=Alpha*")) == []


def test_leading_first_sorts_and_matches_by_what_is_delivered(seed: Seed, leading: LeadingScp, tmp_path: Path) -> None:
    seed.options = parse_options(["leading-first=true"])
    with asked(seed) as http:
        for number in range(3):
            keep(seed, tmp_path, number)
        by_name = [("1", "Alpha^New"), ("2", "Mid^New"), ("0", "Zeta^New")]
        assert found(http.get(f"{STUDIES}?orderby=PatientName")) == by_name
        assert found(http.get(f"{STUDIES}?orderby=-PatientName&limit=1&offset=1")) == by_name[1:2]
        assert found(http.get(f"{STUDIES}?PatientName=*New&orderby=PatientName")) == by_name
        assert found(http.get(f"{STUDIES}?PatientName=Old*")) == []
        assert found(http.get(f"{STUDIES}?PatientName=Alpha*")) == [("1", "Alpha^New")]
        assert http.get(f"{STUDIES}/count?PatientName=*New").json() == {"count": 3}
        patients = http.get(f"{STUDIES.removesuffix('studies')}patients?PatientName=Mid*").json()
        assert [row["00100020"]["Value"] for row in patients] == [["P2"]]


def test_leading_archive_that_is_down_leaves_the_archives_own_values(seed: Seed, tmp_path: Path) -> None:
    seed.lead()
    seed.change(QUERY_RULE)
    with asked(seed) as http:
        keep(seed, tmp_path, 0)
        assert found(http.get(STUDIES)) == [("0", "Old^Name")]


def pacs_study(number: int) -> Dataset:
    ds = leading_study(number, f"Name^{(number * 7) % 10}")
    ds.QueryRetrieveLevel = "STUDY"
    return ds


@contextmanager
def in_front_of(seed: Seed, script: Any) -> Iterator[httpx.Client]:
    """A client to the service in front of a PACS that answers as the script does."""
    with ExitStack() as running:
        pacs = ScriptedPacs(seed.archive_port, find=script)
        running.callback(pacs.stop)
        stand_in_front_of(seed, pacs.port)
        yield running.enter_context(asked(seed))


def answers(received: Received) -> None:
    for number in (3, 1, 0, 2):
        received.respond(0xFF00, pacs_study(number))
    received.respond(0x0000)


def test_parts_of_another_archive_are_cut_in_one_order(seed: Seed) -> None:
    with in_front_of(seed, answers) as http:
        assert [uid for uid, _ in found(http.get(STUDIES))] == ["3", "1", "0", "2"]
        first, second = (http.get(f"{STUDIES}?limit=2&offset={offset}") for offset in (0, 2))
        assert [uid for uid, _ in found(first) + found(second)] == ["0", "1", "2", "3"]
        assert "There are 2 additional" in first.headers["warning"]
        assert "warning" not in second.headers
        assert [uid for uid, _ in found(http.get(f"{STUDIES}?orderby=-PatientName"))] == ["1", "2", "3", "0"]
        assert http.get(f"{STUDIES}/count").json() == {"count": 4}


def test_archive_that_is_gone_in_the_middle_ends_the_connection(seed: Seed) -> None:
    def lost(received: Received) -> None:
        for number in range(150):
            received.respond(0xFF00, pacs_study(number))
        received.abort()

    with in_front_of(seed, lost) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            http.get(STUDIES)
        assert http.get(f"{STUDIES}?limit=5").status_code == 503


def test_archive_that_fails_at_once_is_unavailable(seed: Seed) -> None:
    with in_front_of(seed, lambda received: received.respond(0xC001)) as http:
        answer = http.get(STUDIES)
        assert answer.status_code == 503
        assert "PACS" in answer.json()["errorMessage"]


def test_client_that_is_gone_cancels_the_query(seed: Seed) -> None:
    cancelled: list[bool] = []

    def endless(received: Received) -> None:
        number = 0
        while not received.pacs.pause.is_set() and not received.is_cancelled:
            received.respond(0xFF00, pacs_study(number))
            number += 1
        cancelled.append(received.await_cancel())
        received.respond(0xFE00)

    with in_front_of(seed, endless) as http:
        with http.stream("GET", STUDIES) as answer:
            next(answer.iter_raw())
        for thread in threading.enumerate():
            if thread.name == "search":
                thread.join(60)
        assert seed.service.measure().requests["QIDO-RS", "DCM4CHEE", 0xFE00] == 1
    assert cancelled == [True]


def test_more_than_can_be_sorted_is_refused(seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SORTED_MATCHES", 3)
    assert bounds.SORTED_MATCHES > 3
    with in_front_of(seed, answers) as http:
        assert http.get(f"{STUDIES}?orderby=PatientName").status_code == 413
        assert len(found(http.get(f"{STUDIES}?orderby=PatientName&limit=2"))) == 2


def test_too_broad_a_search_is_refused(seed: Seed, tmp_path: Path) -> None:
    seed.set(AE, dcmQueryMaxNumberOfResults="2")
    with asked(seed) as http:
        for number in range(3):
            keep(seed, tmp_path, number)
        answer = http.get(f"{STUDIES}?limit=1")
        assert answer.status_code == 413
        assert "dcmQueryMaxNumberOfResults" in answer.json()["errorMessage"]
        assert len(found(http.get(f"{STUDIES}?PatientID=P2"))) == 1


@pytest.mark.ldap("dcmQidoMaxNumberOfResults")
def test_answer_holds_so_many_and_tells_of_the_others(seed: Seed, tmp_path: Path) -> None:
    seed.set(AE, dcmQidoMaxNumberOfResults="2")
    with asked(seed) as http:
        for number in range(3):
            keep(seed, tmp_path, number)
        answer = http.get(STUDIES)
        assert len(found(answer)) == len(found(http.get(f"{STUDIES}?limit=3"))) == 2
        assert "There are 1 additional" in answer.headers["warning"]
        assert len(found(http.get(f"{STUDIES}?offset=2"))) == len(found(http.get(f"{STUDIES}?limit=1"))) == 1
        assert http.get(f"{STUDIES}/count").json() == {"count": 3}


def test_ae_in_front_passes_paths_on(seed: Seed) -> None:
    keys: list[Dataset] = []

    def one(received: Received) -> None:
        keys.append(received.identifier)
        received.respond(0xFF01, pacs_study(0))
        received.respond(0x0000)

    seed.set(AE, dcmSpanningCFindSCPPolicy="REPLACE")
    with in_front_of(seed, one) as http:
        answer = http.get(f"{STUDIES}?RequestAttributesSequence.ScheduledProcedureStepID=A&Rows=512")
        assert found(answer) == [("0", "Name^0")]
        assert "does not support" in answer.headers["warning"]
    assert keys[0].RequestAttributesSequence[0].ScheduledProcedureStepID == "A"
    assert keys[0].Rows == 512
