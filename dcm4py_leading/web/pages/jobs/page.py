"""The pages of jobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dcm4py_leading.errors import EditRefused, StatusError
from dcm4py_leading.log import word
from dcm4py_leading.service.jobs.job import Job
from dcm4py_leading.service.jobs.jobs import TooManyJobs
from dcm4py_leading.service.sending.export import Export
from dcm4py_leading.service.sending.job import start_sending
from dcm4py_leading.web.gate.command_log import log_command
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.changing.form import Form
from dcm4py_leading.web.pages.jobs.shown import shown
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import NoSuchPage, job_address
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.rest.own.sending import ExportSender


class JobPages:
    """Handlers; each runs in a worker thread."""

    def __init__(self, service: ExportSender, now: Callable[[], datetime]) -> None:
        self._service = service
        self._now = now

    def list(self, request: Request) -> Response:
        """All jobs."""
        return render(request, "jobs.html", self._listed(request))

    def list_live(self, request: Request) -> Response:
        """The part of that page which changes by itself."""
        return render(request, "jobs_live.html", self._listed(request))

    def show(self, request: Request) -> Response:
        """One job, or the way to the page that its kind has."""
        one = shown(self._job(request), language_of(request), self._now())
        if one.address != job_address(one.job.job_id):
            return RedirectResponse(one.address, HTTPStatus.SEE_OTHER)
        return render(request, "job.html", self._one(request))

    def live(self, request: Request) -> Response:
        """The part of that page which changes by itself."""
        return render(request, "job_live.html", self._one(request))

    def cancel(self, request: Request, _: Form) -> Response:
        """The job is to end."""
        job = self._job(request)
        if self._service.jobs.cancel(job.job_id):
            log_command(request, f"job {job.kind} {job.job_id} is cancelled")
        return RedirectResponse(job_address(job.job_id), HTTPStatus.SEE_OTHER)

    def again(self, request: Request, _: Form) -> Response:
        """The objects that failed are sent again, by another job."""
        job = self._job(request)
        wanted = Export(
            ae_title=job.subject["ae"],
            destination=job.subject["destination"],
            study_instance_uid=job.subject["study"],
            series_instance_uid=job.subject.get("series"),
            sop_instance_uids=tuple(job.result.get("failedSOPInstanceUIDs", ())),
            author=request.state.identity.name,
        )
        if not wanted.sop_instance_uids:
            return RedirectResponse(job_address(job.job_id), HTTPStatus.SEE_OTHER)
        try:
            self._service.check_export(wanted)
            begun = start_sending(self._service.jobs, self._service, wanted)
        except (EditRefused, StatusError, TooManyJobs) as err:
            context = {**self._one(request), "failure": str(err)}
            return render(request, "job.html", context, status_code=HTTPStatus.CONFLICT)
        return RedirectResponse(job_address(begun), HTTPStatus.SEE_OTHER)

    def _listed(self, request: Request) -> dict[str, object]:
        language, now = language_of(request), self._now()
        return {"jobs": [shown(job, language, now) for job in self._service.jobs.all()]}

    def _one(self, request: Request) -> dict[str, object]:
        return {
            "shown": shown(self._job(request), language_of(request), self._now()),
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
            "failure": None,
        }

    def _job(self, request: Request) -> Job:
        job_id: str = request.path_params["job"]
        job = self._service.jobs.get(job_id)
        if job is None:
            raise NoSuchPage(f"job {word(job_id)}")
        return job
