"""A job, as the pages show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dcm4py_leading.service.drift.shown import KIND as DRIFT
from dcm4py_leading.service.jobs.job import Job, State
from dcm4py_leading.service.sending.job import KIND as SEND
from dcm4py_leading.web.pages.places import drift_address, job_address, study_address
from dcm4py_leading.web.pages.texts import Language, catalogue, translate

_TAGS = {State.RUNNING: "", State.DONE: "good", State.CANCELLED: "warn", State.FAILED: "bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownJob:
    """A job in words of a language."""

    job: Job
    address: str
    title: str
    """Kind of work, and where it goes to."""
    state: str
    tag: str
    """Class of the tag that has the state."""
    progress: str
    seconds: int
    """Time that it has taken so far."""
    facts: tuple[tuple[str, str, str], ...]
    """Label, value, and address, which may be empty, of what it is about."""

    @property
    def is_running(self) -> bool:
        """True as long as it changes."""
        return self.job.state is State.RUNNING

    @property
    def can_be_repeated(self) -> bool:
        """True if what failed can be sent again."""
        return self.job.kind == SEND and not self.is_running and bool(self.job.result.get("failedSOPInstanceUIDs"))

    @property
    def reason(self) -> str:
        """Why it has failed as a whole; empty where it has not."""
        return self.job.problems[-1] if self.job.state is State.FAILED and self.job.problems else ""

    @property
    def problems(self) -> Sequence[str]:
        """Problems after which it went on."""
        return self.job.problems[:-1] if self.reason else self.job.problems

    @property
    def hidden_problems(self) -> int:
        """Number of failed ones that no problem tells of."""
        return max(0, self.job.progress.failed - len(self.problems))


def shown(job: Job, language: Language, now: datetime) -> ShownJob:
    """The job in that language."""
    is_partial = job.state is State.DONE and job.progress.failed
    return ShownJob(
        job=job,
        address=drift_address(job.subject["ae"]) if job.kind == DRIFT else job_address(job.job_id),
        title=_text(language, f"job.title_{job.kind}", job.kind, **job.subject),
        state=translate(language, "job.partial" if is_partial else f"job.{job.state.value}"),
        tag="warn" if is_partial else _TAGS[job.state],
        progress=_progress(job, language),
        seconds=round(((job.ended_at or now) - job.started_at) / timedelta(seconds=1)),
        facts=tuple(_fact(job, name, value, language) for name, value in job.subject.items()),
    )


def _progress(job: Job, language: Language) -> str:
    done, of, failed = job.progress.done, job.progress.of, job.progress.failed
    told = (
        translate(language, "job.count", done=done) if of is None else translate(language, "job.of", done=done, of=of)
    )
    return told + (f", {translate(language, 'job.count_failed', count=failed)}" if failed else "")


def _fact(job: Job, name: str, value: str, language: Language) -> tuple[str, str, str]:
    address = ""
    if name == "study" and "ae" in job.subject:
        address = study_address(job.subject["ae"], value)
    return _text(language, f"job.on_{name}", name), value, address


def _text(language: Language, key: str, fallback: str, **values: str) -> str:
    """The text of the key, where there is one: kinds of jobs are not known here."""
    return translate(language, key, **values) if key in catalogue(language) else fallback
