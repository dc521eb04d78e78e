"""``PUT .../aets/{aet}/rs/patients/{id}`` and ``.../studies/{study}``: replaces their attributes.

The status codes are dcm4chee's. Original Attributes are always told, also for a study without a reason.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.config.device_json.text import parse
from dcm4py_leading.errors import DocumentInvalid, EditRefused, Refusal, StatusError
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.editing.edit import REASONS, Edit
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import Operation, Parameter, body_of

DICOM_JSON = "application/dicom+json"
STATUS = {
    Refusal.WRONG: HTTPStatus.BAD_REQUEST,
    Refusal.UNKNOWN: HTTPStatus.NOT_FOUND,
    Refusal.CONFLICT: HTTPStatus.CONFLICT,
    Refusal.FORBIDDEN: HTTPStatus.FORBIDDEN,
}


class EditService(Protocol):
    """The service as the routes may use it for edits. Called from a worker thread."""

    def edit(self, edit: Edit) -> None:
        """Edit a patient or a study. Raises EditRefused, DocumentInvalid, StatusError."""
        ...


def edit_operations(service: EditService) -> list[Operation]:
    """The operations."""

    def edited(request: Request, level: Level, identifier: str) -> Response:
        identity: Identity = request.state.identity
        query = request.query_params
        try:
            if "merge" in query:
                raise EditRefused(Refusal.WRONG, "merge: patients are not merged here")
            attributes = parse(body_of(request), may_have_fractions=True)
            service.edit(
                Edit(
                    ae_title=request.path_params["aet"],
                    level=level,
                    identifier=identifier,
                    attributes=attributes,
                    reason=query.get("reasonForModification", REASONS[0]),
                    source_of_previous_values=query.get("sourceOfPreviousValues", ""),
                    author=identity.name,
                )
            )
        except EditRefused as err:
            return error(STATUS[err.refusal], str(err))
        except DocumentInvalid as err:
            return error(HTTPStatus.BAD_REQUEST, str(err))
        except StatusError as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))
        if level is Level.PATIENT:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return JSONResponse(attributes, media_type=DICOM_JSON)

    def edit_patient(request: Request) -> Response:
        return edited(request, Level.PATIENT, request.path_params["patient"])

    def edit_study(request: Request) -> Response:
        return edited(request, Level.STUDY, request.path_params["study"])

    parameters = (
        Parameter(
            name="reasonForModification",
            meaning="Reason for the Attribute Modification (0400,0565)",
            schema={"enum": list(REASONS)},
        ),
        Parameter(name="sourceOfPreviousValues", meaning="Source of Previous Values (0400,0564)"),
    )
    return [
        Operation(
            method="PUT",
            path="/dcm4chee-arc/aets/{aet}/rs/patients/{patient}",
            name="editPatient",
            summary="Replaces the attributes of a patient, named by ID^^^Issuer; those that are not sent are removed.",
            role=Role.ADMINISTRATOR,
            handler=edit_patient,
            parameters=parameters,
            body=OBJECT,
            body_type=DICOM_JSON,
            answers={204: None, 404: OBJECT, 409: OBJECT},
            tag="archive",
        ),
        Operation(
            method="PUT",
            path="/dcm4chee-arc/aets/{aet}/rs/studies/{study}",
            name="editStudy",
            summary="Replaces the attributes of a study; those that are not sent are removed.",
            role=Role.ADMINISTRATOR,
            handler=edit_study,
            parameters=parameters,
            body=OBJECT,
            body_type=DICOM_JSON,
            answers={200: OBJECT, 404: OBJECT, 409: OBJECT},
            tag="archive",
        ),
    ]
