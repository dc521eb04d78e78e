"""Page of the leading archives: state, C-ECHO, and the last hours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.errors import Dcm4pyError, StatusError
from dcm4py_leading.service.leading.history import STEPS
from dcm4py_leading.service.leading.overview import Overview
from dcm4py_leading.service.monitor.echo import EchoOutcome, EchoResult
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.fields.words import age_in_words
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.leading.plots import Plot, archive_plots
from dcm4py_leading.web.pages.leading.service import LeadingArchives
from dcm4py_leading.web.pages.places import address_of
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.rest.own.leading import HISTORY, hours_of

_DEFAULT_HOURS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Echoed:
    """A C-ECHO that somebody has asked for."""

    ae_title: str
    remote_ae_title: str
    outcome: EchoOutcome | None
    """None where none could be sent."""
    failure: str | None

    @property
    def is_good(self) -> bool:
        """True if the peer has answered."""
        return self.outcome is not None and self.outcome.result is EchoResult.SUCCESS


class LeadingPage:
    """Handlers; each runs in a worker thread."""

    def __init__(self, service: LeadingArchives) -> None:
        self._service = service

    def show(self, request: Request) -> Response:
        """The page."""
        return self._page(request, None)

    def live(self, request: Request) -> Response:
        """The part of the page that refreshes itself."""
        return render(request, "leading_live.html", _live(self._service.leading.overview()))

    def echo(self, request: Request, form: Form) -> Response:
        """One C-ECHO of an AE of ours to one of the archives."""
        local, remote = one_of(form, "local"), one_of(form, "remote")
        outcome, failure = None, None
        try:
            outcome = self._service.echo(local, remote)
            failure = outcome.error
        except Dcm4pyError as err:
            failure = str(err)
        echoed = Echoed(ae_title=local, remote_ae_title=remote, outcome=outcome, failure=failure)
        if "hx-request" in request.headers:
            return render(request, "leading_echo.html", {"echoed": echoed})
        return self._page(request, echoed)

    def _page(self, request: Request, echoed: Echoed | None) -> Response:
        hours = hours_of(request.query_params.get("hours", "")) or _DEFAULT_HOURS
        view, language = self._service.leading, language_of(request)
        found, intervals = view.overview(), view.history.over(hours)
        context = {
            "echoed": echoed,
            "hours": hours,
            "spans": list(STEPS),
            "step": age_in_words(STEPS[hours], language),
            "source": f"{HISTORY}?hours={hours}",
            "told": list(archive_plots(found, intervals, language)),
            "lines_json": partial(Plot.lines_json, language=language),
            "has_history": bool(intervals),
        }
        return render(request, "leading.html", {**context, **_live(found), **self._last_known(request)})

    def _last_known(self, request: Request) -> dict[str, object]:
        """The number of last known answers and their ages in words, or why they cannot be read."""
        language = language_of(request)
        try:
            known = self._service.leading.last_known("", start=0, limit=0)
        except StatusError as err:
            return {"known_count": 0, "known_failure": str(err), "oldest": "", "newest": ""}
        oldest, newest = ("" if age is None else age_in_words(age, language) for age in (known.oldest, known.newest))
        return {"known_count": known.count, "known_failure": "", "oldest": oldest, "newest": newest}


def _live(found: Overview) -> dict[str, object]:
    return {
        "leading": found.leading,
        "behind": found.behind,
        "cached_studies": found.cached_studies,
        "address_of": address_of,
    }
