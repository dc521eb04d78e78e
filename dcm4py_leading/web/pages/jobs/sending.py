"""Page that sends a study, a series or an instance to a destination."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dcm4py_leading.errors import EditRefused, StatusError
from dcm4py_leading.service.jobs.jobs import TooManyJobs
from dcm4py_leading.service.sending.export import Export
from dcm4py_leading.service.sending.job import start_sending
from dcm4py_leading.service.studies.found import FoundSeries, FoundStudy
from dcm4py_leading.web.pages.changing.attempt import DirectoryEditing
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.jobs.destinations import Destination, Destinations, destinations_of, takes_objects
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import NoSuchPage, job_address, study_address
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate
from dcm4py_leading.web.rest.own.sending import ExportSender


class SendService(ExportSender, Protocol):
    """The service as the page sends studies that it finds. Called from a worker thread."""

    def study(self, ae_title: str, study_instance_uid: str) -> FoundStudy | None:
        """One study; None where there is none. Raises UnknownAE, StatusError."""
        ...

    def series(self, ae_title: str, study_instance_uid: str) -> list[FoundSeries]:
        """The series of a study. Raises UnknownAE, StatusError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _SendForm:
    """Wishes so far."""

    ae_title: str
    study: str
    series: str
    instance: str
    destination: str


class SendPage:
    """Handlers; each runs in a worker thread."""

    def __init__(self, editor: DirectoryEditing, service: SendService, own_device: str) -> None:
        self._editor = editor
        self._service = service
        self._own_device = own_device

    def show(self, request: Request) -> Response:
        """The form. ``series`` and ``instance`` of the query choose a part of the study."""
        query = request.query_params
        return self._form(request, _asked(request, query.get("series", ""), query.get("instance", ""), ""))

    def send(self, request: Request, form: Form) -> Response:
        """Begin the job, and show it."""
        asked = _asked(request, one_of(form, "series"), one_of(form, "instance"), one_of(form, "destination"))
        wanted = Export(
            ae_title=asked.ae_title,
            destination=asked.destination,
            study_instance_uid=asked.study,
            series_instance_uid=asked.series or None,
            sop_instance_uids=(asked.instance,) if asked.instance else (),
            author=request.state.identity.name,
        )
        language = language_of(request)
        if asked.instance and not asked.series:
            return self._form(request, asked, translate(language, "send.no_series"))
        if not asked.destination:
            return self._form(request, asked, translate(language, "send.choose"))
        chosen = [one for one in self._destinations(asked).offered if one.ae_title == asked.destination]
        if any(not self._takes_objects(one) for one in chosen):
            return self._form(request, asked, translate(language, "send.no_storage", title=asked.destination))
        try:
            self._service.check_export(wanted)
            job_id = start_sending(self._service.jobs, self._service, wanted)
        except (EditRefused, StatusError, TooManyJobs) as err:
            return self._form(request, asked, str(err))
        return RedirectResponse(job_address(job_id), HTTPStatus.SEE_OTHER)

    def _form(self, request: Request, asked: _SendForm, failure: str = "") -> Response:
        study = self._service.study(asked.ae_title, asked.study)
        if study is None:
            raise NoSuchPage(f"{asked.ae_title}: study {asked.study}")
        series = self._service.series(asked.ae_title, asked.study)
        context = {
            "asked": asked,
            "study": study,
            "series": series,
            "destinations": self._destinations(asked),
            "failure": failure,
            "back": study_address(asked.ae_title, asked.study),
        }
        return render(request, "send.html", context, status_code=HTTPStatus.CONFLICT if failure else HTTPStatus.OK)

    def _destinations(self, asked: _SendForm) -> Destinations:
        own_entries = self._editor.entries(self._own_device)
        return destinations_of(self._editor.aes(), self._own_device, own_entries, asked.ae_title)

    def _takes_objects(self, destination: Destination) -> bool:
        return takes_objects(self._editor.entries(destination.device_name), destination.ae_title)


def _asked(request: Request, series: str, instance: str, destination: str) -> _SendForm:
    path = request.path_params
    return _SendForm(
        ae_title=path["aet"],
        study=path["study"],
        series=series,
        instance=instance,
        destination=destination,
    )
