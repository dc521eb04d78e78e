"""Page with a picture of a study; the page of the study includes it once it is decoded."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.service.picture.picture import Picture
from dcm4py_leading.web.pages.places import study_address
from dcm4py_leading.web.pages.render import render


class PictureSource(Protocol):
    """The service as it makes pictures. Called from a worker thread."""

    def picture(self, ae_title: str, study_instance_uid: str) -> Picture:
        """A picture of a study, or why there is none. Raises UnknownAE, StatusError."""
        ...


class PicturePage:
    """Handler; it runs in a worker thread."""

    def __init__(self, service: PictureSource) -> None:
        self._service = service

    def show(self, request: Request) -> Response:
        """The picture, without any name; or a sentence that tells why there is none."""
        ae_title, uid = request.path_params["aet"], request.path_params["study_uid"]
        found = self._service.picture(ae_title, uid)
        return render(request, "picture.html", {"picture": found, "address": study_address(ae_title, uid)})
