"""The routes of the pages."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute

from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.coercions.page import CoercionPages
from dcm4py_leading.web.pages.control import ControlPage, ControlService
from dcm4py_leading.web.pages.devices import DevicesPage
from dcm4py_leading.web.pages.drift.routes import drift_routes
from dcm4py_leading.web.pages.entry.checking import check
from dcm4py_leading.web.pages.entry.deleting import Deleting
from dcm4py_leading.web.pages.entry.new_device import NewDevice
from dcm4py_leading.web.pages.entry.pages import EntryPages
from dcm4py_leading.web.pages.jobs.routes import job_routes, send_routes
from dcm4py_leading.web.pages.jobs.sending import SendService
from dcm4py_leading.web.pages.leading.routes import leading_routes
from dcm4py_leading.web.pages.leading.service import LeadingArchives
from dcm4py_leading.web.pages.places import DEVICES
from dcm4py_leading.web.pages.studies.edit_routes import EditPagesService, edit_routes
from dcm4py_leading.web.pages.studies.routes import StudiesService, studies_routes
from dcm4py_leading.web.pages.titles import Titles
from dcm4py_leading.web.pages.trying.page import ConfigurationPreview, TrialService, TryPage
from dcm4py_leading.web.pages.trying.routes import trying_routes
from dcm4py_leading.web.rest.own.drift import DriftService

_DEVICE = "/ui/devices/{device:path}"


class PagesService(
    ControlService, SendService, LeadingArchives, StudiesService, EditPagesService, DriftService, TrialService, Protocol
):
    """The service as the pages show and use it. Called from a worker thread."""


def page_routes(
    editor: ConfigurationPreview, service: PagesService, *, own_device: str, rooms: Rooms, asking: Room, switching: Room
) -> list[BaseRoute]:
    """All of them.

    A page of a study may wait for other archives, and a stop waits for associations: so they have rooms of their own,
    ``asking`` and ``switching``.
    """
    of_studies = replace(rooms, looking=asking)
    titles = Titles(editor, time.monotonic)
    devices, control = DevicesPage(editor, own_device), ControlPage(service)
    trying = TryPage(editor, service, titles, own_device)
    entries = EntryPages(editor, service, titles, own_device=own_device, try_rule=trying.begin)
    deleting = Deleting(editor, service, titles)
    new_device = NewDevice(editor, service, titles)
    coercions = CoercionPages(editor, titles, own_device)
    return [
        rooms.seen("/ui/", lambda _: RedirectResponse(DEVICES)),
        rooms.seen(DEVICES, devices.show),
        rooms.seen("/ui/new-device", new_device.show, Role.ADMINISTRATOR),
        rooms.sent("/ui/new-device", new_device.make),
        rooms.asked("/ui/check", check),
        rooms.asked("/ui/matches", coercions.matches),
        rooms.seen("/ui/control", control.show),
        rooms.seen("/ui/control/live", control.live),
        rooms.sent("/ui/control/reload", control.reload),
        rooms.sent("/ui/control/start", control.start, switching),
        rooms.sent("/ui/control/stop", control.stop, switching),
        rooms.sent("/ui/control/abort", control.abort),
        *edit_routes(service, of_studies, titles),
        *leading_routes(service, rooms),
        *job_routes(service, rooms, now=lambda: datetime.now(UTC)),
        *send_routes(editor, service, of_studies, own_device=own_device),
        *trying_routes(trying, rooms),
        rooms.seen(f"{_DEVICE}/aes/{{aet:path}}/coercions", coercions.show),
        rooms.seen(f"{_DEVICE}/coercions", coercions.show),
        rooms.seen(f"{_DEVICE}/entry", entries.show),
        rooms.sent(f"{_DEVICE}/entry", entries.change),
        rooms.seen(f"{_DEVICE}/new", entries.new, Role.ADMINISTRATOR),
        rooms.sent(f"{_DEVICE}/new", entries.make),
        rooms.seen(f"{_DEVICE}/delete", deleting.ask, Role.ADMINISTRATOR),
        rooms.sent(f"{_DEVICE}/delete", deleting.delete),
        rooms.seen(_DEVICE, entries.show),
        rooms.sent(_DEVICE, entries.change),
        *studies_routes(service, of_studies),
        *drift_routes(service, rooms),
    ]
