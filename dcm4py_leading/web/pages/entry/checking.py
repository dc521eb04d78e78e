"""Remarks on a value while it is typed; a part of a page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.web.pages.changing.form import Form
from dcm4py_leading.web.pages.entry.widgets import Widget, typed_values
from dcm4py_leading.web.pages.fields.of_entry import fields_of_class
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import NoSuchPage
from dcm4py_leading.web.pages.render import render


def check(request: Request, form: Form) -> Response:
    """Faults of the values of a field, or their meaning in words."""
    object_class, attribute = (request.query_params.get(name, "") for name in ("class", "attribute"))
    field = next((found for found in fields_of_class(object_class) if found.attribute == attribute), None)
    if field is None:
        raise NoSuchPage(attribute)
    language = language_of(request)
    values = typed_values(field, Widget.INPUT if field.single else Widget.LINES, form)
    said = [(value, field.fault(value), field.in_words(value, language)) for value in values]
    return render(request, "said.html", {"said": said, "attribute": attribute})
