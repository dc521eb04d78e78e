"""The comparison of all studies of an index with a leading archive, a page at a time: of constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from pydicom import Dataset

from dcm4py_leading.archive.index import IndexedStudy
from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.dataset.normal import first_text, normal_date
from dcm4py_leading.model.values import UID
from dcm4py_leading.service.drift.comparison import Compared, Measure, Outcome, compare
from dcm4py_leading.service.drift.report import Report
from dcm4py_leading.service.drift.state import State
from dcm4py_leading.service.drift.summary import NO_MONTH

_STUDY_DATE = 0x00080020
_STUDY_INSTANCE_UID = 0x0020000D


class Studies(Protocol):
    """Where studies are walked; implemented by `archive.index.Index`."""

    def studies_after(self, pk: int, most: int, *, since: str | None) -> Sequence[IndexedStudy]:
        """Next studies above a primary key (see `archive.index.Index`)."""
        ...


class Answers(Protocol):
    """Answers of the archive that is asked; implemented by `asking.Asker`."""

    def answers(self, uids: Sequence[UID]) -> Mapping[UID, LeadingAnswer]:
        """Answers about these studies (see `asking.Asker`)."""
        ...


def walk(
    studies: Studies,
    asker: Answers,
    measure: Measure,
    *,
    state: State,
    page_size: int,
    since: str | None,
    report: Report | None,
) -> Iterator[State]:
    """Compare the studies after ``state``; the state after each page, with the page in the report by then.

    ``since`` is a Study Date as YYYYMMDD. The summary of ``state`` is counted on. Raises IndexUnavailable,
    LeadingUnavailable, OSError.
    """
    after, summary, written = state.after, state.summary, state.report_bytes
    while page := studies.studies_after(after, page_size, since=since):
        compared: list[tuple[str, Compared]] = []
        read = [study.attributes for study in page]
        uids = [_uid_of(ds) for ds in read]
        answers = asker.answers([uid for uid in uids if uid is not None])
        for ds, uid in zip(read, uids, strict=True):
            result = Compared(outcome=Outcome.UNASKED) if uid is None else compare(ds, answers[uid], measure)
            compared.append((uid or str(ds.get("StudyInstanceUID", "")), result))
            summary.add(result, _month_of(ds))
        if report is not None:
            written = report.add(compared)
        after = page[-1].pk
        yield State(after=after, report_bytes=written, summary=summary)


def _uid_of(ds: Dataset) -> UID | None:
    """Study Instance UID; None where an object had one that is none."""
    try:
        return UID(first_text(ds, _STUDY_INSTANCE_UID) or "")
    except ValueError:
        return None


def _month_of(ds: Dataset) -> str:
    date = normal_date(first_text(ds, _STUDY_DATE) or "")
    return NO_MONTH if date is None else f"{date[:4]}-{date[4:6]}"
