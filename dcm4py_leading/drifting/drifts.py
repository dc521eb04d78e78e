"""Comparisons as jobs of the running service, with one state file and one CSV file for each AE in the data directory.

They outlast the process: what has not come to its end can go on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dcm4py_leading.composition.check import Checked
from dcm4py_leading.composition.site import Site
from dcm4py_leading.drifting.run import Around, compare, resolver_of
from dcm4py_leading.errors import DriftNotResumed, DriftRefused
from dcm4py_leading.model.bounds import DRIFT_STUDIES_SHOWN
from dcm4py_leading.service.drift.order import DriftOrder, ae_of, leading_archives, leading_of
from dcm4py_leading.service.drift.pace import DriftClock
from dcm4py_leading.service.drift.shown import (
    KIND,
    DriftChoice,
    DriftRequest,
    LatestComparison,
    StaleStudy,
    chunks,
    lines,
    stale_studies,
)
from dcm4py_leading.service.drift.state import State, read
from dcm4py_leading.service.jobs.job import Job, Progress
from dcm4py_leading.service.jobs.jobs import Handle, Jobs

LOG = logging.getLogger(__name__)

_FOLDER = "drift"


class Drifts:
    """The comparisons of one service. Safe under threads."""

    def __init__(
        self,
        site: Site,
        in_force: Callable[[], Checked],
        jobs: Jobs,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``in_force`` is the configuration; a comparison keeps that of its beginning."""
        self._site = site
        self._in_force = in_force
        self._jobs = jobs
        self._now = now
        self._starting = threading.Lock()
        self._before: dict[str, int] = {}
        """Studies that had been compared before the latest job of each AE."""

    def choices(self) -> Sequence[DriftChoice]:
        """The AEs of the configuration in force."""
        checked = self._in_force()
        return [
            DriftChoice(
                ae_title=ae.ae_title,
                leading=tuple(leading_archives(checked.rules[ae.ae_title])),
                elsewhere=tuple(dict.fromkeys((*ae.settings.spanning_cfind_scps, *ae.settings.fallback_cmove_scps))),
            )
            for ae in checked.snapshot.device.application_entities
        ]

    def all(self) -> Sequence[LatestComparison]:
        """The latest comparison of each AE that has one."""
        return [latest for choice in self.choices() if (latest := self.latest(choice.ae_title)) is not None]

    def latest(self, ae_title: str) -> LatestComparison | None:
        """The latest comparison of an AE; None where there is none, or the configuration has no such AE."""
        if self._in_force().snapshot.device.application_entity(ae_title) is None:
            return None
        job = next((job for job in self._jobs.all(KIND) if job.subject["ae"] == ae_title), None)
        try:
            kept = read(self._file(ae_title, "json"))
        except DriftNotResumed as err:
            LOG.warning("drift: %s", err)
            kept = None
        if kept is None and job is None:
            return None
        return LatestComparison(ae_title=ae_title, kept=kept, job=job, before=self._before.get(ae_title, 0))

    def start(self, order: DriftRequest, author: str) -> Job:
        """Begin a comparison, in place of the latest one of the AE.

        Raises DriftRefused, TooManyJobs, ConfigUnavailable, OSError.
        """
        return self._start(order, author, is_new=True)

    def go_on(self, ae_title: str, author: str) -> Job:
        """Go on with the latest comparison of an AE. Raises as `start`."""
        latest = self.latest(ae_title)
        if latest is None or latest.kept is None or not latest.can_go_on:
            raise DriftRefused(f"there is no comparison of {ae_title} that could go on")
        return self._start(_order_of(latest.kept.subject), author, is_new=False)

    def cancel(self, ae_title: str) -> bool:
        """Let the comparison of an AE end; it can go on later. True if it was running."""
        latest = self.latest(ae_title)
        return latest is not None and latest.job is not None and self._jobs.cancel(latest.job.job_id)

    def csv(self, ae_title: str) -> Iterator[bytes] | None:
        """The CSV file of the latest comparison, up to where it is; None where there is none. Raises OSError."""
        latest = self.latest(ae_title)
        if latest is None or latest.kept is None or not latest.kept.state.report_bytes:
            return None
        return chunks(self._file(ae_title, "csv"), latest.kept.state.report_bytes)

    def stale(self, ae_title: str, attribute: str) -> Sequence[StaleStudy]:
        """The first DRIFT_STUDIES_SHOWN studies in which an attribute is stale. Raises OSError."""
        found = self.csv(ae_title)
        return [] if found is None else stale_studies(lines(found), attribute, DRIFT_STUDIES_SHOWN)

    def _start(self, order: DriftRequest, author: str, *, is_new: bool) -> Job:
        checked = self._in_force()
        local_ae = ae_of(checked.snapshot.device, order.ae_title)
        leading, policy = leading_of(checked.rules[local_ae.ae_title], order.leading, order.ae_title)
        resolver_of(self._site, leading)  # what is wrong is told at once, and the latest comparison stays
        wanted = DriftOrder(
            local_ae=local_ae,
            leading=leading,
            policy=policy,
            since=order.since,
            rate=order.rate,
            elsewhere_rate=order.elsewhere_rate,
            csv_file=self._file(order.ae_title, "csv"),
            has_values=order.has_values,
            state_file=self._file(order.ae_title, "json"),
            is_new=is_new,
        )
        subject = {"ae": order.ae_title, "leading": leading}
        if order.since is not None:
            subject["since"] = order.since.isoformat()
        with self._starting:
            latest = self.latest(order.ae_title)
            if latest is not None and latest.is_running:
                raise DriftRefused(f"a comparison of {order.ae_title} is running: wait for its end, or cancel it")
            self._before[order.ae_title] = 0 if is_new or latest is None else latest.summary.studies
            (self._site.data_dir / _FOLDER).mkdir(mode=0o700, exist_ok=True)
            job_id = self._jobs.start(KIND, subject, author, lambda handle: self._work(checked, wanted, handle))
        job = self._jobs.get(job_id)
        assert job is not None  # it is the latest one
        return job

    def _work(self, checked: Checked, wanted: DriftOrder, handle: Handle) -> Mapping[str, Any]:
        def reached(state: State, expected: int | None) -> None:
            handle.report(Progress(done=state.summary.studies, of=expected))

        time = DriftClock(sleep=handle.wait, is_over=lambda: handle.is_cancelled)
        around = Around(now=self._now, time=time, reached=reached, tell=handle.problem)
        kept = compare(self._site, checked, wanted, around)
        return {"outcomes": kept.state.summary.to_json()["outcomes"]}

    def _file(self, ae_title: str, suffix: str) -> Path:
        return self._site.data_dir / _FOLDER / f"{quote(ae_title, safe='')}.{suffix}"


def _order_of(subject: Mapping[str, Any]) -> DriftRequest:
    """The order of which a state says that it is."""
    try:
        return DriftRequest(
            ae_title=subject["ae"],
            leading=subject["leading"],
            since=None if subject["since"] is None else date.fromisoformat(subject["since"]),
            rate=float(subject["rate"]),
            elsewhere_rate=float(subject["elsewhereRate"]),
            has_values=bool(subject["values"]),
        )
    except (KeyError, TypeError, ValueError) as err:
        raise DriftRefused("the state of the comparison is not whole: begin a new one") from err
