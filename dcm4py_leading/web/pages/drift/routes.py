"""Routes of the pages of drift."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.routing import BaseRoute

from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.drift.page import DriftPages
from dcm4py_leading.web.pages.places import DRIFT
from dcm4py_leading.web.rest.own.drift import DriftService

_ONE = f"{DRIFT}/{{aet}}"


def drift_routes(service: DriftService, rooms: Rooms) -> list[BaseRoute]:
    """The routes."""
    pages = DriftPages(service, lambda: datetime.now(UTC))
    return [
        rooms.seen(DRIFT, pages.list),
        rooms.sent(DRIFT, pages.start),
        rooms.seen(_ONE, pages.show),
        rooms.seen(f"{_ONE}/live", pages.live),
        rooms.seen(f"{_ONE}/plots", pages.plots),
        rooms.seen(f"{_ONE}/csv", pages.csv, Role.ADMINISTRATOR),
        rooms.seen(f"{_ONE}/stale/{{attribute}}", pages.stale),
        rooms.sent(f"{_ONE}/go-on", pages.go_on),
        rooms.sent(f"{_ONE}/cancel", pages.cancel),
    ]
