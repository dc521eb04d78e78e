"""Suggestions of the fields of a page: AE titles, SOP classes, connections of the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.pages.entry.view import FieldView, Suggested
from dcm4py_leading.web.pages.fields.reading import named_uids
from dcm4py_leading.web.pages.places import Place, name_of
from dcm4py_leading.web.pages.titles import Titles

CONDITION_KEYS = (
    "SendingApplicationEntityTitle",
    "ReceivingApplicationEntityTitle",
    "SendingHostname",
    "ReceivingHostname",
    "Modality",
    "SOPClassUID",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "StationName",
    "Manufacturer",
    "IssuerOfPatientID",
    "PatientID",
    "StudyDescription",
    "SeriesDescription",
    "BodyPartExamined",
    "ImageType",
)
"""Keys of conditions (dcmProperty of a rule) that are most used; any attribute will do."""


def options_of(place: Place) -> Mapping[str, Sequence[Suggested]]:
    """The options of fields that have others than their values: connections of the device."""
    connections = [entry for entry in place.entries if entry.is_a("dicomNetworkConnection")]
    shown = [Suggested(value=entry.dn, text=_described(entry)) for entry in connections]
    return {"dicomNetworkConnectionReference": shown}


def suggested(views: Sequence[FieldView], titles: Titles) -> Mapping[str, list[Suggested]]:
    """The datalists that these fields use, by id. The directory is asked for AE titles only where one is."""
    wanted = {view.suggestions for view in views}
    found: dict[str, list[Suggested]] = {}
    has_conditions = any(view.field.task == "conditions" for view in views)
    if "ae-titles" in wanted or has_conditions:
        found["ae-titles"] = [Suggested(value=title.value, text=title.text) for title in titles.all()]
    for name, kind in (("sop-classes", "sop"), ("transfer-syntaxes", "syntax")):
        if name in wanted:
            found[name] = [Suggested(value=uid, text=text) for text, uid in named_uids(kind).items()]
    if has_conditions:
        found["condition-keys"] = [Suggested(value=key) for key in CONDITION_KEYS]
    return found


def _described(connection: Entry) -> str:
    address = ":".join((*connection.values("dicomHostname")[:1], *connection.values("dicomPort")[:1]))
    return f"{name_of(connection)} ({address})"
