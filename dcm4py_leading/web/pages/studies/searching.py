"""Page that searches for studies. Input goes by POST, so it is in no address and no log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.errors import DependencyError, StatusError
from dcm4py_leading.service.studies.aes import StudiesAE
from dcm4py_leading.service.studies.found import FoundStudy, StudyPage, StudySearch
from dcm4py_leading.web.gate.use_log import Use
from dcm4py_leading.web.pages.changing.form import Form
from dcm4py_leading.web.pages.places import study_address
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.studies.permitted import permitted_aes, refused_ae
from dcm4py_leading.web.pages.studies.search_form import Typed, typed
from dcm4py_leading.web.pages.studies.values import date_shown, time_shown


class StudySearcher(Protocol):
    """The service, as the search uses it. Called from a worker thread."""

    def studies_aes(self) -> Sequence[StudiesAE]:
        """AEs of ours whose studies can be viewed."""
        ...

    def find_studies(self, wanted: StudySearch) -> StudyPage:
        """A page of studies. Raises UnknownAE, StatusError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """One study of the list."""

    address: str
    study_uid: str
    name: str
    about_patient: str
    date: str
    time: str
    accession_number: str
    description: str
    modalities: str
    series: str
    instances: str
    at: str
    is_edited: bool


class SearchPage:
    """Handlers; each runs in a worker thread."""

    def __init__(self, service: StudySearcher) -> None:
        self._service = service

    def show(self, request: Request) -> Response:
        """The form only: nothing is searched yet."""
        context = {"typed": Typed(texts={}), "found": None, "rows": (), "failure": None}
        return render(request, "studies.html", {**context, "aes": permitted_aes(request, self._service)})

    def search(self, request: Request, form: Form) -> Response:
        """One page of what was found."""
        wanted = typed(form)
        use = Use(request, "studies", wanted.ae_title)
        if (refused := refused_ae(request, self._service, wanted.ae_title)) is not None:
            use.tell(refused.status_code)
            return refused
        context = {"typed": wanted, "aes": permitted_aes(request, self._service), "failure": None}
        try:
            found = self._service.find_studies(wanted.search)
        except StatusError as err:
            told = {**context, "found": None, "rows": (), "failure": str(err)}
            status_code = 503 if isinstance(err, DependencyError) else 422
            use.tell(status_code)
            return render(request, "studies.html", told, status_code=status_code)
        rows = [_row(wanted.ae_title, study) for study in found.studies]
        use.tell(200, matches=len(rows))
        told = {"found": found, "rows": rows, "page_length": wanted.search.most, "date": date_shown}
        return render(request, "studies.html", {**context, **told})


def _row(ae_title: str, study: FoundStudy) -> StudyRow:
    patient = (study.text("PatientID"), date_shown(study.text("PatientBirthDate")), study.text("PatientSex"))
    return StudyRow(
        address=study_address(ae_title, study.study_instance_uid),
        study_uid=study.study_instance_uid,
        name=study.text("PatientName"),
        about_patient=" · ".join(filter(None, patient)),
        date=date_shown(study.text("StudyDate")),
        time=time_shown(study.text("StudyTime")),
        accession_number=study.text("AccessionNumber"),
        description=study.text("StudyDescription"),
        modalities=study.text("ModalitiesInStudy").replace("\\", ", "),
        series=study.text("NumberOfStudyRelatedSeries"),
        instances=study.text("NumberOfStudyRelatedInstances"),
        at=study.at,
        is_edited=bool(study.edited),
    )
