"""``GET /dcm4py-leading/explain/{study}``: effect of the rules on a stored study, as JSON or text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dcm4py_leading.coercion.explain import RenderedExplanation
from dcm4py_leading.errors import StatusError
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.explain import StudyNotStored, WrongQuestion
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import Operation, Parameter

PATH = "/dcm4py-leading/explain/{study}"
FAILED_HEADER = "X-Coercion-Failed"
"""``true`` when something could not be done as the rules say."""


_PARAMETERS = (
    Parameter(name="to", meaning="AE title: what we send there, dimse=C_STORE_RQ&role=SCP&receiving-ae=AET"),
    Parameter(name="dimse", meaning="the message", schema={"enum": [dimse.value for dimse in Dimse]}),
    Parameter(name="role", meaning="role of the other system", schema={"enum": [r.value for r in TransferRole]}),
    Parameter(name="sop-class", meaning="SOP Class UID, if not that of the object"),
    Parameter(name="sending-ae", meaning="AE title; one of ours where the role is SCP"),
    Parameter(name="sending-host", meaning="host name, if not as the directory says"),
    Parameter(name="receiving-ae", meaning="AE title; one of ours where the role is SCU"),
    Parameter(name="receiving-host", meaning="host name, if not as the directory says"),
    Parameter(
        name="leading",
        meaning="ask the leading archive (default), or only name the archive to ask",
        schema={"enum": ["ask", "none"]},
    ),
)


class Explainer(Protocol):
    """The service, as the route uses it. Called from a worker thread."""

    def explain(
        self, study_instance_uid: str, parameters: Mapping[str, str], *, is_asking: bool
    ) -> RenderedExplanation:
        """Explain the first instance of a stored study; ``parameters`` as `service.explain.parse_message` takes them.

        ``is_asking``: leading archives are asked. Raises WrongQuestion, StudyNotStored, StatusError.
        """
        ...


def explain_operation(explainer: Explainer) -> Operation:
    """The operation, with the query parameters of the command line: to, or dimse and role, ..., leading=ask|none."""

    def explain(request: Request) -> Response:
        parameters = dict(request.query_params)
        leading = parameters.pop("leading", "ask")
        try:
            if leading not in ("ask", "none"):
                raise WrongQuestion("leading: expected ask or none")
            study_instance_uid = request.path_params["study"]
            told = explainer.explain(study_instance_uid, parameters, is_asking=leading == "ask")
        except WrongQuestion as err:
            return error(400, str(err))
        except StudyNotStored as err:
            return error(404, str(err))
        except StatusError as err:
            return error(503, str(err))
        headers = {FAILED_HEADER: str(told.has_failed).lower()}
        if request.headers.get("accept", "").startswith("text/plain"):
            return PlainTextResponse(told.as_text, headers=headers)
        return JSONResponse(told.as_json, headers=headers)

    return Operation(
        method="GET",
        path=PATH,
        name="explain",
        summary="What the rules would do to a stored study: which match and why others do not, before and after.",
        role=Role.VIEWER,
        handler=explain,
        parameters=_PARAMETERS,
        answers={200: OBJECT, 400: OBJECT, 404: OBJECT},
        tag="rules",
    )


def explain_alias(explainer: Explainer, room: Room) -> Route:
    """The same at its former address, for scripts."""
    return Route("/explain/{study}", needs(Role.VIEWER, room.serves(explain_operation(explainer).handler)))
