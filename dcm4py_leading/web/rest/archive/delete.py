"""``DELETE .../aets/{aet}/rs/studies/{study}``: deletes a study. Status codes are dcm4chee's."""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.errors import EditRefused, StatusError
from dcm4py_leading.service.deleting.delete import Deletion
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.rest.archive.edit import STATUS
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import BOOLEAN, Operation, Parameter, flag


class DeletionService(Protocol):
    """The service, as the routes use it. Called from a worker thread."""

    def delete_study(self, wanted: Deletion) -> None:
        """Delete a study. Raises EditRefused, StatusError."""
        ...


def delete_operations(service: DeletionService) -> list[Operation]:
    """The operations."""

    def delete(request: Request) -> Response:
        identity: Identity = request.state.identity
        try:
            if flag(request, "retainObj", default=False):
                raise ValueError("retainObj: files are not kept without their study here")
        except ValueError as err:
            return error(HTTPStatus.BAD_REQUEST, str(err))
        path = request.path_params
        try:
            service.delete_study(Deletion(ae_title=path["aet"], study_instance_uid=path["study"], author=identity.name))
        except EditRefused as err:
            return error(STATUS[err.refusal], str(err))
        except StatusError as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    return [
        Operation(
            method="DELETE",
            path="/dcm4chee-arc/aets/{aet}/rs/studies/{study}",
            name="deleteStudy",
            summary="Deletes a study with its files, where dcmAllowDeleteStudyPermanently is ALWAYS.",
            role=Role.ADMINISTRATOR,
            handler=delete,
            parameters=(
                Parameter(name="retainObj", meaning="true keeps the files: not possible here", schema=BOOLEAN),
            ),
            answers={204: None, 403: OBJECT, 404: OBJECT, 409: OBJECT},
            tag="archive",
        )
    ]
