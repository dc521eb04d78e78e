"""Page of values side by side: the archive's, the leading archive's, what an AE gets, and the rule that decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.errors import ConfigUnavailable, StatusError
from dcm4py_leading.log import ref
from dcm4py_leading.model.bounds import SHOWN_AE_TITLES
from dcm4py_leading.service.explain import StudyNotStored, WrongQuestion
from dcm4py_leading.service.studies.three_values import ThreeValues
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.gate.use_log import Use
from dcm4py_leading.web.pages.places import NoSuchPage, study_address
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.studies.values import name_of
from dcm4py_leading.web.pages.titles import Title, Titles


class ValuesSource(Protocol):
    """The service, as the page uses it. Called from a worker thread."""

    def three_values(
        self, ae_title: str, study_instance_uid: str, receiver: str, receivers: Sequence[str]
    ) -> ThreeValues:
        """Values of a study as the AE ``receiver`` gets them.

        Without one it is the first of ``receivers`` for which a leading archive decides, else the first of them.
        Raises WrongQuestion, StudyNotStored, StatusError.
        """
        ...


class ThreeValuesPage:
    """Handler; it runs in a worker thread."""

    def __init__(self, service: ValuesSource, titles: Titles) -> None:
        self._service = service
        self._titles = titles

    def show(self, request: Request) -> Response:
        """The values for the AE of ``to``. Raises NoSuchPage."""
        ae_title, uid = request.path_params["aet"], request.path_params["study_uid"]
        titles = known_titles(self._titles)
        receiver = request.query_params.get("to", "").strip()
        values, failure = None, ""
        use = Use(request, "values", ae_title)
        try:
            values = self._service.three_values(ae_title, uid, receiver, [title.value for title in titles])
        except StudyNotStored as err:
            raise NoSuchPage(str(err)) from err
        except (WrongQuestion, StatusError) as err:
            failure = str(err)
        context = {
            "aet": ae_title,
            "address": study_address(ae_title, uid),
            "titles": titles,
            "receiver": receiver if values is None else values.receiver,
            "values": values,
            "failure": failure,
            "is_saved": "saved" in request.query_params,
            "name_of": lambda tag: name_of(f"{tag:08X}"),
            "shown_receivers": SHOWN_AE_TITLES,
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
            "values_address": values_address,
            "uid": uid,
        }
        status = 200 if values is not None else 409
        use.tell(status, study=ref(uid))
        return render(request, "study_values.html", context, status_code=status)


def known_titles(titles: Titles) -> Sequence[Title]:
    """The AE titles of the directory; none while it gives no answer, since a title can be typed too."""
    try:
        return titles.all()
    except ConfigUnavailable:
        return ()


def values_address(ae_title: str, study_instance_uid: str, receiver: str = "", *, is_saved: bool = False) -> str:
    """Address of the page, for one receiver."""
    query = [("to", receiver)] * bool(receiver) + [("saved", "1")] * is_saved
    return f"{study_address(ae_title, study_instance_uid)}/values" + (f"?{urlencode(query)}" if query else "")
