"""Page on which an administrator confirms the deletion of a study."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.errors import EditRefused, StatusError
from dcm4py_leading.service.deleting.delete import Deletion
from dcm4py_leading.service.studies.aes import StudiesAE
from dcm4py_leading.service.studies.found import FoundStudy
from dcm4py_leading.web.gate.identity import Identity
from dcm4py_leading.web.pages.changing.form import Form
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import STUDIES, study_address
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.studies.study import StudyPages, StudyReader
from dcm4py_leading.web.pages.texts import translate
from dcm4py_leading.web.rest.archive.delete import DeletionService


class StudyDeletion(StudyReader, DeletionService, Protocol):
    """The service as it deletes a study. Called from a worker thread."""


class DeletePage:
    """Handlers; each runs in a worker thread."""

    def __init__(self, service: StudyDeletion) -> None:
        self._service = service
        self._studies = StudyPages(service)

    def ask(self, request: Request) -> Response:
        """Ask for confirmation, with the number of objects, or say why it cannot be deleted. Raises NoSuchPage."""
        ae, study = self._studies.ae(request), self._studies.study(request)
        return self._page(request, ae, study)

    def delete(self, request: Request, _: Form) -> Response:
        """Delete the study. Raises NoSuchPage."""
        ae, study = self._studies.ae(request), self._studies.study(request)
        identity: Identity = request.state.identity
        wanted = Deletion(ae_title=ae.ae_title, study_instance_uid=study.study_instance_uid, author=identity.name)
        try:
            self._service.delete_study(wanted)
        except (EditRefused, StatusError) as err:
            return self._page(request, ae, study, failure=str(err))
        message = translate(language_of(request), "delete_study.done", count=_objects(study))
        return render(request, "study_deleted.html", {"message": message, "studies": STUDIES})

    def _page(self, request: Request, ae: StudiesAE, study: FoundStudy, *, failure: str = "") -> Response:
        context = {
            "study": study,
            "ae": ae,
            "address": study_address(ae.ae_title, study.study_instance_uid),
            "objects": _objects(study),
            "may_delete": ae.may_delete and not study.at,
            "failure": failure,
        }
        return render(request, "delete_study.html", context, status_code=409 if failure else 200)


def _objects(study: FoundStudy) -> str:
    return study.text("NumberOfStudyRelatedInstances") or "?"
