"""AEs that a user may ask on the pages: dcmAcceptedUserRole limits these as it limits DICOMweb."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import wraps
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.log import word
from dcm4py_leading.service.studies.aes import StudiesAE
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import refusal
from dcm4py_leading.web.http.rooms import Handler

LOG = logging.getLogger(__name__)


class AEsSource(Protocol):
    """The service, as it tells its AEs. Called from a worker thread."""

    def studies_aes(self) -> Sequence[StudiesAE]:
        """AEs of ours whose studies can be viewed."""
        ...


def permitted_aes(request: Request, service: AEsSource) -> list[StudiesAE]:
    """The AEs that the user may ask."""
    return [ae for ae in service.studies_aes() if request.state.identity.may_ask(ae.accepted_user_roles)]


def refused_ae(request: Request, service: AEsSource, ae_title: str) -> Response | None:
    """The answer to a user who may not ask an AE; None for those who may.

    An AE is named by dicomAETitle alone: by another title, nobody gets around its limits.
    """
    identity = request.state.identity
    if identity.may(Role.ADMINISTRATOR) or ae_title in {ae.ae_title for ae in permitted_aes(request, service)}:
        return None
    LOG.info("AE %s: user %s has no role of dcmAcceptedUserRole", word(ae_title), word(identity.name or "-"))
    message = f"AE {word(ae_title)} is for users with a role that its dcmAcceptedUserRole lists, or is not here"
    return refusal(request, HTTPStatus.FORBIDDEN, message)


def permitted(service: AEsSource, handler: Handler) -> Handler:
    """The handler of an address with an AE, for those who may ask it."""

    @wraps(handler)
    def show(request: Request) -> Response:
        return refused_ae(request, service, request.path_params["aet"]) or handler(request)

    return show
