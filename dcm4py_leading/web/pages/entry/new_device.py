"""Page for a device of another system: one connection and one AE, all that a peer needs."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.config.dn import escape_rdn_value
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.pages.changing.attempt import DirectoryEditing, Outcome, Reloadable, attempt, reloaded
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.entry.finishing import SAVES, taken_away
from dcm4py_leading.web.pages.entry.sheet import REQUIRED, faults_in
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import DEVICES, Link, device_address
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate
from dcm4py_leading.web.pages.titles import Titles

NAME, DESCRIPTION, TITLE, HOST, PORT = (
    "dicomDeviceName",
    "dicomDescription",
    "dicomAETitle",
    "dicomHostname",
    "dicomPort",
)
_FIELDS = {
    NAME: "dicomDevice",
    DESCRIPTION: "dicomDevice",
    TITLE: "dicomNetworkAE",
    HOST: "dicomNetworkConnection",
    PORT: "dicomNetworkConnection",
}
"""Attributes that are typed, each with its object class."""
_REFUSED = 422

Typed = Mapping[str, str]
Errors = Mapping[str, list[str]]


class NewDevice:
    """Handlers; each runs in a worker thread."""

    def __init__(self, editor: DirectoryEditing, service: Reloadable, titles: Titles) -> None:
        self._editor = editor
        self._service = service
        self._titles = titles

    def show(self, request: Request) -> Response:
        """The empty form."""
        return self._page(request, dict.fromkeys(_FIELDS, ""))

    def make(self, request: Request, form: Form) -> Response:
        """Preview the device, offer it as LDIF, or save it."""
        typed = {name: one_of(form, name).strip() for name in _FIELDS}
        errors = {name: [REQUIRED] for name, value in typed.items() if not value and name != DESCRIPTION}
        exists = [translate(language_of(request), "entry.exists")]
        if typed[NAME] and self._editor.entries(typed[NAME]):
            errors[NAME] = exists
        if any(typed[TITLE] in ae.values(TITLE) for ae in self._editor.aes()):
            errors[TITLE] = exists
        wanted = [] if errors else device_of(self._editor.device_dn(typed[NAME]), typed)
        for entry in wanted:
            found = faults_in(entry, {name: entry.values(name) for name in typed if entry.values(name)})
            errors.update({name: texts for name, texts in found.items() if name in typed})
        if errors:
            return self._page(request, typed, errors=errors)
        action = one_of(form, "action")
        author = request.state.identity.name
        outcome = attempt(self._editor, typed[NAME], wanted, (), saves=action in SAVES, author=author)
        self._titles.forget()
        if outcome.is_saved:
            return self._saved(request, typed[NAME], outcome, reloads=action == "reload")
        if action == "ldif" and outcome.plan is not None:
            return taken_away(outcome.plan)
        return self._page(request, typed, outcome=outcome)

    def _saved(self, request: Request, name: str, outcome: Outcome, *, reloads: bool) -> Response:
        context = {
            "title": name,
            "trail": _trail(request),
            "plan": outcome.plan,
            "reloaded": reloaded(self._service) if reloads else None,
            "links": [Link(name, device_address(name)), *_trail(request)],
            "of_others": (),
        }
        return render(request, "saved.html", context)

    def _page(
        self, request: Request, typed: Typed, *, errors: Errors | None = None, outcome: Outcome | None = None
    ) -> Response:
        failure = None if outcome is None else outcome.failure or (outcome.conflict and str(outcome.conflict))
        plan = None if outcome is None else outcome.plan
        is_refused = errors or failure or (outcome is not None and (plan is None or plan.errors))
        context = {
            "trail": _trail(request),
            "fields": [(name, owner, typed[name], (errors or {}).get(name, ())) for name, owner in _FIELDS.items()],
            "optional": DESCRIPTION,
            "outcome": outcome,
            "failure": failure,
            "why_not": self._editor.why_not,
        }
        return render(request, "new_device.html", context, status_code=_REFUSED if is_refused else 200)


def device_of(dn: str, typed: Typed) -> list[Entry]:
    """The entries of a device with the connection ``dicom`` and an AE that opens and accepts associations.

    The classes are those of the standard alone (PS3.15 H.1.3), as upstream's own templates of peers have them.
    """
    connection = f"cn=dicom,{dn}"
    device = {"objectClass": ["dicomDevice"], NAME: [typed[NAME]], "dicomInstalled": ["TRUE"]}
    if typed[DESCRIPTION]:
        device[DESCRIPTION] = [typed[DESCRIPTION]]
    return [
        Entry.of(dn, device),
        Entry.of(
            connection,
            {"objectClass": ["dicomNetworkConnection"], "cn": ["dicom"], HOST: [typed[HOST]], PORT: [typed[PORT]]},
        ),
        Entry.of(
            f"{TITLE}={escape_rdn_value(typed[TITLE])},{dn}",
            {
                "objectClass": ["dicomNetworkAE"],
                TITLE: [typed[TITLE]],
                "dicomNetworkConnectionReference": [connection],
                "dicomAssociationInitiator": ["TRUE"],
                "dicomAssociationAcceptor": ["TRUE"],
            },
        ),
    ]


def _trail(request: Request) -> list[Link]:
    return [Link(translate(language_of(request), "nav.devices"), DEVICES)]
