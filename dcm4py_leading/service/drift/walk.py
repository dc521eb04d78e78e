"""Comparison of all studies of some archives with a leading archive, page by page, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile
from typing import NamedTuple, Protocol

from pydicom import Dataset

from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.dataset.normal import first_text, normal_date
from dcm4py_leading.model.values import UID
from dcm4py_leading.service.drift.comparison import Compared, Measure, Outcome, compare
from dcm4py_leading.service.drift.pages import Studies
from dcm4py_leading.service.drift.report import Report
from dcm4py_leading.service.drift.state import State
from dcm4py_leading.service.drift.summary import NO_MONTH

_STUDY_DATE = 0x00080020
_STUDY_INSTANCE_UID = 0x0020000D


class Answers(Protocol):
    """Answers of the archive that is asked; implemented by `asking.StudyQuery`."""

    def answers(self, uids: Sequence[UID]) -> Mapping[UID, LeadingAnswer]:
        """Answers about these studies (see `asking.StudyQuery`)."""
        ...


class _One(NamedTuple):
    study_instance_uid: str
    result: Compared
    month: str
    left_out: frozenset[int]
    """Attributes that it was not compared by."""


def walk(
    archives: Mapping[str, Studies],
    asker: Answers,
    measure: Measure,
    *,
    state: State,
    page_size: int,
    report: Report | None,
) -> Iterator[State]:
    """Compare the studies after ``state``; the state after each page, with the page in the report by then.

    ``archives`` are walked in their order, by title; HERE is that of this service. The summary of ``state`` is counted
    on. ``page_size`` studies are asked for at once. Raises IndexUnavailable, ArchiveUnavailable, LeadingUnavailable,
    OSError.
    """
    summary, written = state.summary, state.report_bytes
    for title in dropwhile(lambda title: title != state.at, archives):
        studies = archives[title]
        for page in studies.pages(state.after if title == state.at else None):
            compared: list[_One] = []
            for first in range(0, len(page.studies), page_size):
                some = page.studies[first : first + page_size]
                uids = [_uid_of(ds) for ds in some]
                answers = asker.answers([uid for uid in uids if uid is not None])
                for ds, uid in zip(some, uids, strict=True):
                    by = measure if studies.tells_all else measure.among(map(int, ds.keys()))
                    result = Compared(outcome=Outcome.UNASKED) if uid is None else compare(ds, answers[uid], by)
                    name = uid or str(ds.get("StudyInstanceUID", ""))
                    compared.append(_One(name, result, _month_of(ds), measure.tags - by.tags))
            for one in compared:  # when all of the page are: a killed one leaves none of it
                summary.add(one.result, one.month, title)
                summary.leave_out(one.left_out)
            if page.gap is not None:
                summary.add_gap(page.gap)
            if report is not None:
                written = report.add([(one.study_instance_uid, one.result) for one in compared], title)
            yield State(at=title, after=page.after, share=page.share, report_bytes=written, summary=summary)


def _uid_of(ds: Dataset) -> UID | None:
    """Study Instance UID; None where an object had one that is none."""
    try:
        return UID(first_text(ds, _STUDY_INSTANCE_UID) or "")
    except ValueError:
        return None


def _month_of(ds: Dataset) -> str:
    date = normal_date(first_text(ds, _STUDY_DATE) or "")
    return NO_MONTH if date is None else f"{date[:4]}-{date[4:6]}"
