"""The page of the rules of a device, or of an AE together with those of its device."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.secret_text import masked_passwords
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.changing.attempt import DirectoryEditing
from dcm4py_leading.web.pages.changing.form import Form
from dcm4py_leading.web.pages.coercions.matching import Matching, matching
from dcm4py_leading.web.pages.coercions.order import Hidden, RuleEntry, hidden_among, in_order
from dcm4py_leading.web.pages.entry.widgets import CONDITION_KEY, CONDITION_OPERATOR, CONDITION_VALUE, shown_values
from dcm4py_leading.web.pages.fields.words import uid_in_words
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import (
    Link,
    NoSuchPage,
    Place,
    below,
    children_of,
    coercions_address,
    delete_address,
    entry_address,
    name_of,
    new_address,
    place_of,
)
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate
from dcm4py_leading.web.pages.titles import Titles

_SHOWN_ELSEWHERE = frozenset(
    name.lower()
    for name in (
        "cn",
        "objectClass",
        "dcmDIMSE",
        "dicomTransferRole",
        "dcmRulePriority",
        "dcmSOPClass",
        "dcmProperty",
        "dicomDescription",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """One rule as the page shows it."""

    rule: RuleEntry
    address: str
    copy: str
    delete: str
    hidden: Hidden | None
    sop_classes: tuple[str, ...]
    """In words where there are some."""
    does: tuple[tuple[str, str], ...]
    """Attributes that say what it does, with their values."""
    conditions: tuple[tuple[str, Matching], ...]
    """Its conditions, with what of the directory each matches."""


class CoercionPages:
    """Handlers; each runs in a worker thread."""

    def __init__(self, editor: DirectoryEditing, titles: Titles, own_device: str) -> None:
        self._editor = editor
        self._titles = titles
        self._own_device = own_device

    def show(self, request: Request) -> Response:
        """The rules in the order in which they are applied."""
        device_name = request.path_params["device"]
        entries = self._editor.entries(device_name)
        place = place_of(device_name, entries, "")
        ae = _ae(place, request.path_params.get("aet"))
        of_device = children_of(place.device, entries)
        of_ae = children_of(ae, entries) if ae else []
        rules = in_order(of_ae, of_device)
        has_titles = any("ApplicationEntityTitle" in text for rule in rules for text in rule.conditions)
        titles = self._all_titles() if has_titles else []
        hidden = hidden_among(rules, () if ae else _of_aes(place))
        owner = ae or place.device
        at = below(owner, place.device)
        context = {
            "title": name_of(owner),
            "is_of_ae": ae is not None,
            "trail": _trail(request, place, ae),
            "rules": [_view(place, rule, at, hidden.get(rule.entry.dn), titles) for rule in rules],
            "add": [(kind, new_address(device_name, kind, at=at)) for kind in ("rule", "rule2")],
            "aes": _aes(place),
            "of_device": coercions_address(device_name),
            "device_name": device_name,
            "may_try": device_name.casefold() == self._own_device.casefold(),
            "why_not": self._editor.why_not,
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
        }
        return render(request, "coercions.html", context)

    def matches(self, request: Request, form: Form) -> Response:
        """Matches of a condition that is being typed; a part of a page."""
        parts = [_one_ending(form, ending) for ending in (CONDITION_KEY, CONDITION_OPERATOR, CONDITION_VALUE)]
        key, operator, value = parts
        found = None
        if key.strip():
            titles = self._all_titles() if "ApplicationEntity" in key else []
            found = matching(f"{key.strip()}{operator}{value}", titles)
        return render(request, "matches.html", {"found": found})

    def _all_titles(self) -> list[str]:
        return [title.value for title in self._titles.all()]


def _one_ending(form: Form, ending: str) -> str:
    return next((values[0] for name, values in form.items() if name.endswith(ending)), "")


def _ae(place: Place, title: str | None) -> Entry | None:
    if title is None:
        return None
    for entry in children_of(place.device, place.entries):
        if entry.is_a("dicomNetworkAE") and title in entry.values("dicomAETitle"):
            return entry
    raise NoSuchPage(f"AE {title}")


def _trail(request: Request, place: Place, ae: Entry | None) -> list[Link]:
    links = place.trail(translate(language_of(request), "nav.devices"))
    links.append(Link(place.device_name, entry_address(place.device_name, "")))
    if ae is not None:
        links.append(Link(name_of(ae), entry_address(place.device_name, below(ae, place.device))))
    return links


def _aes(place: Place) -> list[tuple[str, str, int]]:
    """The AEs of the device: title, page of its rules, and how many it has of its own."""
    found = []
    for entry in children_of(place.device, place.entries):
        if entry.is_a("dicomNetworkAE"):
            count = len(in_order(children_of(entry, place.entries), ()))
            found.append((name_of(entry), coercions_address(place.device_name, name_of(entry)), count))
    return sorted(found)


def _of_aes(place: Place) -> list[RuleEntry]:
    """The rules of all AEs of the device."""
    aes = [entry for entry in children_of(place.device, place.entries) if entry.is_a("dicomNetworkAE")]
    return [rule for entry in aes for rule in in_order(children_of(entry, place.entries), ())]


def _view(place: Place, rule: RuleEntry, owner: str, hidden: Hidden | None, titles: list[str]) -> RuleView:
    """``owner``: of whose rules the page is; a copy goes there."""
    entry = rule.entry
    at = below(entry, place.device)
    kind = "rule" if rule.is_legacy else "rule2"
    return RuleView(
        rule=rule,
        address=entry_address(place.device_name, at),
        copy=new_address(place.device_name, kind, at=owner, copied=at),
        delete=delete_address(place.device_name, at),
        hidden=hidden,
        sop_classes=tuple(uid_in_words(uid) or uid for uid in sorted(rule.sop_classes)),
        does=tuple(
            (entry.spell(name), ", ".join(shown_values(entry, name))) for name in entry if name not in _SHOWN_ELSEWHERE
        ),
        conditions=tuple((masked_passwords(text), matching(text, titles)) for text in rule.conditions),
    )
