"""The routes of the pages."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dcm4py_leading.errors import ConfigError, ConfigUnavailable
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Endpoint, Handler, Room
from dcm4py_leading.web.pages.changing.attempt import Editing
from dcm4py_leading.web.pages.changing.form import Form, posted
from dcm4py_leading.web.pages.coercions.page import CoercionPages
from dcm4py_leading.web.pages.control import ControlPage, Watched
from dcm4py_leading.web.pages.devices import DevicesPage
from dcm4py_leading.web.pages.entry.checking import check
from dcm4py_leading.web.pages.entry.deleting import Deleting
from dcm4py_leading.web.pages.entry.new_device import NewDevice
from dcm4py_leading.web.pages.entry.pages import EntryPages
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import DEVICES, NoSuchPage
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate
from dcm4py_leading.web.pages.titles import Titles

_DEVICE = "/ui/devices/{device:path}"


def page_routes(
    editor: Editing, service: Watched, *, own_device: str, looking: Room, changing: Room, switching: Room
) -> list[BaseRoute]:
    """All of them: what is looked at in one room, what changes something in another; a stop waits for associations, and
    so has its own."""
    titles = Titles(editor, time.monotonic)
    devices, control = DevicesPage(editor, own_device), ControlPage(service)
    entries, deleting = EntryPages(editor, service, titles), Deleting(editor, service, titles)
    new_device = NewDevice(editor, service, titles)
    coercions = CoercionPages(editor, titles)

    def seen(path: str, handler: Handler, role: Role = Role.VIEWER) -> Route:
        return Route(path, needs(role, looking.serves(answered(handler))), methods=["GET"])

    def sent(path: str, handler: Callable[[Request, Form], Response], room: Room = changing) -> Route:
        role = Role.VIEWER if room is looking else Role.ADMINISTRATOR
        return Route(path, needs(role, _form(room, handler)), methods=["POST"])

    return [
        seen("/ui/", lambda _: RedirectResponse(DEVICES)),
        seen(DEVICES, devices.show),
        seen("/ui/new-device", new_device.show, Role.ADMINISTRATOR),
        sent("/ui/new-device", new_device.make),
        sent("/ui/check", check, looking),
        sent("/ui/matches", coercions.matches, looking),
        seen("/ui/control", control.show),
        seen("/ui/control/live", control.live),
        sent("/ui/control/reload", control.reload),
        sent("/ui/control/start", control.start, switching),
        sent("/ui/control/stop", control.stop, switching),
        sent("/ui/control/abort", control.abort),
        seen(f"{_DEVICE}/aes/{{aet:path}}/coercions", coercions.show),
        seen(f"{_DEVICE}/coercions", coercions.show),
        seen(f"{_DEVICE}/entry", entries.show),
        sent(f"{_DEVICE}/entry", entries.change),
        seen(f"{_DEVICE}/new", entries.new, Role.ADMINISTRATOR),
        sent(f"{_DEVICE}/new", entries.make),
        seen(f"{_DEVICE}/delete", deleting.ask, Role.ADMINISTRATOR),
        sent(f"{_DEVICE}/delete", deleting.delete),
        seen(_DEVICE, entries.show),
        sent(_DEVICE, entries.change),
    ]


def answered(handler: Handler) -> Handler:
    """The handler with a page for what cannot be shown."""

    def answer(request: Request) -> Response:
        try:
            return handler(request)
        except NoSuchPage as err:
            return _fault(request, 404, "fault.no_such", str(err))
        except ConfigUnavailable as err:
            hint = "" if request.method == "GET" else translate(language_of(request), "fault.send_again")
            return _fault(request, 503, "fault.directory", f"{err} {hint}".strip())
        except ConfigError as err:
            return _fault(request, 409, "fault.configuration", str(err))

    return answer


def _form(room: Room, handler: Callable[[Request, Form], Response]) -> Endpoint:
    def answer(request: Request, form: Form) -> Response:
        try:
            return answered(lambda asked: handler(asked, form))(request)
        except ValueError:
            return _fault(request, 400, "fault.form", translate(language_of(request), "fault.form_hint"))

    return posted(room, answer)


def _fault(request: Request, status_code: int, key: str, message: str) -> Response:
    context = {"title": translate(language_of(request), key), "message": message}
    return render(request, "fault.html", context, status_code=status_code)
