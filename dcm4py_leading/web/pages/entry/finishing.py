"""Result of a change: what was saved, the outcome of the reload, or the LDIF to download."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.plan import Plan
from dcm4py_leading.web.pages.changing.attempt import Outcome, Reloadable, reloaded
from dcm4py_leading.web.pages.entry.kinds import RULES
from dcm4py_leading.web.pages.entry.sheet import Sheet
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import (
    Link,
    Place,
    below,
    coercions_address,
    device_address,
    entry_address,
    name_of,
)
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate

SAVES = ("save", "reload")
"""Actions of a form that write to the directory."""


def finished(
    request: Request,
    sheet: Sheet,
    outcome: Outcome,
    action: str,
    service: Reloadable,
    *,
    entry: Entry | None,
    of_others: Sequence[str] = (),
) -> Response | None:
    """The answer to a change that was saved, or downloaded as LDIF; None if neither.

    ``entry`` is what became of the sheet's; None when it is gone.
    """
    if outcome.is_saved:
        context = {
            "title": name_of(entry or sheet.entry),
            "trail": trail_of(request, sheet),
            "plan": outcome.plan,
            "reloaded": reloaded(service) if action == "reload" else None,
            "links": _links(request, sheet, entry),
            "of_others": of_others,
        }
        return render(request, "saved.html", context)
    if action == "ldif" and outcome.plan is not None:
        return taken_away(outcome.plan)
    return None


def taken_away(plan: Plan) -> Response:
    """The LDIF of a change, to be kept as a file."""
    name = "".join(char for char in plan.device_name if char.isascii() and (char.isalnum() or char in "-_"))
    disposition = {"Content-Disposition": f'attachment; filename="{name or "change"}.ldif"'}
    return PlainTextResponse(plan.ldif, headers=disposition)


def trail_of(request: Request, sheet: Sheet) -> list[Link]:
    """The way to the page of an entry."""
    place, language = sheet.place, language_of(request)
    links = place.trail(translate(language, "nav.devices"))
    above = place.entry if sheet.is_new else place.parent
    if sheet.is_new:
        links.append(Link(name_of(place.entry), entry_address(place.device_name, place.at)))
    if sheet.kind is not None and sheet.kind.key in RULES:
        links.append(Link(translate(language, "coercions.title"), rules_address(place, above)))
    return links


def rules_address(place: Place, owner: Entry) -> str:
    """The page of the coercion rules of a device or of an AE."""
    return coercions_address(place.device_name, name_of(owner) if owner.is_a("dicomNetworkAE") else "")


def _links(request: Request, sheet: Sheet, entry: Entry | None) -> list[Link]:
    """Links to follow from here."""
    place, language = sheet.place, language_of(request)
    links = []
    if entry is not None:
        links.append(Link(name_of(entry), entry_address(place.device_name, below(entry, place.device))))
    if sheet.kind is not None and sheet.kind.key in RULES:
        owner = place.entry if sheet.is_new else place.parent
        links.append(Link(translate(language, "coercions.title"), rules_address(place, owner)))
    links.append(Link(place.device_name, device_address(place.device_name)))
    return list({link.address: link for link in links}.values())
