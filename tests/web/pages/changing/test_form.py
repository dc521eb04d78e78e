"""Fields of a form that was sent."""

from __future__ import annotations

import pytest

from dcm4py_leading.model.bounds import HTTP_FORM_FIELDS
from dcm4py_leading.web.pages.changing.form import one_of, parse_form


def test_a_name_has_its_values_in_their_order_and_empty_ones_too() -> None:
    form = parse_form(b"a=2&b=&a=1&c=M%C3%BCller+%26")
    assert form == {"a": ("2", "1"), "b": ("",), "c": ("Müller &",)}
    assert [one_of(form, name) for name in "abcd"] == ["2", "", "Müller &", ""]


@pytest.mark.parametrize("body", ["a=ü".encode(), b"a=%FF", b"&".join([b"a="] * (HTTP_FORM_FIELDS + 1))])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse_form(body)


def test_as_many_fields_as_allowed_are_read() -> None:
    assert len(parse_form(b"&".join([b"a="] * HTTP_FORM_FIELDS))["a"]) == HTTP_FORM_FIELDS
