"""Routes of the pages of jobs, and of sending."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from starlette.routing import BaseRoute

from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.changing.attempt import DirectoryEditing
from dcm4py_leading.web.pages.jobs.page import JobPages
from dcm4py_leading.web.pages.jobs.sending import SendPage, SendService
from dcm4py_leading.web.pages.places import JOBS
from dcm4py_leading.web.rest.own.sending import ExportSender


def job_routes(service: ExportSender, rooms: Rooms, *, now: Callable[[], datetime]) -> list[BaseRoute]:
    """The routes of jobs."""
    jobs = JobPages(service, now)
    return [
        rooms.seen(JOBS, jobs.list),
        rooms.seen(f"{JOBS}/live", jobs.list_live),
        rooms.seen(f"{JOBS}/{{job}}", jobs.show),
        rooms.seen(f"{JOBS}/{{job}}/live", jobs.live),
        rooms.sent(f"{JOBS}/{{job}}/cancel", jobs.cancel),
        rooms.sent(f"{JOBS}/{{job}}/again", jobs.again),
    ]


def send_routes(editor: DirectoryEditing, service: SendService, rooms: Rooms, *, own_device: str) -> list[BaseRoute]:
    """The routes of sending."""
    sending = SendPage(editor, service, own_device)
    send = "/ui/studies/{aet}/{study}/send"
    return [rooms.seen(send, sending.show, Role.ADMINISTRATOR), rooms.sent(send, sending.send)]
