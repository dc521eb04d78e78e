"""``/dcm4chee-arc/unique/aets``: the Unique AE Titles Registry (PS3.15 H.1.1.3)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.rest.configuration.changes import DRY_RUN
from dcm4py_leading.web.rest.configuration.failures import Refusal, answering
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import TEXT, Operation

_PATH = "/dcm4chee-arc/unique/aets"
_ITEM = _PATH + "/{aet}"
_TAG = "AEs"


def unique_aet_operations(editor: Editor) -> list[Operation]:
    """The operations."""

    def titles(_: Request) -> Response:
        return JSONResponse(
            sorted(title for entry in editor.registered_aes() for title in entry.values("dicomAETitle"))
        )

    def register(request: Request) -> Response:
        title = _title(request)
        if not editor.register(title, author=request.state.identity.name):
            raise Refusal(409, f"AE title {title} is registered already")
        return Response(status_code=204)

    def unregister(request: Request) -> Response:
        title = _title(request)
        if not editor.unregister(title, author=request.state.identity.name):
            raise Refusal(404, f"AE title {title} is not registered")
        return Response(status_code=204)

    changed = {204: None, 400: OBJECT, 403: OBJECT, 409: OBJECT}
    return [
        Operation(
            method="GET",
            path=_PATH,
            name="listUniqueAETs",
            summary="The registered AE titles.",
            role=Role.VIEWER,
            handler=answering(titles),
            answers={200: {"type": "array", "items": TEXT}},
            tag=_TAG,
        ),
        Operation(
            method="POST",
            path=_ITEM,
            name="registerAET",
            summary="Register an AE title.",
            role=Role.ADMINISTRATOR,
            handler=answering(register),
            answers=changed,
            tag=_TAG,
        ),
        Operation(
            method="DELETE",
            path=_ITEM,
            name="unregisterAET",
            summary="Take an AE title out of the registry.",
            role=Role.ADMINISTRATOR,
            handler=answering(unregister),
            answers={**changed, 404: OBJECT},
            tag=_TAG,
        ),
    ]


def _title(request: Request) -> AETitle:
    if DRY_RUN.name in request.query_params:  # whoever gives it does not want a change
        raise Refusal(400, f"{DRY_RUN.name}: the registry has none")
    try:
        return AETitle(request.path_params["aet"])
    except ValueError as err:
        raise Refusal(400, f"aet: {err}") from None
