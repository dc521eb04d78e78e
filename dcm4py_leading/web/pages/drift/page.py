"""The pages of drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from dcm4py_leading.errors import DriftRefused
from dcm4py_leading.log import word
from dcm4py_leading.service.drift.comparison import Outcome
from dcm4py_leading.service.drift.order import ELSEWHERE_RATE, RATE
from dcm4py_leading.service.drift.shown import LatestComparison
from dcm4py_leading.service.drift.summary import NO_MONTH
from dcm4py_leading.service.jobs.jobs import TooManyJobs
from dcm4py_leading.web.gate.command_log import log_command
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.drift.outcome import TAGS, attribute_in_words, plotted, stale_attributes
from dcm4py_leading.web.pages.fields.words import duration_in_words
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import NoSuchPage, drift_address, study_address
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.rest.own.drift import DriftService, csv_response, order_of

_FIELDS = ("leading", "since", "rate", "archiveRate", "values")
_UNTYPED = {
    **dict.fromkeys(("ae", *_FIELDS), ""),
    "rate": f"{RATE:g}",
    "archiveRate": f"{ELSEWHERE_RATE:g}",
}


class DriftPages:
    """Handlers; each runs in a worker thread."""

    def __init__(self, service: DriftService, now: Callable[[], datetime]) -> None:
        self._service = service
        self._now = now

    def list(self, request: Request) -> Response:
        """All comparisons, and the form that begins one."""
        return self._list(request, {}, None, HTTPStatus.OK)

    def start(self, request: Request, form: Form) -> Response:
        """Start a comparison."""
        ae_title = one_of(form, "ae")
        typed = {name: one_of(form, name) for name in _FIELDS if name in form}
        try:
            self._service.drifts.start(order_of(ae_title, typed), request.state.identity.name)
        except (ValueError, DriftRefused, TooManyJobs, OSError) as err:
            return self._list(request, {**typed, "ae": ae_title}, str(err), HTTPStatus.CONFLICT)
        log_command(request, f"drift: {word(ae_title)} is compared with its leading archive")
        return RedirectResponse(drift_address(ae_title), HTTPStatus.SEE_OTHER)

    def show(self, request: Request) -> Response:
        """The latest comparison of one AE."""
        return render(request, "drift_of.html", self._one(request))

    def live(self, request: Request) -> Response:
        """The part of the page that refreshes itself; at the end the whole page is loaded again."""
        context = self._one(request)
        answer = render(request, "drift_live.html", context)
        if not context["latest"].is_running:
            answer.headers["HX-Refresh"] = "true"
        return answer

    def go_on(self, request: Request, _: Form) -> Response:
        """Resume the comparison."""
        ae_title = self._latest(request).ae_title
        try:
            self._service.drifts.go_on(ae_title, request.state.identity.name)
        except (DriftRefused, TooManyJobs, OSError) as err:
            context = {**self._one(request), "failure": str(err)}
            return render(request, "drift_of.html", context, status_code=HTTPStatus.CONFLICT)
        log_command(request, f"drift: the comparison of {word(ae_title)} goes on")
        return RedirectResponse(drift_address(ae_title), HTTPStatus.SEE_OTHER)

    def cancel(self, request: Request, _: Form) -> Response:
        """Cancel the comparison."""
        ae_title = self._latest(request).ae_title
        if self._service.drifts.cancel(ae_title):
            log_command(request, f"drift: the comparison of {word(ae_title)} is cancelled")
        return RedirectResponse(drift_address(ae_title), HTTPStatus.SEE_OTHER)

    def plots(self, request: Request) -> Response:
        """Stale studies by month and attribute, for the plot."""
        return JSONResponse(plotted(self._latest(request).summary))

    def csv(self, request: Request) -> Response:
        """The CSV file."""
        found = csv_response(request, self._service)
        if found is None:
            raise NoSuchPage(f"a comparison of {word(request.path_params['aet'])}")
        return found

    def stale(self, request: Request) -> Response:
        """The first studies in which an attribute is stale."""
        latest, attribute = self._latest(request), request.path_params["attribute"]
        count = sum(latest.summary.stale_by_attribute.get(attribute, {}).values())
        if not count:
            raise NoSuchPage(f"an attribute {word(attribute)} that is stale in {latest.ae_title}")
        try:
            studies, failure = self._service.drifts.stale(latest.ae_title, attribute), None
        except OSError as err:
            studies, failure = [], f"{err.strerror or err}"
        context = {
            "latest": latest,
            "attribute": attribute,
            "name": attribute_in_words(attribute),
            "in_words": attribute_in_words,
            "count": count,
            "studies": [(one, f"{study_address(latest.ae_title, one.study_instance_uid)}/values") for one in studies],
            "failure": failure,
            "address": drift_address(latest.ae_title),
        }
        return render(request, "drift_stale.html", context)

    def _list(self, request: Request, typed: Mapping[str, str], failure: str | None, status: HTTPStatus) -> Response:
        choices = self._service.drifts.choices()
        context = {
            "choices": choices,
            "titles": sorted({title for choice in choices for title in choice.leading}),
            "comparisons": [(one, drift_address(one.ae_title)) for one in self._service.drifts.all()],
            "typed": {
                **dict.fromkeys(("ae", *_FIELDS), ""),
                "rate": f"{RATE:g}",
                "archiveRate": f"{ELSEWHERE_RATE:g}",
                **typed,
            },
            "failure": failure,
            "stale": Outcome.STALE,
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
        }
        return render(request, "drift.html", context, status_code=status)

    def _one(self, request: Request) -> dict[str, Any]:
        latest = self._latest(request)
        left = latest.seconds_left(self._now())
        language = language_of(request)
        return {
            "latest": latest,
            "address": drift_address(latest.ae_title),
            "left": None if left is None else duration_in_words(_rounded(left), language),
            "outcomes": [(outcome, latest.summary.outcomes[outcome], TAGS[outcome]) for outcome in Outcome],
            "attributes": stale_attributes(latest.summary),
            "in_words": attribute_in_words,
            "stale": latest.summary.outcomes[Outcome.STALE],
            "months": sorted(latest.summary.stale_by_month.items()),
            "no_month": NO_MONTH,
            "failure": None,
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
        }

    def _latest(self, request: Request) -> LatestComparison:
        ae_title: str = request.path_params["aet"]
        latest = self._service.drifts.latest(ae_title)
        if latest is None:
            raise NoSuchPage(f"a comparison of {word(ae_title)}")
        return latest


def _rounded(seconds: float) -> timedelta:
    """A time as people estimate: minutes from two minutes on."""
    step = 60 if seconds >= 120 else 1
    return timedelta(seconds=max(1, round(seconds / step)) * step)
