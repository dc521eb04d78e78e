"""One comparison from its start, or from where it stopped, to its end: for the command and for a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import datetime

from dcm4py_leading import log
from dcm4py_leading.archive.data_directory import has_index, open_index
from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor
from dcm4py_leading.archive.index.querying.query import KeyCondition, Query, Range
from dcm4py_leading.composition.check import Checked
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.dicom.scu.leading import FindSCU
from dcm4py_leading.dicom.scu.resolve import Resolve
from dcm4py_leading.dicom.upstream.other_archives import each_other_archive
from dcm4py_leading.errors import DriftEnded, DriftRefused
from dcm4py_leading.leading.contacts import Contacts
from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.model.bounds import DRIFT_WINDOW_STUDIES
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.drift.asking import LeadingInquiry, StudyQuery
from dcm4py_leading.service.drift.comparison import Measure
from dcm4py_leading.service.drift.order import DriftOrder
from dcm4py_leading.service.drift.pace import DriftClock, RetryPauses, Throttle
from dcm4py_leading.service.drift.pages import IndexStudies, Studies
from dcm4py_leading.service.drift.remote_studies import RemoteArchive, RemoteStudies
from dcm4py_leading.service.drift.report import Report
from dcm4py_leading.service.drift.state import SavedState, State, Subject, beginning, load, save
from dcm4py_leading.service.drift.summary import HERE
from dcm4py_leading.service.drift.walk import walk
from dcm4py_leading.service.find.scu_rules import ScuFindRules
from dcm4py_leading.service.query_archive import QueryArchive

_STUDY_DATE = 0x00080020


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Surroundings of a comparison: its time, and who is told of it."""

    now: Callable[[], datetime]
    time: DriftClock = field(default_factory=DriftClock)
    reached: Callable[[State, int | None], None] = lambda *_: None
    """Told after each page: the state, and how many studies there are in all, where that can be estimated."""
    tell: Callable[[str], None] = lambda _: None
    """Told what hinders it, as it goes on."""


def compare(site: Site, checked: Checked, wanted: DriftOrder, around: Around) -> SavedState:
    """Make the comparison; what came of it, which is in the state file too, if there is to be one.

    It is not complete where it was ended before. Raises DriftRefused, DriftNotResumed, LeadingUnavailable,
    ArchiveUnavailable, IndexUnavailable, ConfigError, OSError.
    """
    device, settings = checked.snapshot.device, site.leading_settings
    resolve = resolver_of(site, wanted.leading)
    if not has_index(site.data_dir):
        raise DriftRefused(f"{site.data_dir}: there is no index: say by --data-dir where that of the service is")
    log.use_reference_key(site.data_dir)
    keys = return_keys(device, wanted.leading)
    kept_tags = AttributeExtractor(device.archive.attribute_filters).tags
    measure = Measure.of(keys, kept_tags[Level.PATIENT] | kept_tags[Level.STUDY], wanted.policy)
    own_find = ScuFindRules(checked.rules, compat_5_35=site.options.compat_5_35)
    elsewhere = each_other_archive(wanted.local_ae, resolve, own_find, Contacts())
    subject = wanted.subject(measure, elsewhere)
    kept = None if wanted.state_file is None or wanted.is_new else load(wanted.state_file, subject)
    kept = kept or _begun(wanted, subject, _moment(around))
    with ExitStack() as running:
        index = running.enter_context(closing(open_index(site.data_dir, may_upgrade=False)))
        scu = running.enter_context(closing(FindSCU(resolve, settings=settings, coerce=own_find)))
        asked = LeadingInquiry(
            leading_cfind_scp=wanted.leading,
            local_ae=wanted.local_ae,
            return_keys=keys,
            timeout=site.options.leading_deadline,
        )
        patience = RetryPauses(f"leading archive {wanted.leading}", around.time, around.tell)
        asker = StudyQuery(scu, asked, Throttle(wanted.rate, around.time), patience)
        _keep(wanted, kept)  # before the CSV file of another one is cut off
        report = None
        if wanted.csv_file is not None:
            report = Report(wanted.csv_file, has_values=wanted.has_values, at=kept.state.report_bytes)
            running.enter_context(report)
        since = None if wanted.since is None else wanted.since.strftime("%Y%m%d")
        archives: dict[str, Studies] = {HERE: IndexStudies(index, settings.page_size, since=since)}
        for title, archive in elsewhere.items():
            archives[title] = _elsewhere(title, archive, measure, wanted, around)
        here = index.count(_since(since))
        around.reached(kept.state, _expected(kept.state, here, archives))
        try:
            for state in walk(archives, asker, measure, state=kept.state, page_size=settings.page_size, report=report):
                kept = _keep(wanted, replace(kept, state=state, saved_at=_moment(around)))
                around.reached(state, _expected(state, here, archives))
                around.time.go_on()
        except DriftEnded:
            return kept
    return _keep(wanted, replace(kept, saved_at=_moment(around), is_complete=True))


def resolver_of(site: Site, leading: AETitle) -> Resolve:
    """Resolver that looks up the archives that are asked. Raises DriftRefused without that one; ConfigUnavailable."""
    resolve = RemoteAEResolver(site.source, stale_after=None, expand=site.expand).resolve
    if resolve(leading) is None:
        raise DriftRefused(f"{leading} is not in the directory")
    return resolve


def _begun(wanted: DriftOrder, subject: Subject, at: str) -> SavedState:
    """A comparison at its beginning; its file tells the rates too, with which it goes on."""
    told = {**subject, "rate": wanted.rate, "elsewhereRate": wanted.elsewhere_rate}
    return SavedState(subject=told, state=beginning(), begun_at=at, saved_at=at, is_complete=False)


def _elsewhere(
    title: AETitle, archive: QueryArchive, measure: Measure, wanted: DriftOrder, around: Around
) -> RemoteStudies:
    walked = RemoteArchive(
        title=title,
        archive=archive,
        local_ae=wanted.local_ae,
        wanted=measure.tags,
        since=wanted.since,
        today=around.now().date(),
    )
    patience = RetryPauses(f"archive {title}", around.time, around.tell)
    return RemoteStudies(walked, wanted.elsewhere_rate, around.time, patience, most=DRIFT_WINDOW_STUDIES)


def _keep(wanted: DriftOrder, kept: SavedState) -> SavedState:
    if wanted.state_file is not None:
        save(wanted.state_file, kept)
    return kept


def _moment(around: Around) -> str:
    return around.now().isoformat(timespec="seconds")


def _since(date: str | None) -> Query:
    conditions = () if date is None else (KeyCondition(_STUDY_DATE, (Range(date, None),)),)
    return Query(level=Level.STUDY, conditions=conditions)


def _expected(state: State, here: int | None, archives: Mapping[str, Studies]) -> int | None:
    """Number of studies in all: of the index as it was counted, of others by the share that is walked."""
    done = state.summary.by_archive
    if state.at != HERE:
        last = [*archives][-1]
        if state.at != last or not state.share or not done[state.at]:
            return None
        return state.summary.studies - done[state.at] + round(done[state.at] / state.share)
    return here if len(archives) == 1 and here is not None else None
