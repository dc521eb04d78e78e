"""Page of the running service: its configuration, what a reload would change, requests under way."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dcm4py_leading.errors import ConfigError
from dcm4py_leading.web.gate.command_log import log_command
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.own.running import Running
from dcm4py_leading.web.pages.changing.attempt import reloaded
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import CONTROL
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate
from dcm4py_leading.web.rest.associations import Associations
from dcm4py_leading.web.rest.control import ListeningControl

_MAX_DIGITS = 20


class ControlService(ListeningControl, Running, Associations, Protocol):
    """The service as the page shows and controls it. Called from a worker thread."""


class ControlPage:
    """Handlers; each runs in a worker thread."""

    def __init__(self, service: ControlService) -> None:
        self._service = service

    def show(self, request: Request) -> Response:
        """The page. It reads the directory once."""
        context = {"running": self._service.running(), "pending": self._service.pending(), "failure": None}
        return render(request, "control.html", {**context, **self._live(request)})

    def live(self, request: Request) -> Response:
        """The part of the page that refreshes itself."""
        return render(request, "live.html", self._live(request))

    def reload(self, request: Request, _: Form) -> Response:
        """Reload the configuration, and show the outcome."""
        result = reloaded(self._service)
        context = {"reloaded": result, "running": self._service.running()}
        return render(request, "reloaded.html", context, status_code=409 if result.error else 200)

    def start(self, request: Request, _: Form) -> Response:
        """Accept associations again."""
        log_command(request, "DICOM is to be started")
        try:
            self._service.start_listening()
        except ConfigError as err:
            return self._failed(request, str(err))
        return RedirectResponse(CONTROL, status_code=303)

    def stop(self, request: Request, _: Form) -> Response:
        """Accept no associations, and end those under way."""
        log_command(request, "DICOM is to be stopped")
        self._service.stop_listening()
        return RedirectResponse(CONTROL, status_code=303)

    def abort(self, request: Request, form: Form) -> Response:
        """Abort one association."""
        number = one_of(form, "serial")
        is_number = number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS
        if not (is_number and self._service.abort_association(int(number))):
            return self._failed(request, translate(language_of(request), "control.gone"))
        log_command(request, f"association {number} is aborted")
        return RedirectResponse(CONTROL, status_code=303)

    def _failed(self, request: Request, failure: str) -> Response:
        context = {"running": self._service.running(), "pending": self._service.pending(), "failure": failure}
        return render(request, "control.html", {**context, **self._live(request)}, status_code=409)

    def _live(self, request: Request) -> dict[str, object]:
        return {
            "listeners": self._service.listeners(),
            "associations": self._service.associations(),
            "workers": self._service.workers(),
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
        }
