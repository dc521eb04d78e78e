"""Queries to several archives as one: who is asked first, what is told once, and what a failure costs."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import pytest
from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import encode
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.query import parse_query
from dcm4py_leading.errors import ArchiveUnavailable, IndexUnavailable
from dcm4py_leading.model.archive import SpanningPolicy
from dcm4py_leading.model.values import InformationModel
from dcm4py_leading.service.query_archive import ArchiveQuery, SpanningQueryArchive
from tests.fixtures.archive import make_identifier
from tests.fixtures.rules import application_entity

MERGE, REPLACE, SUPPLEMENT = SpanningPolicy.MERGE, SpanningPolicy.REPLACE, SpanningPolicy.SUPPLEMENT


class Archive:
    """Answers every query with the same matches, and then with an error where there is one."""

    gives_parts = False

    def __init__(self, name: str, *matches: Dataset, error: Exception | None = None) -> None:
        self._rows = [Match(encoded_attributes=(encode(ds),), computed={0x00080054: name}) for ds in matches]
        self._error = error
        self.is_closed = False
        self.asked = 0

    def count(self, asked: ArchiveQuery, *, most: int | None = None) -> int | None:
        return len(self._rows)

    def matches(self, asked: ArchiveQuery, *, fetch_size: int) -> Generator[Match]:
        self.asked += 1
        try:
            yield from self._rows
            if self._error is not None:
                raise self._error
        finally:
            self.is_closed = True


def asked(level: str = "STUDY", model: InformationModel = InformationModel.STUDY_ROOT, **keys: object) -> ArchiveQuery:
    identifier = make_identifier(level, **keys)
    return ArchiveQuery(
        query=parse_query(identifier, model, relational=True),
        keys=identifier,
        sop_class_uid="1.2.840.10008.5.1.4.1.2.2.1",
        relational=True,
        local_ae=application_entity(),
    )


def studies(*numbers: int) -> list[Dataset]:
    return [make_identifier("STUDY", StudyInstanceUID=f"1.2.{number}") for number in numbers]


def matches_of(spanning: SpanningQueryArchive, query: ArchiveQuery) -> Iterator[Match]:
    """Its matches, as they come; nobody is slow here."""
    for match in spanning.matches(query, fetch_size=10):
        assert isinstance(match, Match)
        yield match


def told(spanning: SpanningQueryArchive, query: ArchiveQuery) -> list[tuple[str, object]]:
    """Study and archive of each match."""
    return [(match.attributes.StudyInstanceUID, match.computed[0x00080054]) for match in matches_of(spanning, query)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (SUPPLEMENT, [("1.2.1", "own"), ("1.2.2", "own"), ("1.2.3", "other")]),
        (MERGE, [("1.2.2", "other"), ("1.2.3", "other"), ("1.2.1", "own")]),
        (REPLACE, [("1.2.2", "other"), ("1.2.3", "other")]),
    ],
)
def test_policy_decides_order_and_each_match_comes_once(
    policy: SpanningPolicy, expected: Sequence[tuple[str, str]]
) -> None:
    own, other = Archive("own", *studies(1, 2)), Archive("other", *studies(2, 3, 2))
    assert told(SpanningQueryArchive(own, [other], policy), asked()) == expected
    assert own.asked == (policy is not REPLACE)


@pytest.mark.parametrize("policy", [SUPPLEMENT, MERGE])
def test_own_matches_come_before_the_failure_of_the_other_archive(policy: SpanningPolicy) -> None:
    own, other = Archive("own", *studies(1, 2)), Archive("other", error=ArchiveUnavailable("PACS is down"))
    seen = []
    with pytest.raises(ArchiveUnavailable, match="PACS is down"):
        for match in matches_of(SpanningQueryArchive(own, [other], policy), asked()):
            seen.append(match.attributes.StudyInstanceUID)
    assert seen == ["1.2.1", "1.2.2"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (SUPPLEMENT, [("1.2.1", "own"), ("1.2.2", "first"), ("1.2.3", "first"), ("1.2.4", "second")]),
        (MERGE, [("1.2.2", "first"), ("1.2.3", "first"), ("1.2.4", "second"), ("1.2.1", "own")]),
        (REPLACE, [("1.2.2", "first"), ("1.2.3", "first"), ("1.2.4", "second")]),
    ],
)
def test_several_others_are_asked_in_their_order(policy: SpanningPolicy, expected: Sequence[tuple[str, str]]) -> None:
    others = [Archive("first", *studies(2, 3)), Archive("second", *studies(3, 4, 2))]
    assert told(SpanningQueryArchive(Archive("own", *studies(1)), others, policy), asked()) == expected


def test_matches_of_later_archives_come_before_the_failure_of_an_earlier_one() -> None:
    first = Archive("first", *studies(1), error=ArchiveUnavailable("PACS_A is down", status=0xA700))
    second = Archive("second", *studies(1, 2), error=ArchiveUnavailable("PACS_B is down"))
    third = Archive("third", *studies(3))
    seen = []
    with pytest.raises(ArchiveUnavailable, match="PACS_A is down") as failure:
        for match in matches_of(SpanningQueryArchive(Archive("own"), [first, second, third], REPLACE), asked()):
            seen.append(match.attributes.StudyInstanceUID)
    assert seen == ["1.2.1", "1.2.2", "1.2.3"]
    assert failure.value.status == 0xA700


def test_nobody_else_is_asked_when_the_client_waits_no_more() -> None:
    first, second = Archive("first", *studies(1)), Archive("second", *studies(2))
    query = replace(asked(), is_over=lambda: first.asked > 0)
    assert told(SpanningQueryArchive(Archive("own"), [first, second], REPLACE), query) == [("1.2.1", "first")]
    assert not second.asked


def test_first_of_two_failures_is_reported() -> None:
    own, other = Archive("own", error=IndexUnavailable("index")), Archive("other", error=ArchiveUnavailable("PACS"))
    with pytest.raises(IndexUnavailable, match="index"):
        told(SpanningQueryArchive(own, [other], SUPPLEMENT), asked())


def test_an_archive_is_let_go_when_nobody_wants_more() -> None:
    own, other = Archive("own", *studies(1, 2)), Archive("other", *studies(3))
    matches = SpanningQueryArchive(own, [other], SUPPLEMENT).matches(asked(), fetch_size=10)
    next(matches)
    matches.close()
    assert own.is_closed and not other.asked


def test_patients_are_told_apart_by_their_issuer_too() -> None:
    def patient(**values: str) -> Dataset:
        return make_identifier("PATIENT", PatientID="P1", **values)

    own = Archive("own", patient(IssuerOfPatientID="A"))
    other = Archive("other", patient(IssuerOfPatientID="A"), patient(IssuerOfPatientID="B"))
    query = asked("PATIENT", InformationModel.PATIENT_ROOT)
    matches = list(matches_of(SpanningQueryArchive(own, [other], SUPPLEMENT), query))
    assert [match.computed[0x00080054] for match in matches] == ["own", "other"]


def test_the_other_archive_is_asked_with_the_keys_of_the_client() -> None:
    identifier = asked(PatientID="P*", StudyDescription="", StudyInstanceUID="").identifier()
    assert (identifier.QueryRetrieveLevel, identifier.PatientID) == ("STUDY", "P*")
    assert {"StudyDescription", "StudyInstanceUID"} <= {element.keyword for element in identifier}


def test_studies_are_asked_for_even_where_the_client_does_not() -> None:
    assert "StudyInstanceUID" in asked("STUDY", PatientID="P1").identifier()
    query = asked("PATIENT", InformationModel.PATIENT_ROOT, PatientID="P1")
    assert "StudyInstanceUID" not in query.identifier()


def test_keys_that_are_not_matched_are_asked_for_without_a_value() -> None:
    query = asked(PatientID="P1", PatientName="A*").without_keys([0x00100020]).of_studies(["1.2.3", "1.2.4"])
    identifier = query.identifier()
    assert identifier.get("PatientID") in (None, "")
    assert identifier.PatientName == "A*"
    assert list(identifier.StudyInstanceUID) == ["1.2.3", "1.2.4"]
