"""Rooms in which the pages are answered, and the page for what cannot be answered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.errors import ConfigError, ConfigUnavailable, StatusError
from dcm4py_leading.log import trace
from dcm4py_leading.service.monitor.echo import UnknownAE
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Endpoint, Handler, Room
from dcm4py_leading.web.pages.changing.form import Form, posted
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import NoSuchPage
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate

LOG = logging.getLogger(__name__)

FormHandler = Callable[[Request, Form], Response]
"""Handler of a form. Runs in a worker thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """Thread rooms of the pages, so that reading does not wait for changes."""

    looking: Room
    changing: Room

    def seen(self, path: str, handler: Handler, role: Role = Role.VIEWER) -> Route:
        """A page for reading."""
        return Route(path, needs(role, self.looking.serves(answered(handler))), methods=["GET"])

    def asked(self, path: str, handler: FormHandler, role: Role = Role.VIEWER, room: Room | None = None) -> Route:
        """A form that changes nothing, such as a search: what was typed stays out of the address.

        In a ``room`` of its own where it waits for another system.
        """
        return Route(path, needs(role, form_in(room or self.looking, handler)), methods=["POST"])

    def sent(self, path: str, handler: FormHandler, room: Room | None = None) -> Route:
        """A form that changes something, for administrators; in a ``room`` of its own if it takes long."""
        return Route(path, needs(Role.ADMINISTRATOR, form_in(room or self.changing, handler)), methods=["POST"])


def answered(handler: Handler) -> Handler:
    """The handler, with an error page for failures."""

    def answer(request: Request) -> Response:
        try:
            return handler(request)
        except NoSuchPage as err:
            return _fault(request, 404, "fault.no_such", str(err))
        except UnknownAE as err:
            return _fault(request, 404, "fault.no_such", str(err))
        except StatusError as err:
            return _fault(request, 503, "fault.archive", str(err))
        except ConfigUnavailable as err:
            hint = "" if request.method == "GET" else translate(language_of(request), "fault.send_again")
            return _fault(request, 503, "fault.directory", f"{err} {hint}".strip())
        except ConfigError as err:
            return _fault(request, 409, "fault.configuration", str(err))

    return answer


def form_in(room: Room, handler: Callable[[Request, Form], Response]) -> Endpoint:
    def answer(request: Request, form: Form) -> Response:
        try:
            return answered(lambda asked: handler(asked, form))(request)
        except ValueError as err:
            # A form that was not made by the page; but a bug may look the same, and must not hide.
            LOG.warning("a form was refused: %s", trace(err))
            return _fault(request, 400, "fault.form", translate(language_of(request), "fault.form_hint"))

    return posted(room, answer)


def _fault(request: Request, status_code: int, key: str, message: str) -> Response:
    context = {"title": translate(language_of(request), key), "message": message}
    return render(request, "fault.html", context, status_code=status_code)
