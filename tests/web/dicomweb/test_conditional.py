"""Conditional requests: a client that has the answer is told so, until any attribute of it is another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset
from starlette.requests import Request

from dcm4py_leading.model.options import parse_options
from dcm4py_leading.web.app import create_app
from dcm4py_leading.web.dicomweb.conditional import Validators
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.proxy import QUERY_RULE
from tests.fixtures.scripted import LeadingScp, matches_keys
from tests.fixtures.scu import store
from tests.fixtures.service import Seed
from tests.fixtures.workers import until

STUDY = "1.2.826.0.1.3680043.8.498.77"
PATH = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}"
OBJECT_RULE = (
    QUERY_RULE.replace("C_FIND_RSP", "C_STORE_RQ")
    .replace("dicomTransferRole: SCU", "dicomTransferRole: SCP")
    .replace("Query", "Object")
)
ANY = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


# -- by themselves --------------------------------------------------------------------------------------------------


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.5]


@pytest.fixture
def judge(now: list[float]) -> Callable[..., tuple[int | None, str | None]]:
    validators = Validators(lambda: now[0])

    def judged(validator: str, path: str = "/a", **headers: str) -> tuple[int | None, str | None]:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": raw, "server": ("a", 1)}
        found = validators.judge(Request(scope), validator)
        return found.status, found.headers.get("Last-Modified")

    return judged


@pytest.mark.parametrize(
    ("headers", "status"),
    (
        ({"if_none_match": 'W/"one"'}, 304),
        ({"if_none_match": '"other", "one"'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": 'W/"other"'}, None),
        ({"if_none_match": "one"}, None),
        ({"if_none_match": 'W/"other"', "if_modified_since": formatdate(2e9, usegmt=True)}, None),
        ({"if_modified_since": formatdate(2e9, usegmt=True)}, None),
        ({"if_modified_since": formatdate(1_000_000, usegmt=True)}, None),
        ({"if_modified_since": formatdate(1, usegmt=True)}, None),
        ({"if_modified_since": "yesterday"}, None),
        ({"if_match": "*"}, None),
        ({"if_match": '"one"'}, 412),
        ({"if_unmodified_since": formatdate(1, usegmt=True)}, 412),
        ({"if_unmodified_since": formatdate(2e9, usegmt=True)}, None),
    ),
)
def test_conditions(judge, headers: dict[str, str], status: int | None) -> None:
    assert judge("one", **headers)[0] == status


def test_answer_without_validator_meets_no_condition(judge) -> None:
    assert judge("", if_none_match="*") == (None, None)
    assert judge("", if_modified_since=formatdate(2e9, usegmt=True)) == (None, None)
    assert judge("", if_match="*")[0] == 412


def test_last_modified_is_when_the_answer_became_another(judge, now: list[float]) -> None:
    assert judge("one") == (None, None)  # within the second it may change again
    now[0] += 10
    told = formatdate(1_000_001, usegmt=True)
    assert judge("one") == (None, told)
    assert judge("one", if_modified_since=told) == (304, told)
    assert judge("one", path="/b", if_modified_since=told)[0] is None
    assert judge("two", if_modified_since=told) == (None, None)
    now[0] += 10
    assert judge("one", if_modified_since=told) == (None, None)  # it has been another in between


# -- through the service --------------------------------------------------------------------------------------------


def leading_study(name: str) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID, ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = STUDY, name, "P1", None
    return ds


@pytest.fixture
def current() -> Dataset:
    """Attributes of the study in the leading archive."""
    return leading_study("New^Name")


@pytest.fixture
def http(seed: Seed, current: Dataset, tmp_path: Path) -> Iterator[httpx.Client]:
    seed.lead()
    seed.change(OBJECT_RULE)
    leading = LeadingScp(seed.leading_port, matches_keys(current))
    with served(app=create_app(seed.start())) as client:
        files = make_study(tmp_path / "study", patient_id="P1", patient_name="Old^Name", study_uid=STUDY, instances=2)
        assert store(seed.archive_port, files) == [0x0000] * 2
        yield client
    leading.stop()


def resources(http: httpx.Client) -> list[str]:
    """Paths of objects, metadata, and a frame."""
    one = http.get(f"{PATH}/metadata").json()[0]
    instance = f"{PATH}/series/{one['0020000E']['Value'][0]}/instances/{one['00080018']['Value'][0]}"
    return [PATH, f"{PATH}/metadata", instance, f"{instance}/frames/1"]


def test_leading_name_that_changes_ends_what_the_client_has(
    http: httpx.Client, seed: Seed, current: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    paths = resources(http)
    accepts = [ANY if "metadata" not in path and "frames" not in path else {} for path in paths]
    tags = []
    for path, accept in zip(paths, accepts, strict=True):
        answer = http.get(path, headers=accept)
        assert answer.status_code == 200
        tags.append(answer.headers["etag"])
        again = http.get(path, headers={**accept, "If-None-Match": tags[-1]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tags[-1])
    until(lambda: caplog.text.count("sent=head") == len(paths))
    assert "connection lost" not in caplog.text
    assert len(set(tags)) == len(tags)
    current.PatientName = "Newer^Name"
    seed.service.drop_answers(None)
    for path, accept, tag in zip(paths, accepts, tags, strict=True):
        answer = http.get(path, headers={**accept, "If-None-Match": tag})
        assert answer.status_code == 200
        assert b"Newer^Name" in answer.content or "frames" in path
        assert answer.headers["etag"] != tag


def test_what_else_decides_is_in_the_validator(http: httpx.Client, seed: Seed, tmp_path: Path) -> None:
    def tag(**headers: str) -> str:
        found: str = http.get(PATH, headers={**ANY, **headers}).headers["etag"]
        return found

    known = {tag(), tag(Accept="application/dicom"), tag(Accept="multipart/related; type=application/dicom")}
    assert len(known) == 2
    more = make_study(tmp_path / "more", patient_id="P1", patient_name="Old^Name", study_uid=STUDY, instances=3)
    assert store(seed.archive_port, more[2:]) == [0x0000]
    known.add(tag())
    assert len(known) == 3
    seed.change(OBJECT_RULE.replace("cn=", "cn=One more ", 1).replace("cn: ", "cn: One more ", 1))
    seed.service.reload()
    known.add(tag())
    assert len(known) == 4


def test_rule_that_names_another_study_leaves_no_validator(http: httpx.Client, seed: Seed) -> None:
    other = OBJECT_RULE.replace("dcmLeadingCFindSCP: QRSCP", "dcmMergeAttribute: StudyInstanceUID=1.2.3")
    seed.change(other.replace("Leading", "Another"))
    seed.service.reload()
    answer = http.get(PATH, headers=ANY)
    assert answer.status_code == 200
    assert "etag" not in answer.headers


def test_metadata_are_made_once_for_an_answer(
    http: httpx.Client, seed: Seed, current: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = http.get(f"{PATH}/metadata").json()
    for path in seed.objects:
        path.write_bytes(path.read_bytes().replace(b"Old^Name", b"Odd^Name"))
    assert http.get(f"{PATH}/metadata").json() == first
    current.PatientName = "Newer^Name"
    seed.service.drop_answers(None)
    names = [row["00100010"]["Value"] for row in http.get(f"{PATH}/metadata").json()]
    assert names == [[{"Alphabetic": "Newer^Name"}]] * 2


def test_head_reads_no_more_than_the_first_object(http: httpx.Client, seed: Seed) -> None:
    for path in (PATH, f"{PATH}/metadata", f"{PATH.rpartition('/')[0]}?StudyInstanceUID={STUDY}"):
        answer = http.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    assert http.head(PATH).headers["etag"] == http.get(PATH).headers["etag"]


def test_object_that_tells_the_time_has_no_validator(seed: Seed, tmp_path: Path) -> None:
    seed.options = parse_options(["original-attributes-on-retrieve=true"])
    with served(app=create_app(seed.start())) as client:
        files = make_study(tmp_path / "study", patient_id="P1", patient_name="Old^Name", study_uid=STUDY, instances=1)
        assert store(seed.archive_port, files) == [0x0000]
        answer = client.get(PATH, headers=ANY)
    assert answer.status_code == 200
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
