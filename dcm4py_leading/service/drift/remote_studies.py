"""Studies of another archive, found by C-FINDs with small ranges of Study Date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date

from pydicom import Dataset, config
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement

from dcm4py_leading.archive.index.querying.query import Query
from dcm4py_leading.dataset.normal import first_text, normal_date, normal_time
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.leading.settings import Flush
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.drift.pace import DriftClock, RetryPauses, Throttle
from dcm4py_leading.service.drift.pages import Page, Place
from dcm4py_leading.service.drift.windows import SECONDS_OF_A_DAY, date_text, key_range, time_range, windows
from dcm4py_leading.service.query_archive import EMPTY_VALUE, ArchiveQuery, QueryArchive

_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_STUDY_DATE, _STUDY_TIME = 0x00080020, 0x00080030
_DONE = date.max.toordinal()
"""Day before which is everything, what has none included."""
_OUT_OF_RESOURCES = 0xA7
"""First octet of the status (PS3.4 C.4.1.1.4)."""


class DatesNotMatched(ArchiveUnavailable):
    """The archive returns studies of other dates or times than requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteArchive:
    """The archive to read, and our AE."""

    title: AETitle
    archive: QueryArchive
    local_ae: ApplicationEntity
    wanted: frozenset[int]
    """Attributes that are compared."""
    since: date | None
    today: date


@dataclass(frozen=True, slots=True)
class _Day:
    """Position: before a day, or before a second of it."""

    day: int
    second: int | None = None
    oldest: int | None = None
    """The first day that had a study."""

    def to_json(self) -> Place:
        return [self.day, self.second, self.oldest]


class RemoteStudies:
    """Studies of another archive, day by day; at the end those without a Study Date."""

    tells_all = False

    def __init__(
        self, walked: RemoteArchive, rate: float, time: DriftClock, patience: RetryPauses, *, most: int
    ) -> None:
        """Sends at most ``rate`` queries per second, and reads at most ``most`` studies from each."""
        self._walked = walked
        self._throttle = Throttle(rate, time)
        self._time = time
        self._patience = patience
        self._most = most
        self._first = (walked.since or date.min).toordinal()
        # Tomorrow stands for all future days, so that today, which may need several queries, is an ordinary day.
        self._last = max(walked.today.toordinal() + 1, self._first)

    def pages(self, after: Place) -> Iterator[Page]:
        """The pages from a place on (see `pages.Studies`).

        Raises ArchiveUnavailable when the archive gave no answer for DRIFT_PATIENCE_SECONDS, DatesNotMatched,
        DriftEnded.
        """
        place = _Day(self._first) if after is None else _Day(*after)
        oldest = place.oldest
        if place.day >= _DONE:
            return
        if place.second is not None:
            yield from self._seconds(place)
            place = _Day(place.day + 1, oldest=oldest)
        for end, found in windows(place.day, self._last, self._of_days, self._most // 4):
            if found and oldest is None:
                oldest = min(filter(None, map(_day_of, found)), default=None)
            if found is None:
                oldest = oldest or end
                yield from self._seconds(_Day(end, second=0, oldest=oldest))
            else:
                place = _Day(end + 1, oldest=oldest)
                yield Page(studies=found, after=place.to_json(), share=self._share(place))
        if self._walked.since is None:
            keys, after = {_STUDY_DATE: EMPTY_VALUE}, _Day(_DONE, oldest=oldest)
            yield self._without("studies without a Study Date", keys, after)

    def _of_days(self, first: int, last: int) -> Sequence[Dataset] | None:
        low = None if self._walked.since is None and first == self._first else date_text(first)
        high = None if last == self._last else date_text(last)
        if low is None and high is None:
            return None  # without a range, studies without a date would match too

        def is_inside(ds: Dataset) -> bool:
            day = normal_date(first_text(ds, _STUDY_DATE) or "")
            return day is not None and (low or day) <= day <= (high or day)

        return self._found(is_inside, {_STUDY_DATE: key_range(low, high)})

    def _seconds(self, place: _Day) -> Iterator[Page]:
        """The studies of a large day from a second on, then those without Study Time."""
        day, title = date_text(place.day), self._walked.title

        def of_seconds(first: int, last: int) -> Sequence[Dataset] | None:
            def is_inside(ds: Dataset) -> bool:
                second = _second_of(ds)
                return second is not None and first <= second <= last

            return self._found(is_inside, {_STUDY_DATE: day, _STUDY_TIME: time_range(first, last)})

        for end, found in windows(place.second or 0, SECONDS_OF_A_DAY - 1, of_seconds, self._most // 4):
            after = _Day(place.day, second=end + 1, oldest=place.oldest)
            gap = None if found is not None else f"{title}: more than {self._most} studies of one second of {day}"
            yield Page(studies=found or (), after=after.to_json(), share=self._share(after), gap=gap)
        keys, after = {_STUDY_DATE: day, _STUDY_TIME: EMPTY_VALUE}, _Day(place.day + 1, oldest=place.oldest)
        yield self._without(f"studies of {day} without a Study Time", keys, after)

    def _without(self, what: str, keys: Mapping[int, str], after: _Day) -> Page:
        """The studies in which the last of the ``keys`` has no value, if the archive supports that."""
        title, tag = self._walked.title, [*keys][-1]
        found: Sequence[Dataset] | None = ()
        gap: str | None = f"{title} cannot be asked for {what}"
        for _ in range(2):
            try:
                found = self._found(lambda ds: first_text(ds, tag) is None, keys, is_tried=True)
            except DatesNotMatched:
                break
            except ArchiveUnavailable:
                self._of_days(self._last, self._last)  # which waits while the archive is down
            else:
                gap = f"{title}: more than {self._most} {what}" if found is None else None
                if found == []:
                    gap = f"{title} tells of no {what}: it has none, or cannot be asked for them"
                break
        return Page(studies=found or (), after=after.to_json(), share=self._share(after), gap=gap)

    def _found(
        self, is_inside: Callable[[Dataset], bool], keys: Mapping[int, str], *, is_tried: bool = False
    ) -> Sequence[Dataset] | None:
        """The matching studies; None if there are too many.

        With ``is_tried``, the query is sent only once, and no other study may be returned. Raises ArchiveUnavailable,
        DatesNotMatched, DriftEnded.
        """
        while True:
            self._throttle.take()
            try:
                found = self._asked(is_inside, keys, most_others=0 if is_tried else self._most)
            except DatesNotMatched:
                raise
            except ArchiveUnavailable as err:
                if err.status >> 8 == _OUT_OF_RESOURCES:
                    self._patience.is_answered()
                    return None
                if is_tried or self._patience.has_ended(err):
                    raise
                self._patience.pause()
            else:
                self._patience.is_answered()
                return found

    def _asked(
        self, is_inside: Callable[[Dataset], bool], keys: Mapping[int, str], *, most_others: int
    ) -> Sequence[Dataset] | None:
        found: list[Dataset] = []
        others = 0
        with closing(self._walked.archive.matches(self._question(keys), fetch_size=self._most)) as matches:
            for match in matches:
                if isinstance(match, Flush):
                    continue
                ds = match.attributes
                if is_inside(ds):
                    found.append(ds)
                else:
                    others += 1
                if others > most_others:
                    names = " and ".join(map(keyword_for_tag, keys))
                    raise DatesNotMatched(f"{self._walked.title} answers with studies of another {names}")
                if len(found) > self._most:
                    return None
        self._time.go_on()  # whose end also ends the matches
        return found

    def _question(self, keys: Mapping[int, str]) -> ArchiveQuery:
        identifier = Dataset()
        for tag, value in keys.items():  # a range is no value of its VR
            identifier[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE)
        return ArchiveQuery(
            query=Query(level=Level.STUDY),
            keys=identifier,
            sop_class_uid=_STUDY_ROOT_FIND,
            relational=False,
            local_ae=self._walked.local_ae,
            wanted=self._walked.wanted | {_STUDY_DATE, _STUDY_TIME},
            is_over=self._time.is_over,
        )

    def _share(self, place: _Day) -> float | None:
        if place.oldest is None:
            return None
        oldest = max(place.oldest, self._first)
        return min(1.0, max(1, place.day - oldest) / max(1, self._last + 1 - oldest))


def _day_of(ds: Dataset) -> int | None:
    """Study Date as a day; None if there is none."""
    text = normal_date(first_text(ds, _STUDY_DATE) or "")
    try:
        return None if text is None else date(int(text[:4]), int(text[4:6]), int(text[6:])).toordinal()
    except ValueError:
        return None


def _second_of(ds: Dataset) -> int | None:
    text = normal_time(first_text(ds, _STUDY_TIME) or "")
    return None if text is None else int(text[:2]) * 3600 + int(text[2:4]) * 60 + int(text[4:6])
